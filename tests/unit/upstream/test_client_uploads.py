"""Files on their way to a server, and servers that take their time over what installs models."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from threading import Thread, Timer

import pytest

from ogp.core.errors import ClientGoneError, UpstreamError
from ogp.core.types import InferenceRequest, Route, Upload
from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from ogp.settings.schema import UpstreamSettings
from ogp.upstream.client import UpstreamClient
from tests.support.stages import make_exchange

WAIT_S = 5.0
PIECES = [bytes([number]) * 256 * 1024 for number in range(32)]
FILE = b"".join(PIECES)
DIGEST = f"sha256:{sha256(FILE).hexdigest()}"


def make_request(pieces: Iterator[bytes], length: int | None = None) -> InferenceRequest:
    return InferenceRequest(
        dialect="ollama",
        operation="blob",
        method="POST",
        upstream_path=f"/api/blobs/{DIGEST}",
        upload=Upload(pieces, length),
        scanned=False,
        queued=False,
        managed=True,
    )


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as server:
        yield server


@pytest.fixture
def client() -> Iterator[UpstreamClient]:
    settings = UpstreamSettings(idle_timeout_s=1.0, connect_timeout_s=0.05)
    client = UpstreamClient(settings, max_connections=8)
    yield client
    client.stop()


def sent(client: UpstreamClient, url: str, request: InferenceRequest) -> tuple[int, bytes]:
    with client.send(request, Route("lab", url), make_exchange()) as response:
        return response.status, b"".join(response.chunks)


@pytest.mark.parametrize("length", [len(FILE), None])
def test_a_file_goes_on_in_the_form_in_which_it_came(
    client: UpstreamClient, server: DemoServer, length: int | None
) -> None:
    assert sent(client, server.url, make_request(iter(PIECES), length)) == (201, b"")
    (seen,) = server.requests
    assert seen.headers.get("content-length") == (None if length is None else str(length))
    assert seen.headers.get("transfer-encoding") == ("chunked" if length is None else None)
    assert seen.headers["content-type"] == "application/octet-stream"


def test_an_empty_file_is_a_file(client: UpstreamClient, server: DemoServer) -> None:
    digest = f"sha256:{sha256().hexdigest()}"
    request = replace(make_request(iter([]), 0), upstream_path=f"/api/blobs/{digest}")
    assert sent(client, server.url, request)[0] == 201


def test_a_client_that_leaves_inside_its_file_ends_it(
    client: UpstreamClient, server: DemoServer
) -> None:
    def broken() -> Iterator[bytes]:
        yield from PIECES[:3]
        raise ClientGoneError("gone")

    for length in (len(FILE), None):
        with pytest.raises(ClientGoneError):
            sent(client, server.url, make_request(broken(), length))
    assert server.wait_for(lambda: server.connections == 0, WAIT_S)
    head = replace(make_request(iter([])), method="HEAD", upload=None)
    assert sent(client, server.url, head)[0] == 404


@pytest.fixture
def lazy() -> Iterator[socket.socket]:
    """A server that takes a connection and then does what the test says."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_may_take_longer_for_a_piece_than_for_connecting(
    client: UpstreamClient, lazy: socket.socket
) -> None:
    def serve() -> None:
        connection, _ = lazy.accept()
        with connection, connection.makefile("rb") as received:
            while received.readline().strip():
                pass
            received.read(len(FILE))
            connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

    busy = Timer(0.3, serve)
    busy.start()
    assert sent(client, url_of(lazy), make_request(iter(PIECES), len(FILE))) == (201, b"")
    busy.join(WAIT_S)


def test_a_server_that_takes_nothing_is_given_up(lazy: socket.socket) -> None:
    client = UpstreamClient(UpstreamSettings(idle_timeout_s=0.2), max_connections=1)
    with pytest.raises(UpstreamError):
        sent(client, url_of(lazy), make_request(iter(PIECES), len(FILE)))
    client.stop()


def test_an_answer_that_comes_before_the_end_of_the_file_is_heard(
    client: UpstreamClient, lazy: socket.socket
) -> None:
    accepted: list[socket.socket] = []

    def serve() -> None:
        connection, _ = lazy.accept()
        accepted.append(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        while connection.recv(65536):
            pass

    answering = Thread(target=serve)
    answering.start()
    assert sent(client, url_of(lazy), make_request(iter(PIECES), len(FILE))) == (200, b"")
    client.stop()
    answering.join(WAIT_S)
    accepted[0].close()


def test_what_installs_models_may_be_silent_inside_its_answer(server: DemoServer) -> None:
    client = UpstreamClient(UpstreamSettings(idle_timeout_s=0.05), max_connections=1)
    server.script("/api/pull", Script(chunks=[b"{}\n", b"{}\n"], interval_s=0.2))
    request = replace(make_request(iter([])), upstream_path="/api/pull", upload=None, body=b"{}")
    assert sent(client, server.url, request) == (200, b"{}\n{}\n")
    with pytest.raises(UpstreamError, match="nothing for"):
        sent(client, server.url, replace(request, managed=False))
    client.stop()
