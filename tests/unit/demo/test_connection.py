"""Reading requests off a socket, and noticing that the client has left."""

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event, Thread

import pytest

from ogp.demo.connection import BadRequestError, ClientGoneError, Connection


@dataclass
class Pair:
    client: socket.socket
    connection: Connection


def make_pair(**options: int) -> Pair:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=5)
        accepted, _ = listener.accept()
    connection = Connection(accepted, **options)  # type: ignore[arg-type]  # poll_rdhup only
    connection.open()
    return Pair(client, connection)


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = make_pair()
    yield made
    made.client.close()
    made.connection.close()


@pytest.fixture
def portable() -> Iterator[Pair]:
    """A pair on a system that tells of no FIN by itself."""
    made = make_pair(poll_rdhup=0)
    yield made
    made.client.close()
    made.connection.close()


def test_request_line_and_headers_are_read(pair: Pair) -> None:
    pair.client.sendall(b"POST /api/%67enerate?a=b HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a:2\r\n\r\n")
    head = pair.connection.read_head()
    assert head is not None
    assert (head.method, head.path, head.query) == ("POST", "/api/generate", "a=b")
    assert head.target == "/api/%67enerate?a=b"
    assert head.headers == {"host": "x", "x-a": "1, 2"}
    assert head.header_list == (("Host", "x"), ("X-A", "1"), ("x-a", "2"))


def test_absolute_target_is_routed_on_its_path(pair: Pair) -> None:
    pair.client.sendall(b"GET http://evil.example/api/tags HTTP/1.1\r\nHost: x\r\n\r\n")
    head = pair.connection.read_head()
    assert head is not None
    assert head.path == "/api/tags"


def test_asterisk_target_stays(pair: Pair) -> None:
    pair.client.sendall(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
    head = pair.connection.read_head()
    assert head is not None
    assert head.path == "*"


@pytest.mark.parametrize(
    ("line", "header", "keeps_alive"),
    [
        ("HTTP/1.1", "", True),
        ("HTTP/1.1", "Connection: close\r\n", False),
        ("HTTP/1.0", "", False),
        ("HTTP/1.0", "Connection: keep-alive\r\n", True),
    ],
)
def test_wish_to_keep_the_connection(pair: Pair, line: str, header: str, keeps_alive: bool) -> None:
    pair.client.sendall(f"GET / {line}\r\nHost: x\r\n{header}\r\n".encode())
    head = pair.connection.read_head()
    assert head is not None
    assert head.keeps_alive is keeps_alive


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"G@T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 1001 + b"\r\n", 431),
        (b"GET /" + b"a" * 70_000, 431),
    ],
)
def test_malformed_head_is_refused(pair: Pair, raw: bytes, status: int) -> None:
    sender = Thread(target=pair.client.sendall, args=(raw,))
    sender.start()
    with pytest.raises(BadRequestError) as refused:
        pair.connection.read_head()
    sender.join(5)
    assert refused.value.status == status


def read_body(pair: Pair, headers: str, body: bytes) -> bytes:
    pair.client.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode() + body)
    head = pair.connection.read_head()
    assert head is not None
    return b"".join(pair.connection.read_body(head))


def test_body_is_read_by_its_length_and_no_further(pair: Pair) -> None:
    assert read_body(pair, "Content-Length: 2\r\n", b"ab\r\nGET / HTTP/1.1\r\n") == b"ab"
    pair.client.sendall(b"Host: x\r\n\r\n")
    head = pair.connection.read_head()
    assert head is not None
    assert head.method == "GET"


def test_chunked_body_is_read_with_extensions_and_trailers(pair: Pair) -> None:
    body = b"2;x=y\r\nab\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
    assert read_body(pair, "Transfer-Encoding: chunked\r\n", body) == b"ab0123456789"


def test_chunked_wins_over_a_length(pair: Pair) -> None:
    headers = "Content-Length: 100\r\nTransfer-Encoding: chunked\r\n"
    assert read_body(pair, headers, b"1\r\na\r\n0\r\n\r\n") == b"a"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ("Transfer-Encoding: gzip\r\n", b"", 501),
        ("Content-Length: +14\r\n", b"", 400),
        ("Content-Length: \u00b2\r\n", b"", 400),
        ("Content-Length: 1\r\nContent-Length: 2\r\n", b"", 400),
        ("Transfer-Encoding: chunked\r\n", b"zz\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", b"\r\n", 400),
        ("Expect: miracles\r\n", b"", 417),
    ],
)
def test_malformed_body_framing_is_refused(
    pair: Pair, headers: str, body: bytes, status: int
) -> None:
    with pytest.raises(BadRequestError) as refused:
        read_body(pair, headers, body)
    assert refused.value.status == status


