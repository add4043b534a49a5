import io
import socket
import zlib
from collections.abc import Iterator

import falcon
import pytest
from falcon.testing import create_environ
from gunicorn.http.errors import InvalidHeader

from ogp.core.errors import (
    BodyTimeoutError,
    ClientGoneError,
    GatewayError,
    InvalidRequestError,
    TooLargeError,
    UnsupportedEncodingError,
)
from ogp.http.body import UPLOAD_PIECE_BYTES, discard_rest, read_body, upload_of
from ogp.settings.schema import LimitSettings

LIMITS = LimitSettings(max_body_bytes=100, body_timeout_s=0.05)


def make_request(body: bytes = b"", **headers: str) -> falcon.Request:
    environ = create_environ("/api/chat", method="POST", headers=headers)
    environ["wsgi.input"] = io.BytesIO(body)
    if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
        environ["CONTENT_LENGTH"] = str(len(body))
    return falcon.Request(environ)


class BrokenInput:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, size: int) -> bytes:
        raise self._error


def test_a_body_of_known_length_is_read_whole() -> None:
    assert read_body(make_request(b'{"a":1}'), LIMITS) == b'{"a":1}'


def test_a_chunked_body_is_read_whole() -> None:
    request = make_request(b'{"a":1}', **{"Transfer-Encoding": "chunked"})
    assert read_body(request, LIMITS) == b'{"a":1}'


def test_no_body_is_empty() -> None:
    assert read_body(make_request(), LIMITS) == b""


@pytest.mark.parametrize("encoding", ["br", "deflate, gzip", "gzip, gzip", "x", "zstd;q=1"])
def test_what_we_cannot_decode_could_not_be_scanned(encoding: str) -> None:
    request = make_request(**{"Content-Encoding": encoding, "Content-Length": "9"})
    request.env["wsgi.input"] = BrokenInput(AssertionError("read"))
    with pytest.raises(UnsupportedEncodingError):
        read_body(request, LIMITS)


def test_a_compressed_body_is_decoded() -> None:
    request = make_request(zlib.compress(b'{"a":1}'), **{"Content-Encoding": "deflate"})
    assert read_body(request, LIMITS) == b'{"a":1}'


def test_a_missing_body_may_call_itself_compressed() -> None:
    assert read_body(make_request(**{"Content-Encoding": "gzip"}), LIMITS) == b""


def test_identity_is_no_compression() -> None:
    assert read_body(make_request(b"{}", **{"Content-Encoding": "Identity"}), LIMITS) == b"{}"


def test_a_declared_length_over_the_limit_is_refused_unread() -> None:
    request = make_request(**{"Content-Length": "101"})
    request.env["wsgi.input"] = BrokenInput(AssertionError("read"))
    with pytest.raises(TooLargeError, match="max_body_bytes"):
        read_body(request, LIMITS)


def test_a_chunked_body_over_the_limit_is_refused() -> None:
    with pytest.raises(TooLargeError):
        read_body(make_request(b"x" * 101, **{"Transfer-Encoding": "chunked"}), LIMITS)


def test_a_body_shorter_than_declared_was_cut_by_its_client() -> None:
    with pytest.raises(ClientGoneError):
        read_body(make_request(b"x", **{"Content-Length": "2"}), LIMITS)


def test_a_length_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        read_body(make_request(b"x", **{"Content-Length": "+1"}), LIMITS)


@pytest.mark.parametrize(
    ("raised", "answered"),
    [
        (ConnectionResetError(), ClientGoneError),
        (OSError("bad chunk"), InvalidRequestError),
        (InvalidHeader("trailer"), InvalidRequestError),
        (TimeoutError(), BodyTimeoutError),
    ],
)
def test_what_goes_wrong_on_the_wire_has_its_own_refusal(
    raised: Exception, answered: type[GatewayError]
) -> None:
    request = make_request(b"x")
    request.env["wsgi.input"] = BrokenInput(raised)
    with pytest.raises(answered):
        read_body(request, LIMITS)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket.socketpair()
    with client, server:
        yield client, server


