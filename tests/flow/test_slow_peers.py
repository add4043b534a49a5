"""Clients that send or read slowly, on purpose or not, keep nobody else from being served."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic

import pytest

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import Proxy, raw_connection

CHAT = {"model": "demo", "messages": [{"role": "user", "content": "hi"}], "stream": False}
SLOW_CLIENTS = 100


@pytest.fixture(scope="module")
def shared_proxy(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    with Proxy(
        tmp_path_factory.mktemp("proxy"),
        shared_upstream.url,
        queue__parallel=1,
        limits__body_timeout_s=1.0,
        limits__write_timeout_s=1.0,
    ) as proxy:
        yield proxy


def head(proxy: Proxy, length: int) -> bytes:
    return (
        f"POST /api/chat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {proxy.token}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def received(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_a_body_that_does_not_come_is_given_up(proxy: Proxy, upstream: DemoServer) -> None:
    with raw_connection(proxy) as connection:
        connection.sendall(head(proxy, 100) + b'{"model":')
        assert connection.recv(12) == b"HTTP/1.1 408"
    assert upstream.requests == []


def test_many_half_sent_requests_keep_nobody_waiting(proxy: Proxy, upstream: DemoServer) -> None:
    with ExitStack() as stack:
        for _ in range(SLOW_CLIENTS):
            connection = stack.enter_context(raw_connection(proxy))
            connection.sendall(head(proxy, 100) + b"{")
        started = monotonic()
        for _ in range(5):
            assert proxy.post("/api/chat", CHAT).status_code == 200
        assert proxy.get("/health").status_code == 200
        assert monotonic() - started < 10


def test_a_client_that_does_not_read_loses_its_slot(proxy: Proxy, upstream: DemoServer) -> None:
    chunks = [b'{"message":{"content":"%s"}}\n' % (b"x" * 60_000)] * 400
    upstream.script("wide", Script(chunks=chunks))
    body = json.dumps({**CHAT, "model": "wide", "stream": True}).encode()
    with raw_connection(proxy) as connection:
        connection.sendall(head(proxy, len(body)) + body)
        assert connection.recv(12) == b"HTTP/1.1 200"
        assert upstream.wait_for(lambda: upstream.disconnects, 15)
    upstream.script("wide", Script.document({"done": True}))
    answer = proxy.post("/api/chat", {**CHAT, "model": "wide"})
    assert answer.status_code == 200
    assert proxy.rows("model = 'wide'")[0]["outcome"] == "client_closed"


def test_a_client_that_reads_slowly_but_reads_gets_everything(
    proxy: Proxy, upstream: DemoServer
) -> None:
    chunks = [b'{"message":{"content":"%s"}}\n' % (b"y" * 30_000)] * 50
    upstream.script("wide", Script(chunks=chunks))
    body = json.dumps({**CHAT, "model": "wide", "stream": True}).encode()
    sent = head(proxy, len(body)).replace(b"Host", b"Connection: close\r\nHost")
    with raw_connection(proxy) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(sent + body)
        assert received(connection).count(b'"content"') == 50
