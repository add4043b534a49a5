import zlib
from collections.abc import Iterator

import pytest

from ogp.cli import doctor_reply
from ogp.cli.doctor_reply import Incoming, Piece, Reader, Reply, WireError


def reader_of(*received: bytes) -> Reader:
    """What a socket gives, piece by piece, then its end."""
    pieces: Iterator[bytes] = iter(received)
    return Reader(lambda: next(pieces, b""))


def read(*received: bytes, is_head: bool = False) -> Reply:
    reader = reader_of(*received)
    status, headers = reader.head()
    return Incoming(reader, Reply(status, headers, 0.0), is_head=is_head).whole()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("cut", range(1, 90))
def test_chunks_are_read_wherever_the_network_cuts_them(cut: int) -> None:
    raw = CHUNKED + b"3;x=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n"
    reply = read(raw[:cut], raw[cut:])
    assert (reply.body, reply.ending) == (b"abc0123456789", "chunked")


def test_each_piece_has_its_own_time() -> None:
    reply = read(CHUNKED, b"1\r\na\r\n", b"1\r\nb\r\n1\r\nc\r\n", b"0\r\n\r\n")
    times = [piece.at_s for piece in reply.pieces]
    assert times[0] < times[1] == times[2]


@pytest.mark.parametrize(
    "rest", [b"", b"3\r\nab", b"3\r\nabc", b"3\r\nabc\r\n", b"3\r\nabc\r\n0\r\n", b"3\r\nabc\r\n0"]
)
def test_a_stream_without_its_last_chunk_is_cut(rest: bytes) -> None:
    assert read(CHUNKED + rest).ending == "cut"


@pytest.mark.parametrize("size", [b"zz", b"", b"-1", b"+1", b"0x1", 16 * b"1"])
def test_a_size_that_is_none_is_told(size: bytes) -> None:
    with pytest.raises(WireError, match="chunks of the answer are broken"):
        read(CHUNKED + size + b"\r\na\r\n")


@pytest.mark.parametrize(
    ("head", "body", "ending"),
    [
        (b"Content-Length: 3\r\n", b"abc", "length"),
        (b"Content-Length: 0\r\n", b"", "length"),
        (b"Content-Length: 4\r\n", b"abc", "cut"),
        (b"", b"abc", "close"),
    ],
)
def test_the_end_is_told_by_the_framing(head: bytes, body: bytes, ending: str) -> None:
    reply = read(b"HTTP/1.0 200 OK\r\n" + head + b"\r\n" + body)
    assert (reply.body, reply.ending) == (body, ending)


@pytest.mark.parametrize("status", [b"204", b"304"])
def test_some_answers_have_no_body(status: bytes) -> None:
    assert read(b"HTTP/1.1 " + status + b" X\r\n\r\nleft").body == b""


def test_the_answer_to_head_has_no_body() -> None:
    reply = read(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n", is_head=True)
    assert (reply.body, reply.ending) == (b"", "length")


@pytest.mark.parametrize("length", [b"x", b"-1", b"+1", 16 * b"9", b"1, 2"])
def test_a_length_that_is_none_is_told(length: bytes) -> None:
    with pytest.raises(WireError, match="no usable Content-Length"):
        read(b"HTTP/1.1 200 X\r\nContent-Length: " + length + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("received", "told"),
    [
        (b"", "closed without an answer"),
        (b"SSH-2.0-x\r\n\r\n", "not HTTP/1"),
        (b"HTTP/2 200\r\n\r\n", "not HTTP/1"),
        (b"HTTP/1.1 200 X\r\nA: b\r\n", "inside the head"),
        (b"HTTP/1.1 200 X\r\n" + 9000 * b"A: bbbbbbbb\r\n", "head of the answer is too long"),
        (100_000 * b"a", "line of the answer is too long"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_told(received: bytes, told: str) -> None:
    with pytest.raises(WireError, match=told):
        read(received)


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_reply, "MAX_BODY_BYTES", 10)
    with pytest.raises(WireError, match="too long"):
        read(b"HTTP/1.1 200 X\r\n\r\n", b"0123456789", b"0")


def reply_of(body: bytes, *headers: tuple[str, str]) -> Reply:
    return Reply(200, headers, 1.0, (Piece(1.5, body[:4]), Piece(2.0, body[4:])), "length")


def test_several_headers_of_one_name_are_joined() -> None:
    reply = reply_of(b"", ("Via", "a"), ("via", "b"))
    assert reply.header("VIA") == "a, b"
    assert reply.header("Server") is None


def test_a_content_type_is_told_without_its_parameters() -> None:
    assert reply_of(b"", ("Content-Type", "Text/HTML; charset=x")).content_type == "text/html"
    assert reply_of(b"").content_type == ""


def test_the_time_is_that_of_the_last_piece() -> None:
    assert reply_of(b"").took_ms == 1000.0
    assert Reply(200, (), 1.0).took_ms == 0.0


def test_a_document_is_read_and_anything_else_is_none() -> None:
    assert reply_of(b'{"a": 1}').document == {"a": 1}
    assert reply_of(b"<html>").document is None


@pytest.mark.parametrize(("name", "bits"), [("gzip", 31), ("Deflate", 15)])
def test_compressed_answers_are_read_as_clients_do(name: str, bits: int) -> None:
    packer = zlib.compressobj(wbits=bits)
    packed = packer.compress(b"sea") + packer.flush()
    assert reply_of(packed, ("Content-Encoding", name)).body == b"sea"


@pytest.mark.parametrize(
    ("name", "told"), [("br", "not asked for"), ("gzip", "not what gzip looks like")]
)
def test_what_cannot_be_decoded_is_told(name: str, told: str) -> None:
    with pytest.raises(WireError, match=told):
        _ = reply_of(b"plain text", ("Content-Encoding", name)).body


def test_a_bomb_is_put_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_reply, "MAX_BODY_BYTES", 1000)
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(bytes(100_000)) + packer.flush()
    with pytest.raises(WireError, match="too much"):
        _ = reply_of(packed, ("Content-Encoding", "gzip")).body
