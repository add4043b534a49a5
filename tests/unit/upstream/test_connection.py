import socket
from threading import Event

import pytest
from urllib3.exceptions import HTTPError

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from ogp.upstream.connection import (
    HangableHTTPSPool,
    SocketUse,
    StaleConnectionError,
    announce,
    open_pool,
)

WAIT_S = 5.0


def test_the_socket_is_announced_before_the_request_is_sent() -> None:
    with DemoServer() as server:
        uses: list[SocketUse] = []

        def announced(use: SocketUse) -> None:
            assert server.requests == []
            uses.append(use)

        announce.set(announced)
        pool = open_pool(server.url, max_connections=1)
        pool.urlopen("GET", "/api/version")
        assert len(uses) == 1
        pool.close()


def test_a_late_hang_up_does_not_touch_the_next_request_on_the_socket() -> None:
    with DemoServer() as server:
        uses: list[SocketUse] = []
        announce.set(uses.append)
        pool = open_pool(server.url, max_connections=1)
        pool.urlopen("GET", "/api/version")
        release = Event()
        server.script("/api/tags", Script(chunks=[b"{}", b"[]"], hold_after=(1, release)))
        response = pool.urlopen("GET", "/api/tags", preload_content=False)
        assert uses[0].sock is uses[1].sock
        uses[0].hang_up()
        release.set()
        assert response.read() == b"{}[]"
        pool.close()


def test_a_hang_up_of_a_closed_socket_is_harmless() -> None:
    with DemoServer() as server:
        uses: list[SocketUse] = []
        announce.set(uses.append)
        pool = open_pool(server.url, max_connections=1)
        pool.urlopen("GET", "/api/version")
        pool.close()
        uses[0].hang_up()
        assert uses[0].sock.fileno() == -1


def test_a_hang_up_ends_the_current_request() -> None:
    with DemoServer() as server:
        announce.set(lambda use: use.hang_up())
        server.script("/api/tags", Script(chunks=[b"{}"]))
        pool = open_pool(server.url, max_connections=1)
        with pytest.raises(HTTPError):
            pool.urlopen("GET", "/api/tags", retries=False)
        pool.close()


def test_https_servers_get_verified_tls() -> None:
    pool = open_pool("https://127.0.0.1:1", max_connections=1)
    assert isinstance(pool, HangableHTTPSPool)
    assert pool.port == 1


def test_ipv6_addresses_are_understood() -> None:
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    with listener:
        port = listener.getsockname()[1]
        announce.set(lambda use: None)
        pool = open_pool(f"http://[::1]:{port}", max_connections=1)
        assert pool.port == port
        connection = pool.ConnectionCls(host=pool.host, port=port)
        connection.connect()
        connection.close()


def broken_pipe(*_arguments: object) -> None:
    raise BrokenPipeError


@pytest.mark.parametrize(("uses", "kind"), [(1, HTTPError), (2, StaleConnectionError)])
def test_only_a_kept_connection_that_breaks_while_sending_is_stale(
    monkeypatch: pytest.MonkeyPatch, uses: int, kind: type[Exception]
) -> None:
    with DemoServer() as server:
        announce.set(lambda _: None)
        pool = open_pool(server.url, max_connections=1)
        for _ in range(uses - 1):
            pool.urlopen("GET", "/api/version")
        monkeypatch.setattr(pool.ConnectionCls, "endheaders", broken_pipe)
        with pytest.raises(kind):
            pool.urlopen("GET", "/api/version", timeout=0.2)
        pool.close()
