"""A service that is told to stop while requests wait."""

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

import pytest

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import Proxy, raw_connection
from tests.support.waiting import held, wait_until

MODEL = "demo-tokens-2-0ms"


def stop(proxy: Proxy) -> None:
    assert proxy.process is not None
    proxy.process.send_signal(signal.SIGTERM)
    proxy.output.wait_for("Handling signal: term")


@pytest.mark.parametrize("workers", [1, 2])
def test_who_waits_when_the_service_is_stopped_is_served(
    workers: int, upstream: DemoServer, tmp_path: Path
) -> None:
    proxy = Proxy(tmp_path, upstream.url, queue__parallel=1, server__workers=workers).start()
    with held(proxy, upstream, MODEL) as crowd:
        crowd.send_in_turn(*(f"waits-{number}" for number in range(4)))
        stop(proxy)
        crowd.let_go()
    assert [answer.status_code for answer in crowd.answers.values()] == [200] * 5
    assert proxy.wait() == 0
    assert [row["outcome"] for row in proxy.rows()] == ["complete"] * 5


def test_who_still_waits_when_the_graceful_time_ends_is_refused(
    upstream: DemoServer, tmp_path: Path
) -> None:
    proxy = Proxy(
        tmp_path,
        upstream.url,
        queue__parallel=1,
        queue__keepalive_s=0.1,
        server__graceful_timeout_s=4,
    ).start()
    upstream.script(MODEL, Script.generate("a", hold_after=(1, Event())))
    with asked(proxy, stream=False) as running:
        wait_until(proxy, MODEL, active_requests=1)
        with asked(proxy, stream=False) as waiting, asked(proxy, stream=True) as streaming:
            wait_until(proxy, MODEL, queued_requests=2)
            stop(proxy)
            assert b"HTTP/1.1 503 Service Unavailable" in everything(waiting)
            assert b'{"error":"queue_full"' in everything(streaming)
        assert everything(running) == b""  # the end: what runs is cut off
    assert proxy.wait() == 0
    codes = {row["error_code"]: row["outcome"] for row in proxy.rows("state = 'finished'")}
    assert set(codes) == {"queue_full"}


@contextmanager
def asked(proxy: Proxy, *, stream: bool) -> Iterator[socket.socket]:
    body = json.dumps({"model": MODEL, "prompt": "hi", "stream": stream})
    with raw_connection(proxy) as connection:
        connection.sendall(
            f"POST /api/generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {proxy.token}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
        )
        yield connection


def everything(connection: socket.socket) -> bytes:
    """What comes until the end, however that looks."""
    received = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(4096):
            received += piece
    return received
