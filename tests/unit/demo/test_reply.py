"""Framing of responses."""

import socket
from collections.abc import Iterator

import pytest

from ogp.demo.connection import Connection, RequestHead
from ogp.demo.reply import Reply
from ogp.demo.script import Framing


class Wire:
    """Both ends of a connection."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.client = socket.create_connection(listener.getsockname(), timeout=5)
            accepted, _ = listener.accept()
        self.connection = Connection(accepted)

    def read(self) -> bytes:
        """All that was sent."""
        self.connection.close()
        received = b""
        while piece := self.client.recv(65536):
            received += piece
        return received


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.client.close()
    made.connection.close()


def head(method: str = "GET", version: str = "HTTP/1.1", **headers: str) -> RequestHead:
    return RequestHead(method, "/", "/", "", version, headers, ())


def test_document_goes_out_with_its_length(wire: Wire) -> None:
    Reply(wire.connection, head()).json(200, {"a": "<"})
    sent_head, _, body = wire.read().partition(b"\r\n\r\n")
    assert sent_head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: application/json; charset=utf-8" in sent_head
    assert b"Content-Length: 14" in sent_head
    assert b"\r\nDate: " in sent_head
    assert b"Connection" not in sent_head
    assert body == b'{"a":"\\u003c"}'


def test_chunks_are_framed_one_by_one(wire: Wire) -> None:
    reply = Reply(wire.connection, head())
    reply.start(200, {"Content-Type": "x"})
    reply.chunk(b"hello world 123456")
    reply.chunk(b"")
    reply.chunk(b"b")
    reply.finish()
    sent_head, _, body = wire.read().partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in sent_head
    assert body == b"12\r\nhello world 123456\r\n1\r\nb\r\n0\r\n\r\n"


def test_old_clients_get_a_stream_that_ends_with_the_connection(wire: Wire) -> None:
    reply = Reply(wire.connection, head(version="HTTP/1.0", connection="keep-alive"))
    reply.start(200, {})
    reply.chunk(b"a")
    reply.finish()
    sent_head, _, body = wire.read().partition(b"\r\n\r\n")
    assert b"Connection: close" in sent_head
    assert body == b"a"
    assert not reply.keep_alive


def test_old_clients_may_keep_a_connection_for_documents(wire: Wire) -> None:
    Reply(wire.connection, head(version="HTTP/1.0", connection="keep-alive")).json(200, {})
    assert b"Connection: keep-alive" in wire.read()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_head_requests_get_no_body(wire: Wire, framing: Framing) -> None:
    reply = Reply(wire.connection, head("HEAD"))
    reply.start(200, {}, framing, 3, flush=False)
    reply.chunk(b"abc")
    reply.finish()
    assert wire.read().endswith(b"\r\n\r\n")


def test_status_without_a_name_gets_one(wire: Wire) -> None:
    Reply(wire.connection, head()).text(599, "x")
    assert wire.read().startswith(b"HTTP/1.1 599 status code 599\r\n")


def test_request_that_could_not_be_read_is_the_last_of_its_connection(wire: Wire) -> None:
    reply = Reply(wire.connection, None)
    reply.error(400, "bad")
    assert not reply.keep_alive
    assert b"Connection: close" in wire.read()
