"""What a full queue costs everybody else: how fast the next one is refused, how fast /health is.

`python -m bench.overload [--json]`, from the repository root, about 30 seconds. All slots and all
places are taken by requests that the upstream never answers; then one client after the other asks.
Each figure stands beside that of the same service at rest.
"""

import argparse
import json
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.proxy import look_alike
from bench.slot_queue import quiet
from tests.support.proxy import Proxy

MODEL = "hang-prefill"
ASK = {"model": MODEL, "prompt": "Test", "stream": False}
SERVICES = (("memory", 1), ("local", 1), ("local", 2))
"""State backend and worker processes."""
FILL_S = 30.0
Figures = dict[str, float]


def timed_ms(ask: Callable[[], requests.Response], status: int, times: int) -> Figures:
    """Percentiles of the time for an answer, which must have this status."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        answer = ask()
        taken.append(1e3 * (time.perf_counter() - started))
        if answer.status_code != status:
            raise SystemExit(f"status {answer.status_code} instead of {status}: {answer.text}")
    taken.sort()
    ranks = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        name: round(taken[min(int(rank * times), times - 1)], 2) for name, rank in ranks.items()
    }


def request_bytes(proxy: Proxy) -> bytes:
    """One that is never answered."""
    body = json.dumps(ASK)
    return (
        f"POST /api/generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {proxy.token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


@contextmanager
def full(proxy: Proxy, slots: int, places: int) -> Iterator[None]:
    """All slots and places are taken; the clients leave at the end."""
    with ExitStack() as stack:
        for _ in range(slots + places):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 10))
            client.sendall(request_bytes(proxy))
        wait_for(proxy, slots, places)
        yield
    wait_for(proxy, 0, 0)


def wait_for(proxy: Proxy, active: int, waiting: int) -> None:
    deadline = time.monotonic() + FILL_S
    while True:
        entry = proxy.get("/queue/stats").json()["models"][MODEL]
        seen = entry["active_requests"], entry["queued_requests"]
        if seen == (active, waiting):
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"active and waiting are {seen} instead of {(active, waiting)}")
        time.sleep(0.05)  # not measured: until the queue is full, at most FILL_S


def measured(
    upstream: str, directory: Path, kind: str, workers: int, given: argparse.Namespace
) -> dict[str, Any]:
    """One service at rest and full."""
    settings = {"queue__parallel": given.slots, "queue__max_queue": given.places}
    settings |= {"state__backend": kind, "server__workers": workers}
    with Proxy(directory, upstream, **settings) as proxy, requests.Session() as session:
        session.headers.update(proxy.headers())

        def health() -> requests.Response:
            return session.get(f"{proxy.url}/health", timeout=10)

        def ask() -> requests.Response:
            return session.post(f"{proxy.url}/api/generate", json=ASK, timeout=10)

        timed_ms(health, 200, 20)
        rest = timed_ms(health, 200, given.times)
        with full(proxy, given.slots, given.places):
            refused = timed_ms(ask, 503, given.times)
            healthy = timed_ms(health, 200, given.times)
            connected = timed_ms(lambda: proxy.get("/health"), 200, given.times)
    return {
        "state": kind,
        "workers": workers,
        "health_at_rest_ms": rest,
        "refusal_ms": refused,
        "health_ms": healthy,
        "health_new_connection_ms": connected,
        "ratio_health": round(healthy["p50"] / rest["p50"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--places", type=int, default=512)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    quiet()
    rows = []
    with (
        look_alike() as upstream,
        tempfile.TemporaryDirectory() as directory,
        Progress(console=Console(stderr=True)) as progress,
    ):
        for kind, workers in progress.track(SERVICES, description="measuring"):
            home = Path(directory) / f"{kind}-{workers}"
            rows.append(measured(upstream, home, kind, workers, given))
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(title=f"{given.slots} slots and {given.places} places taken; ms, p50 / p99 / max")
    for head in (
        "state",
        "workers",
        "/health at rest",
        "503",
        "/health",
        "x",
        "/health, new conn.",
    ):
        table.add_column(head, justify="right")
    for row in rows:
        names = ("health_at_rest_ms", "refusal_ms", "health_ms", "health_new_connection_ms")
        told = [" / ".join(f"{value:.1f}" for value in row[name].values()) for name in names]
        ratio = f"{row['ratio_health']:.1f}"
        table.add_row(row["state"], str(row["workers"]), *told[:3], ratio, told[3])
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
