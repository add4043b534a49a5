"""A slot is held from the grant to the last byte, and given back however the request ends."""

import json
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

import pytest

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import Proxy

WAIT_S = 10.0
MODEL = "hold"
ABORTS = 500


@pytest.fixture(scope="module")
def shared_proxy(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """One slot per model."""
    with Proxy(tmp_path_factory.mktemp("proxy"), shared_upstream.url, queue__parallel=1) as proxy:
        yield proxy


def request_bytes(proxy: Proxy, model: str = MODEL, path: str = "/api/chat") -> bytes:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]})
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {proxy.token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=WAIT_S)


@contextmanager
def asking(proxy: Proxy, model: str = MODEL) -> Iterator[socket.socket]:
    """A request that has been sent and whose answer nobody has read yet."""
    with connect(proxy) as connection:
        connection.sendall(request_bytes(proxy, model))
        yield connection


def figures(proxy: Proxy, model: str = MODEL) -> tuple[int, int]:
    """(running, waiting) as the proxy itself tells."""
    models = proxy.get("/queue/stats").json()["models"]
    entry = models.get(model, {"active_requests": 0, "queued_requests": 0})
    return entry["active_requests"], entry["queued_requests"]


def wait_for_figures(proxy: Proxy, expected: tuple[int, int], model: str = MODEL) -> None:
    """Ask until the figures are there; each answer takes a round trip, so this is no busy loop."""
    deadline = monotonic() + WAIT_S
    while (seen := figures(proxy, model)) != expected:
        assert monotonic() < deadline, f"{seen} instead of {expected}"


