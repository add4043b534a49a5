"""How soon a client that hangs up is noticed: its place, the upstream, and the slot for the next.

`python -m bench.hangup [--json]`, from the repository root, about 30 seconds. Clients leave while
they wait in the line, while the upstream is silent before its first byte, and between two tokens.
Times are those between the client's `close` and what the upstream, in this process, sees.
"""

import argparse
import json
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import requests
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.slot_queue import quiet
from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import Proxy

MODEL = "leaving"
GOAL_MS = 50.0
WORKERS = (1, 2)
WAIT_S = 10.0
SILENT = Event()
"""Nobody sets it: the upstream holds until the client has gone."""
STAGES = {
    "prefill": Script.chat("a", "b", hold_before_head=SILENT),
    "decode": Script.chat("a", "b", hold_after=(1, SILENT)),
}
Times = dict[str, list[float]]


def request_bytes(proxy: Proxy) -> bytes:
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]})
    return (
        f"POST /api/chat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {proxy.token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def sent(proxy: Proxy, stack: ExitStack) -> socket.socket:
    """A client that has asked."""
    client = socket.create_connection(("127.0.0.1", proxy.port), WAIT_S)
    stack.callback(client.close)
    client.sendall(request_bytes(proxy))
    return client


class Line:
    """What the service says of the model, over one connection, as fast as it answers."""

    def __init__(self, proxy: Proxy) -> None:
        self._url, self._session = f"{proxy.url}/queue/stats", requests.Session()
        self._session.headers.update(proxy.headers())

    def wait_for(self, waiting: int) -> float:
        """When so many wait; the monotonic time of the answer that said so."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            models = self._session.get(self._url, timeout=WAIT_S).json()["models"]
            if models.get(MODEL, {}).get("queued_requests", 0) == waiting:
                return time.monotonic()
        raise SystemExit(f"there are never {waiting} that wait")

    def close(self) -> None:
        """Give the connection back."""
        self._session.close()


def leave_the_line(
    proxy: Proxy, upstream: DemoServer, rounds: int, tick: Callable[[], None]
) -> Times:
    """One holds the slot, others come to wait and leave."""
    upstream.reset()
    upstream.script(MODEL, STAGES["prefill"])
    taken: list[float] = []
    with ExitStack() as stack:
        line = Line(proxy)
        stack.callback(line.close)
        sent(proxy, stack)
        seen(upstream, lambda: upstream.active(MODEL) == 1)
        for _ in range(rounds):
            client = sent(proxy, stack)
            line.wait_for(1)
            left = time.monotonic()
            client.close()
            taken.append(1e3 * (line.wait_for(0) - left))
            tick()
    seen(upstream, lambda: upstream.active(MODEL) == 0)
    return {"place free": taken}


def leave_the_upstream(
    stage: str, proxy: Proxy, upstream: DemoServer, rounds: int, tick: Callable[[], None]
) -> Times:
    """Who holds the slot leaves, and who waits gets it, again and again."""
    upstream.reset()
    upstream.script(MODEL, STAGES[stage])
    noticed: list[float] = []
    handed: list[float] = []
    with ExitStack() as stack:
        line = Line(proxy)
        stack.callback(line.close)
        client = sent(proxy, stack)
        seen(upstream, lambda: stage_of(upstream) == [stage])
        for number in range(rounds):
            following = sent(proxy, stack)
            line.wait_for(1)
            left = time.monotonic()
            client.close()
            seen(upstream, lambda: len(upstream.disconnects) > number)  # noqa: B023 - called here
            seen(upstream, lambda: len(upstream.requests_to("/api/chat")) > number + 1)  # noqa: B023
            noticed.append(1e3 * (upstream.disconnects[-1].at_s - left))
            handed.append(1e3 * (upstream.requests_to("/api/chat")[-1].at_s - left))
            seen(upstream, lambda: stage_of(upstream) == [stage])
            client = following
            tick()
    seen(upstream, lambda: upstream.active(MODEL) == 0)
    return {"upstream told": noticed, "next one runs": handed}


def stage_of(upstream: DemoServer) -> list[str]:
    """Where the generations of the model stand that run."""
    return [running.stage for running in upstream.running if running.model == MODEL]


def seen(upstream: DemoServer, predicate: Callable[[], bool]) -> None:
    if not upstream.wait_for(predicate, WAIT_S):
        raise SystemExit("the upstream never saw what it should have")


def percentiles(stage: str, workers: int, times: Times) -> list[dict[str, Any]]:
    rows = []
    for what, taken in times.items():
        ordered = sorted(taken)
        picks = {"p50": len(ordered) // 2, "p99": int(0.99 * len(ordered)), "max": -1}
        figures = {name: round(ordered[place], 2) for name, place in picks.items()}
        rows.append({"workers": workers, "stage": stage, "what": what, **figures})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    quiet()
    rows: list[dict[str, Any]] = []
    with (
        DemoServer() as upstream,
        tempfile.TemporaryDirectory() as directory,
        Progress(console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("measuring", total=3 * given.rounds * len(WORKERS))
        for workers in WORKERS:
            settings = {"queue__parallel": 1, "server__workers": workers}
            with Proxy(Path(directory) / str(workers), upstream.url, **settings) as proxy:
                common = (proxy, upstream, given.rounds, lambda: progress.advance(task))
                rows += percentiles("queued", workers, leave_the_line(*common))
                for stage in STAGES:
                    rows += percentiles(stage, workers, leave_the_upstream(stage, *common))
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(title=f"ms after the client's close, {given.rounds} rounds; goal {GOAL_MS:g} ms")
    for head in ("workers", "client left while", "what", "p50", "p99", "max"):
        table.add_column(head)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
