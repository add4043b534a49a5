import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from ogp.cli import doctor_wire
from ogp.cli.doctor_reply import WireError
from ogp.cli.doctor_wire import RIGHT_URL, Address, Wire, parse_url
from tests.support.little_server import (
    CERTIFICATE,
    WAIT_S,
    LittleServer,
    always,
    answer,
    little_server,
)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://a", Address("http", "a", 80)),
        ("https://a/", Address("https", "a", 443)),
        ("http://a:8080/ollama/", Address("http", "a", 8080, "/ollama")),
        ("http://[::1]:1", Address("http", "::1", 1)),
        ("HTTP://A.b", Address("http", "a.b", 80)),
    ],
)
def test_urls_are_read(url: str, address: Address) -> None:
    assert parse_url(url) == address


@pytest.mark.parametrize(
    "url",
    ["", "a", "a:80", "ftp://a", "http://", "http://a:x", "http://a:99999", "http://u:p@a", "http://a?b",
     "http://a#b", "http://a b", "http://a\r\nX: y", "http://[::1", "http://ä", "http://@a"],
)  # fmt: skip
def test_what_is_no_base_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="say http://HOST:PORT") as caught:
        parse_url(url)
    assert str(caught.value) == RIGHT_URL


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://a", "a"),
        ("http://a:443", "a:443"),
        ("https://a", "a"),
        ("http://[::1]:1", "[::1]:1"),
    ],
)
def test_the_usual_port_is_left_out(url: str, authority: str) -> None:
    address = parse_url(url + "/x")
    assert address.authority == authority
    assert address.url == f"{url}/x"


def wire_to(server: LittleServer, prefix: str = "", timeout_s: float = WAIT_S) -> Wire:
    return Wire(parse_url(server.url + prefix), timeout_s)


def test_a_request_is_sent_under_the_prefix_with_what_it_needs() -> None:
    with little_server(always(answer(200, "hi"))) as server:
        reply = wire_to(server, "/pre").request("POST", "/x", headers=(("A", "b"),), body=b"{}")
        (asked,) = server.asked
        assert (asked.method, asked.path, asked.body) == ("POST", "/pre/x", b"{}")
        assert asked.headers["host"] == f"127.0.0.1:{server.port}"
        assert (asked.headers["a"], asked.headers["connection"]) == ("b", "close")
    assert (reply.status, reply.body, reply.ending) == (200, b"hi", "length")


def test_a_header_that_is_given_is_not_sent_twice() -> None:
    with little_server(always(answer(200))) as server:
        wire_to(server).request("GET", "/", headers=(("Host", "other"),))
        hosts = [line for line in server.asked[0].lines if line.lower().startswith("host:")]
    assert hosts == ["Host: other"]


def test_a_connection_serves_several_requests() -> None:
    server = little_server(always(answer(200, "hi")))
    with server as running, wire_to(running).connected() as connection:
        for _ in range(3):
            connection.send("GET", "/")
            assert connection.begin().whole().body == b"hi"
        assert connection.local_address == "127.0.0.1"
        assert (connection.certificate(), connection.tls_version()) == ({}, "")


def test_interim_answers_are_passed_over_and_kept() -> None:
    raw = b"HTTP/1.1 103 X\r\nA: b\r\n\r\n" + answer(200, "hi")
    with little_server(always(raw)) as server:
        reply = wire_to(server).request("GET", "/")
    assert (reply.status, reply.interim, reply.body) == (200, (103,), b"hi")


def test_the_rest_is_all_that_comes() -> None:
    with (
        little_server(always([b"HTTP/1.1 400 X\r\n\r\n", b"and more"])) as server,
        wire_to(server).connected() as connection,
    ):
        connection.send("GET", "/")
        assert connection.rest() == b"HTTP/1.1 400 X\r\n\r\nand more"


@contextmanager
def silent_port(backlog: int = 8) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        yield listener.getsockname()[1]