def test_a_client_that_stalls_is_not_waited_for(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, server = pair
    client.sendall(b"x")
    request = make_request(**{"Content-Length": "2"})
    request.env["gunicorn.socket"] = server
    request.env["wsgi.input"] = server.makefile("rb", buffering=0)
    with pytest.raises(BodyTimeoutError), request.env["wsgi.input"]:
        read_body(request, LIMITS)


def test_a_body_that_drips_past_its_deadline_is_refused() -> None:
    class Drip:
        def read(self, size: int) -> bytes:
            return b"x"

    request = make_request(**{"Transfer-Encoding": "chunked"})
    request.env["wsgi.input"] = Drip()
    limits = LimitSettings(body_timeout_s=0.01, max_body_bytes=10**9)
    with pytest.raises(BodyTimeoutError):
        read_body(request, limits)


def test_after_the_body_the_socket_waits_as_long_as_writing_may_take(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, server = pair
    client.sendall(b"xy")
    client.shutdown(socket.SHUT_WR)
    request = make_request(**{"Content-Length": "2"})
    request.env["gunicorn.socket"] = server
    request.env["wsgi.input"] = server.makefile("rb", buffering=0)
    with request.env["wsgi.input"]:
        assert read_body(request, LIMITS) == b"xy"
    assert server.gettimeout() == LIMITS.write_timeout_s


FILE = bytes(range(256)) * 2048
UPLOADS = LimitSettings(max_upload_bytes=len(FILE), body_timeout_s=0.05)


def test_a_file_is_read_while_it_goes_on() -> None:
    request = make_request(FILE)
    upload = upload_of(request, UPLOADS)
    assert upload.length == len(FILE)
    first = next(upload.chunks)
    assert (len(first), request.env["wsgi.input"].tell()) == (UPLOAD_PIECE_BYTES,) * 2
    assert first + b"".join(upload.chunks) == FILE


def test_a_chunked_file_has_no_length() -> None:
    upload = upload_of(make_request(FILE, **{"Transfer-Encoding": "chunked"}), UPLOADS)
    assert upload.length is None
    assert b"".join(upload.chunks) == FILE


def test_a_file_that_is_declared_too_large_is_not_begun() -> None:
    request = make_request(**{"Content-Length": str(len(FILE) + 1)})
    with pytest.raises(TooLargeError, match="max_upload_bytes"):
        upload_of(request, UPLOADS)


def test_a_chunked_file_that_becomes_too_large_is_ended() -> None:
    upload = upload_of(make_request(FILE + b"x", **{"Transfer-Encoding": "chunked"}), UPLOADS)
    with pytest.raises(TooLargeError, match="max_upload_bytes"):
        list(upload.chunks)


def test_a_file_is_never_decoded() -> None:
    with pytest.raises(UnsupportedEncodingError):
        upload_of(make_request(b"x", **{"Content-Encoding": "gzip"}), UPLOADS)
    request = make_request(b"x", **{"Content-Encoding": "IDENTITY"})
    assert list(upload_of(request, UPLOADS).chunks) == [b"x"]


def test_a_file_shorter_than_declared_was_cut_by_its_client() -> None:
    upload = upload_of(make_request(b"x", **{"Content-Length": "2"}), UPLOADS)
    with pytest.raises(ClientGoneError):
        list(upload.chunks)


@pytest.mark.parametrize(
    ("raised", "answered"),
    [
        (ConnectionResetError(), ClientGoneError),
        (InvalidHeader("trailer"), InvalidRequestError),
        (OSError("bad chunk"), InvalidRequestError),
        (TimeoutError(), BodyTimeoutError),
    ],
)
def test_what_goes_wrong_in_a_file_has_its_own_refusal(
    raised: Exception, answered: type[GatewayError]
) -> None:
    request = make_request(b"x")
    request.env["wsgi.input"] = BrokenInput(raised)
    with pytest.raises(answered):
        list(upload_of(request, UPLOADS).chunks)


def test_a_file_that_stands_still_is_not_waited_for(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, server = pair
    client.sendall(b"x")
    request = make_request(**{"Content-Length": str(len(FILE))})
    request.env["gunicorn.socket"] = server
    request.env["wsgi.input"] = server.makefile("rb", buffering=0)
    with pytest.raises(BodyTimeoutError), request.env["wsgi.input"]:
        list(upload_of(request, UPLOADS).chunks)


def test_after_a_file_the_socket_waits_as_long_as_writing_may_take(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, server = pair
    client.sendall(b"xy")
    client.shutdown(socket.SHUT_WR)
    request = make_request(**{"Content-Length": "2"})
    request.env["gunicorn.socket"] = server
    request.env["wsgi.input"] = server.makefile("rb", buffering=0)
    with request.env["wsgi.input"]:
        assert list(upload_of(request, UPLOADS).chunks) == [b"xy"]
    assert server.gettimeout() == UPLOADS.write_timeout_s


def test_a_refused_body_is_read_to_its_end() -> None:
    request = make_request(b"x" * 90)
    discard_rest(request, LIMITS)
    assert request.env["wsgi.input"].read() == b""


def test_of_an_endless_refused_body_no_more_is_read_than_a_body_may_have() -> None:
    read = []

    class Endless:
        def read(self, size: int) -> bytes:
            read.append(size)
            return b"x" * 60

    request = make_request(**{"Transfer-Encoding": "chunked"})
    request.env["wsgi.input"] = Endless()
    discard_rest(request, LIMITS)
    assert len(read) == 2


@pytest.mark.parametrize("length", ["101", "+1"])
def test_a_refused_body_that_is_declared_too_large_is_not_read(length: str) -> None:
    request = make_request(**{"Content-Length": length})
    request.env["wsgi.input"] = BrokenInput(AssertionError("read"))
    discard_rest(request, LIMITS)


@pytest.mark.parametrize("error", [ConnectionResetError(), InvalidHeader("x"), TimeoutError()])
def test_a_refused_body_that_breaks_changes_nothing(
    error: Exception, pair: tuple[socket.socket, socket.socket]
) -> None:
    request = make_request(b"x")
    request.env["wsgi.input"] = BrokenInput(error)
    request.env["gunicorn.socket"] = pair[1]
    discard_rest(request, LIMITS)
    assert pair[1].gettimeout() == LIMITS.write_timeout_s


def test_a_refused_body_that_drips_is_left_at_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ogp.http.body.DISCARD_S", 0.0)
    request = make_request(b"x")
    discard_rest(request, LIMITS)
    assert request.env["wsgi.input"].read() == b"x"
