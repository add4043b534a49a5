"""Answers of HTTP/1.1 as they arrive: when each piece came, how it was cut, and how it ended.

A client library hides all of that, and it is what `ogp doctor` looks for.
"""

import re
import time
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 16 * 1024 * 1024
"""Longest answer that is read, also decoded."""
STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: .*)?")
SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?")
WITHOUT_BODY = frozenset({204, 304})
_WINDOW_BITS = {"gzip": 31, "deflate": 15}

Headers = Sequence[tuple[str, str]]


class WireError(Exception):
    """No answer, or one that is not HTTP. The message never repeats what was sent."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a body, and when they came (`time.perf_counter()`, seconds)."""

    at_s: float
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    headers: Headers
    sent_at_s: float
    """When the last byte of the request was written."""
    pieces: tuple[Piece, ...] = ()
    ending: str = "cut"
    """How its end was told: by `length`, `chunked`, or `close`; `cut`: it was not."""
    interim: tuple[int, ...] = ()
    """Statuses of 1xx that came before."""

    def header(self, name: str) -> str | None:
        """The value, several ones joined by commas; None where it is missing."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else None

    @property
    def content_type(self) -> str:
        """Without its parameters, in lower case; empty where it is missing."""
        return (self.header("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def body(self) -> bytes:
        """As a client would read it."""
        return b"".join(piece.body for piece in self.plain_pieces())

    @property
    def document(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return orjson.loads(self.body)
        except ValueError:
            return None

    @property
    def took_ms(self) -> float:
        """From the last byte of the request to the last one of the answer."""
        last_s = self.pieces[-1].at_s if self.pieces else self.sent_at_s
        return 1e3 * (last_s - self.sent_at_s)

    def plain_pieces(self) -> Iterator[Piece]:
        """The pieces, decoded as a client would.

        Raises:
            WireError: they are not what `Content-Encoding` says.
        """
        encoding = (self.header("Content-Encoding") or "identity").strip().lower()
        if encoding == "identity":
            yield from self.pieces
            return
        if encoding not in _WINDOW_BITS:
            raise WireError("the answer has a Content-Encoding that was not asked for")
        decoder = zlib.decompressobj(_WINDOW_BITS[encoding])
        room = MAX_BODY_BYTES
        for piece in self.pieces:
            try:
                plain = decoder.decompress(piece.body, room)
            except zlib.error:
                raise WireError(f"the answer is not what {encoding} looks like") from None
            room -= len(plain)
            if room <= 0:
                raise WireError("the answer decodes to too much")
            yield Piece(piece.at_s, plain)


class Reader:
    """Lines and pieces of what a socket gives. Not thread-safe."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        """Keep where bytes come from.

        Args:
            receive: waits for bytes; none when the peer has closed, `WireError` when none came in
                time.
        """
        self._receive = receive
        self._ahead = bytearray()
        self._at_s = 0.0

    def fill(self) -> bool:
        """Wait for bytes; False when the peer has closed."""
        received = self._receive()
        self._at_s = time.perf_counter()
        self._ahead += received
        return bool(received)

    def take(self, most: int) -> Piece | None:
        """What is there of so many bytes, waiting for the first; None when the peer has closed."""
        if not self._ahead and not self.fill():
            return None
        body = bytes(self._ahead[:most])
        del self._ahead[:most]
        return Piece(self._at_s, body)

    def line(self) -> bytes | None:
        """The next line without its end; None when the peer closes before that.

        Raises:
            WireError: it is too long, or does not come in time.
        """
        while (end := self._ahead.find(b"\n")) < 0:
            if len(self._ahead) > MAX_HEAD_BYTES:
                raise WireError("a line of the answer is too long")
            if not self.fill():
                return None
        line = bytes(self._ahead[:end]).removesuffix(b"\r")
        del self._ahead[: end + 1]
        return line

    def head(self) -> tuple[int, Headers]:
        """Status and headers of the next answer.

        Raises:
            WireError: none came in time, or it is not HTTP.
        """
        first = self.line()
        if first is None:
            raise WireError("the connection was closed without an answer")
        match = STATUS_LINE.fullmatch(first)
        if match is None:
            raise WireError("the answer is not HTTP/1")
        headers: list[tuple[str, str]] = []
        size = 0
        while line := self.line():
            size += len(line)
            if size > MAX_HEAD_BYTES:
                raise WireError("the head of the answer is too long")
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name.strip(), value.strip()))
        if line is None:
            raise WireError("the connection was closed inside the head of the answer")
        return int(match[1]), tuple(headers)


class Incoming:
    """An answer whose head is there. Iterate once over `pieces`, then ask `ending`."""

    def __init__(self, reader: Reader, reply: Reply, *, is_head: bool = False) -> None:
        self._reader, self.reply = reader, reply
        self._is_head = is_head
        self.ending = "cut"

    def whole(self) -> Reply:
        """The answer with its body.

        Raises:
            WireError: it is too long, or stands still for too long.
        """
        pieces: list[Piece] = []
        size = 0
        for piece in self.pieces():
            size += len(piece.body)
            if size > MAX_BODY_BYTES:
                raise WireError("the answer is too long")
            pieces.append(piece)
        return replace(self.reply, pieces=tuple(pieces), ending=self.ending)

    def pieces(self) -> Iterator[Piece]:
        """Of the body, without its framing, each as soon as it is there."""
        reply = self.reply
        coding, length = reply.header("Transfer-Encoding"), reply.header("Content-Length")
        if self._is_head or reply.status in WITHOUT_BODY:
            self.ending = "length"
        elif coding is not None:
            yield from self._chunked()
        elif length is None:
            yield from self._until_closed()
        elif length.isascii() and length.isdigit() and len(length) <= 15:
            if (yield from self._sized(int(length))):
                self.ending = "length"
        else:
            raise WireError("the answer has no usable Content-Length")

    def _sized(self, left: int) -> Generator[Piece, None, bool]:
        while left:
            piece = self._reader.take(left)
            if piece is None:
                return False
            left -= len(piece.body)
            yield piece
        return True

    def _until_closed(self) -> Iterator[Piece]:
        while (piece := self._reader.take(MAX_HEAD_BYTES)) is not None:
            yield piece
        self.ending = "close"

    def _chunked(self) -> Iterator[Piece]:
        while (line := self._reader.line()) is not None:
            match = SIZE.fullmatch(line)
            if match is None:
                raise WireError("the chunks of the answer are broken")
            size = int(match[1], 16)
            if size == 0:
                self.ending = "chunked" if self._trailers() else "cut"
                return
            if not (yield from self._sized(size)) or self._reader.line() is None:
                return

    def _trailers(self) -> bool:
        while line := self._reader.line():
            pass
        return line is not None