def test_silence_ends_with_the_time() -> None:
    with silent_port() as port:
        wire = Wire(parse_url(f"http://127.0.0.1:{port}"), 0.1)
        with pytest.raises(WireError, match="no answer in time"):
            wire.request("GET", "/")
        with wire.connected() as connection:
            assert connection.rest() == b""
            with pytest.raises(WireError, match="no answer in time"):
                connection.write(b"x")


def test_a_request_that_nobody_takes_ends_with_the_time() -> None:
    with (
        silent_port() as port,
        Wire(parse_url(f"http://127.0.0.1:{port}"), 0.2).connected() as connection,
        pytest.raises(WireError, match="not taken in time"),
    ):
        connection.write(bytes(64 * 1024 * 1024))


def test_a_handshake_that_nobody_answers_ends_with_the_time() -> None:
    with silent_port() as port, pytest.raises(WireError, match="no connection in time"):
        Wire(parse_url(f"https://127.0.0.1:{port}"), 0.1).request("GET", "/")


def test_nobody_there_is_told() -> None:
    with silent_port() as port:
        pass
    with pytest.raises(WireError, match="no connection: Connection refused"):
        Wire(parse_url(f"http://127.0.0.1:{port}"), WAIT_S).request("GET", "/")


def test_a_name_that_cannot_be_is_told() -> None:
    with pytest.raises(WireError, match="no name of a host"):
        Wire(parse_url(f"http://{70 * 'a'}.invalid"), WAIT_S).request("GET", "/")


def test_a_peer_that_hangs_up_before_the_end_of_the_request_may_have_answered() -> None:
    server = little_server(always(answer(413, "much")))
    with server as running, wire_to(running).connected() as connection:
        connection.send("POST", "/", headers=(("Content-Length", "9999999999"),))
        assert connection.begin().whole().status == 413


def test_tls_is_spoken_with_whom_one_trusts() -> None:
    with little_server(always(answer(200, "hi")), tls=True) as server:
        trusting = ssl.create_default_context(cafile=CERTIFICATE)
        wire = Wire(parse_url(server.url), WAIT_S, trusting)
        with wire.connected() as connection:
            assert connection.certificate()["notAfter"].endswith("GMT")
            assert connection.tls_version().startswith("TLSv1.")
            connection.send("GET", "/")
            assert connection.begin().whole().body == b"hi"


def test_a_certificate_that_nobody_knows_is_refused_before_a_token_is_sent() -> None:
    with little_server(always(answer(200, "hi")), tls=True) as server:
        wire = Wire(parse_url(server.url), WAIT_S)
        with pytest.raises(WireError, match="certificate is refused: self-signed"):
            wire.request("GET", "/", headers=(("Authorization", "Bearer x"),))
        assert server.asked == []


def test_a_server_without_tls_is_told() -> None:
    def speak(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client:
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            client.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=speak, args=(listener,), daemon=True).start()
        wire = Wire(parse_url(f"https://127.0.0.1:{listener.getsockname()[1]}"), WAIT_S)
        with pytest.raises(WireError, match="TLS fails: WRONG_VERSION_NUMBER"):
            wire.request("GET", "/")


def test_a_connection_that_was_closed_here_is_told() -> None:
    with little_server(always(answer(200))) as server, wire_to(server).connected() as connection:
        pass
    with pytest.raises(WireError, match="the connection broke: OSError"):
        connection.write(b"x")


def test_a_reset_is_an_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(parse_url(f"http://127.0.0.1:{listener.getsockname()[1]}"), WAIT_S)
        with wire.connected() as connection:
            client, _ = listener.accept()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            assert connection.rest() == b""


def test_what_comes_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_wire, "MAX_REST_BYTES", 10)
    with (
        little_server(always([bytes(100), bytes(100)])) as server,
        wire_to(server).connected() as connection,
    ):
        connection.send("GET", "/")
        assert 10 <= len(connection.rest()) <= 200