def test_client_that_waits_for_100_is_told_to_continue(pair: Pair) -> None:
    assert read_body(pair, "Expect: 100-continue\r\nContent-Length: 1\r\n", b"a") == b"a"
    assert pair.client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_client_that_leaves_between_requests_is_no_error(pair: Pair) -> None:
    pair.client.close()
    assert pair.connection.read_head() is None


@pytest.mark.parametrize("part", [b"GET / HT", b"GET / HTTP/1.1\r\nHos"])
def test_client_that_leaves_inside_a_head_is_gone(pair: Pair, part: bytes) -> None:
    pair.client.sendall(part)
    pair.client.close()
    with pytest.raises(ClientGoneError):
        pair.connection.read_head()


def test_client_that_leaves_inside_a_body_is_gone(pair: Pair) -> None:
    pair.client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
    pair.client.close()
    head = pair.connection.read_head()
    assert head is not None
    with pytest.raises(ClientGoneError):
        list(pair.connection.read_body(head))


def test_reading_from_a_reset_connection_is_a_client_gone(pair: Pair) -> None:
    pair.client.sendall(b"GET")
    Connection(pair.client).reset()
    with pytest.raises(ClientGoneError):
        pair.connection.read_head()


def test_silence_ends_within_milliseconds_when_the_client_leaves(pair: Pair) -> None:
    pair.client.close()
    began = time.monotonic()
    with pytest.raises(ClientGoneError):
        pair.connection.wait(None)
    assert time.monotonic() - began < 0.5


def test_silence_lasts_as_long_as_asked_while_the_client_stays(pair: Pair) -> None:
    began = time.monotonic()
    pair.connection.wait(0.02)
    assert time.monotonic() - began >= 0.02


def test_next_request_sent_early_is_no_leaving(pair: Pair) -> None:
    pair.client.sendall(b"GET / HTTP/1.1\r\n")
    pair.connection.wait(0.01)


def test_open_gate_holds_nobody(pair: Pair) -> None:
    gate = Event()
    gate.set()
    pair.connection.wait_for(gate)


def test_gate_holds_until_it_is_set(pair: Pair) -> None:
    gate, passed = Event(), Event()

    def wait() -> None:
        pair.connection.wait_for(gate)
        passed.set()

    waiter = Thread(target=wait)
    waiter.start()
    assert not passed.wait(0.03)
    gate.set()
    assert passed.wait(5)
    waiter.join(5)


def test_client_that_leaves_at_a_gate_is_gone(pair: Pair) -> None:
    pair.client.close()
    with pytest.raises(ClientGoneError):
        pair.connection.wait_for(Event())


def test_portable_watch_sees_a_fin(portable: Pair) -> None:
    portable.client.close()
    with pytest.raises(ClientGoneError):
        portable.connection.wait(None)


def test_portable_watch_sees_a_reset(portable: Pair) -> None:
    Connection(portable.client).reset()
    with pytest.raises(ClientGoneError):
        portable.connection.wait(None)


def test_portable_watch_takes_an_early_request_for_no_leaving(portable: Pair) -> None:
    portable.client.sendall(b"GET / HTTP/1.1\r\n")
    began = time.monotonic()
    portable.connection.wait(0.02)
    assert time.monotonic() - began >= 0.02


def test_portable_watch_sees_the_end_behind_an_early_request_when_it_is_reset(
    portable: Pair,
) -> None:
    portable.client.sendall(b"G")
    Connection(portable.client).reset()
    with pytest.raises(ClientGoneError):
        portable.connection.wait(None)


def test_writing_to_a_client_that_left_is_a_client_gone(pair: Pair) -> None:
    pair.connection.shut_down()
    with pytest.raises(ClientGoneError):
        pair.connection.send(b"x")


def test_shutting_down_a_closed_connection_does_nothing(pair: Pair) -> None:
    pair.connection.close()
    pair.connection.shut_down()


def test_reset_reaches_the_client_as_a_reset(pair: Pair) -> None:
    pair.connection.reset()
    with pytest.raises(ConnectionResetError):
        pair.client.recv(1)


def test_lingering_lets_the_answer_arrive_before_unread_bytes_reset_it(pair: Pair) -> None:
    pair.client.sendall(b"unread")
    pair.connection.send(b"answer")
    pair.client.shutdown(socket.SHUT_WR)
    pair.connection.linger()
    pair.connection.close()
    assert pair.client.recv(100) == b"answer"
    assert pair.client.recv(100) == b""