def test_five_streams_under_limit_one_never_run_two_at_once(
    proxy: Proxy, upstream: DemoServer
) -> None:
    answers: list[bytes] = []

    def ask() -> None:
        answer = proxy.post(
            "/api/chat",
            {"model": "demo-tokens-20-2ms", "messages": [{"role": "user", "content": "hi"}]},
        )
        answers.append(answer.content)

    threads = [Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(answers) == 5
    assert all(b'"done":true' in answer for answer in answers)
    assert upstream.max_active() == 1
    wait_for_figures(proxy, (0, 0), "demo-tokens-20-2ms")


def test_a_client_that_leaves_in_the_queue_leaves_nothing_behind(
    proxy: Proxy, upstream: DemoServer
) -> None:
    release = Event()
    upstream.script(MODEL, Script.chat("first", hold_before_head=release), Script.chat("next"))
    with asking(proxy) as running:
        assert upstream.wait_for(lambda: upstream.active() == 1, WAIT_S)
        with asking(proxy):
            wait_for_figures(proxy, (1, 1))
        wait_for_figures(proxy, (1, 0))
        release.set()
        assert running.recv(12) == b"HTTP/1.1 200"
    wait_for_figures(proxy, (0, 0))
    assert len(upstream.requests_to("/api/chat")) == 1


@pytest.mark.parametrize("stage", ["prefill", "decode"])
def test_a_client_that_leaves_stops_the_generation_and_frees_the_slot(
    proxy: Proxy, upstream: DemoServer, stage: str
) -> None:
    hold = {"hold_before_head": Event()} if stage == "prefill" else {"hold_after": (2, Event())}
    upstream.script(MODEL, Script.chat("a", "b", "c", **hold), Script.chat("next"))
    with asking(proxy) as connection:
        assert upstream.wait_for(lambda: upstream.active() == 1, WAIT_S)
        if stage == "decode":
            assert b"200 OK" in connection.recv(4096)
        left = monotonic()
    assert upstream.wait_for(lambda: upstream.disconnects, WAIT_S)
    (seen,) = upstream.disconnects
    assert seen.stage == stage
    assert seen.at_s - left < 1.0
    assert proxy.post("/api/chat", {"model": MODEL, "messages": []}).status_code == 200
    wait_for_figures(proxy, (0, 0))


def test_an_upstream_that_breaks_frees_the_slot(proxy: Proxy, upstream: DemoServer) -> None:
    upstream.script(MODEL, Script.chat("a", "b", end="reset"), Script.chat("next"))
    broken = proxy.post("/api/chat", {"model": MODEL, "messages": []})
    assert b"upstream_error" in broken.content
    assert proxy.post("/api/chat", {"model": MODEL, "messages": []}).status_code == 200
    wait_for_figures(proxy, (0, 0))


def test_the_wait_for_a_slot_counts_towards_the_request_timeout(
    upstream: DemoServer, directory: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Proxy(
        tmp_path_factory.mktemp("proxy"),
        upstream.url,
        queue__parallel=1,
        queue__request_timeout_s=0.5,
    ) as proxy:
        upstream.script(MODEL, Script.chat("a", "b", hold_after=(1, Event())))
        with asking(proxy) as running:
            assert running.recv(12) == b"HTTP/1.1 200"
            answer = proxy.post("/api/chat", {"model": MODEL, "messages": []})
        assert answer.status_code == 504
        assert answer.json() == {
            "error": "timeout",
            "code": "timeout",
            "message": "Request timed out. Please try again with a shorter prompt or later.",
            "model": MODEL,
        }
        (row,) = proxy.rows("response_status = 504")
        assert 400 < row["response_time_ms"] < 3000


def test_a_full_queue_is_503_at_once(
    upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Proxy(
        tmp_path_factory.mktemp("proxy"), upstream.url, queue__parallel=1, queue__max_queue=1
    ) as proxy:
        upstream.script(MODEL, Script.chat("a", hold_before_head=Event()))
        with asking(proxy), asking(proxy):
            wait_for_figures(proxy, (1, 1))
            answer = proxy.post("/api/chat", {"model": MODEL, "messages": []})
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "2"
            assert answer.json() == {
                "error": "queue_full",
                "code": "queue_full",
                "message": "Server is currently busy processing other requests. "
                "Please try again later.",
                "model": MODEL,
            }
            assert proxy.get("/health").status_code == 200


class Aborter:
    """A client that leaves at a moment nobody chose."""

    def __init__(self, proxy: Proxy, seed: int) -> None:
        self._proxy, self._random = proxy, random.Random(seed)

    def run(self, times: int) -> None:
        for _ in range(times):
            self._abort_once()

    def _abort_once(self) -> None:
        chance = self._random
        model = chance.choice(["hang-prefill", "demo-tokens-30-1ms", "hang-decode", "demo"])
        sent = request_bytes(self._proxy, model)
        if chance.random() < 0.1:
            sent = sent[: chance.randrange(1, len(sent))]
        with connect(self._proxy) as connection:
            connection.sendall(sent)
            connection.settimeout(chance.choice([0.001, 0.01, 0.05]))
            try:
                for _ in range(chance.randrange(4)):
                    connection.recv(256)
            except TimeoutError:
                pass  # the point is to leave without an answer
            if chance.random() < 0.5:  # RST instead of FIN
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.timeout(180)
def test_random_aborts_leak_nothing(proxy: Proxy, upstream: DemoServer) -> None:
    worker = proxy.worker()
    proxy.get("/health")
    files_before = worker.num_fds()
    with asking(proxy, "hang-prefill"):  # the others may all leave before they get so far
        assert upstream.wait_for(lambda: upstream.active() == 1, WAIT_S)
    clients = [Aborter(proxy, seed) for seed in range(10)]
    threads = [Thread(target=client.run, args=(ABORTS // 10,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    for model in ("hang-prefill", "demo-tokens-30-1ms", "hang-decode", "demo"):
        wait_for_figures(proxy, (0, 0), model)
    assert upstream.wait_for(lambda: upstream.active() == 0, WAIT_S)
    assert upstream.max_active("hang-prefill") == 1
    assert proxy.get("/health").json()["performance"]["in_flight"] == 0
    for model in ("demo", "demo-tokens-30-1ms"):
        answer = proxy.post(
            "/api/chat", {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        )
        assert answer.status_code == 200
    assert proxy.rows("state = 'started'") == []
    # What stays open is the pool of connections to the upstream, one per request at a time.
    assert worker.num_fds() < files_before + 20
