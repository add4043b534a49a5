"""Several workers, and workers that replace each other, share one limit, one line and one count."""

import json
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Condition, Event, Thread
from time import monotonic

import psutil
import pytest

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import START_TIMEOUT_S, Proxy

WAIT_S = 20.0
MODEL = "burst"
PARALLEL, MAX_QUEUE = 4, 20
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": False}
KILLS = 50


class Burst:
    """Requests that are sent at once; counts the answers by status. Thread-safe."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._changed = Condition()  # guards the counter
        self.statuses: Counter[int] = Counter()
        self._threads: list[Thread] = []

    def send(self, count: int) -> None:
        threads = [Thread(target=self._ask) for _ in range(count)]
        self._threads += threads
        for thread in threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(WAIT_S)
            assert not thread.is_alive()

    def wait_for_refused(self, count: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.statuses[503] >= count, WAIT_S)
            assert self.statuses == {503: count}

    def _ask(self) -> None:
        status = self._proxy.post("/api/chat", CHAT, timeout=60).status_code
        with self._changed:
            self.statuses[status] += 1
            self._changed.notify_all()


def figures(proxy: Proxy, model: str = MODEL) -> dict[str, int]:
    """What whichever worker answers says of the model; no connection is kept."""
    entry = proxy.get("/queue/stats").json()["models"].get(model, {})
    names = ("active_requests", "queued_requests", "total_processed", "total_rejected")
    return {name: entry.get(name, 0) for name in names}


def wait_for(proxy: Proxy, model: str = MODEL, **expected: int) -> None:
    """Ask until the figures are there; each answer takes a round trip, so this is no busy loop."""
    deadline = monotonic() + WAIT_S
    while not expected.items() <= (seen := figures(proxy, model)).items():
        assert monotonic() < deadline, f"{seen} instead of {expected}"


@contextmanager
def proxy_with(workers: int, upstream: DemoServer, directory: Path) -> Iterator[Proxy]:
    with Proxy(
        directory,
        upstream.url,
        server__workers=workers,
        queue__parallel=PARALLEL,
        queue__max_queue=MAX_QUEUE,
    ) as proxy:
        yield proxy


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_burst_gets_exactly_as_many_answers_whatever_the_number_of_workers(
    workers: int, upstream: DemoServer, tmp_path: Path
) -> None:
    release = Event()
    upstream.script(MODEL, Script.chat("hi", hold_before_head=release))
    with proxy_with(workers, upstream, tmp_path) as proxy:
        burst = Burst(proxy)
        burst.send(100)
        burst.wait_for_refused(100 - PARALLEL - MAX_QUEUE)
        wait_for(proxy, active_requests=PARALLEL, queued_requests=MAX_QUEUE)
        release.set()
        burst.join()
        assert burst.statuses == {200: PARALLEL + MAX_QUEUE, 503: 100 - PARALLEL - MAX_QUEUE}
        assert upstream.max_active(MODEL) == PARALLEL
        wait_for(proxy, active_requests=0, queued_requests=0)
        told = [figures(proxy) for _ in range(4 * workers)]
        assert told == [told[0]] * len(told)
        assert told[0]["total_processed"] == PARALLEL + MAX_QUEUE
        assert told[0]["total_rejected"] == 100 - PARALLEL - MAX_QUEUE


@pytest.mark.parametrize("workers", [1, 4])
def test_draining_and_new_workers_share_one_limit(
    workers: int, upstream: DemoServer, tmp_path: Path
) -> None:
    release = Event()
    upstream.script(MODEL, Script.chat("hi", hold_before_head=release))
    with proxy_with(workers, upstream, tmp_path) as proxy:
        burst = Burst(proxy)
        burst.send(PARALLEL + 10)
        wait_for(proxy, active_requests=PARALLEL, queued_requests=10)
        assert proxy.process is not None
        proxy.process.send_signal(signal.SIGHUP)
        proxy.output.wait_for('"event":"started"', START_TIMEOUT_S, times=2 * workers)
        burst.send(60)
        burst.wait_for_refused(50)
        wait_for(proxy, active_requests=PARALLEL, queued_requests=MAX_QUEUE)
        release.set()
        burst.join()
        assert burst.statuses == {200: PARALLEL + MAX_QUEUE, 503: 50}
        assert upstream.max_active(MODEL) == PARALLEL
        wait_for(proxy, active_requests=0, queued_requests=0)


def request_bytes(proxy: Proxy) -> bytes:
    body = json.dumps(CHAT)
    return (
        f"POST /api/chat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {proxy.token}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    ).encode()


def connected(
    proxy: Proxy, workers: list[psutil.Process], stack: ExitStack, each: int
) -> dict[int, list[socket.socket]]:
    """At least so many idle connections to each of these workers, by process id.

    The kernel gives a new connection to whichever worker asks first, hence they are opened until
    there are enough; a worker that asks for the first byte of one has accepted it.
    """
    mine: dict[int, socket.socket] = {}
    deadline = monotonic() + WAIT_S
    while True:
        held: dict[int, list[socket.socket]] = {worker.pid: [] for worker in workers}
        for worker in workers:
            for connection in worker.net_connections("tcp"):
                if connection.raddr and connection.raddr.port in mine:
                    held[worker.pid].append(mine[connection.raddr.port])
        if all(len(sockets) >= each for sockets in held.values()):
            return held
        assert monotonic() < deadline
        sock = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), WAIT_S))
        mine[sock.getsockname()[1]] = sock


@pytest.mark.timeout(400)
def test_kill_9_of_the_worker_with_all_slots_serves_those_who_wait_elsewhere(
    upstream: DemoServer, tmp_path: Path
) -> None:
    with proxy_with(2, upstream, tmp_path) as proxy:
        sent = request_bytes(proxy)
        for round_no in range(KILLS):
            upstream.reset()
            hold = Event()
            held = [Script.chat("held", hold_before_head=hold)] * PARALLEL
            upstream.script(MODEL, *held, Script.chat("served"))
            with ExitStack() as stack:
                doomed, survivor = proxy.workers()
                sockets = connected(proxy, [doomed, survivor], stack, 6)
                for sock in sockets[doomed.pid][:PARALLEL]:
                    sock.sendall(sent)
                wait_for(proxy, active_requests=PARALLEL)
                for sock in sockets[survivor.pid][:6]:
                    sock.sendall(sent)
                wait_for(proxy, active_requests=PARALLEL, queued_requests=6)
                killed_at = monotonic()
                proxy.kill_worker(doomed)
                for sock in sockets[survivor.pid][:6]:
                    assert sock.recv(12) == b"HTTP/1.1 200", f"round {round_no}"
                assert monotonic() - killed_at < 2.0 + 1.0, f"round {round_no}"
                hold.set()
            wait_for(proxy, active_requests=0, queued_requests=0)
