"""One client socket: requests in, bytes out at once, and an eye on whether the client is there."""

import re
import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from urllib.parse import unquote

_LINE_BYTES = 64 * 1024
_HEADERS = 1000
_READ_BYTES = 64 * 1024
_SHORTEST_POLL_S = 0.001
_LONGEST_POLL_S = 0.032
"""A gate is looked at so often, in seconds: hundreds of streams may wait at one."""
_LINGER_S = 0.5
_LINGER_BYTES = 256 * 1024
_POLL_RDHUP = getattr(select, "POLLRDHUP", 0)
"""Linux tells of a peer's FIN by itself; elsewhere a readable socket is looked into."""
_BAD_ESCAPE = re.compile("%(?![0-9a-fA-F]{2})")


class ClientGoneError(Exception):
    """The client closed or reset its connection."""


class HangUpError(Exception):
    """The look-alike ends the connection on purpose."""


class BadRequestError(Exception):
    """Not HTTP as Go's server takes it."""

    def __init__(self, status: int, reason: str) -> None:
        """Keep the status of the refusal."""
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RequestHead:
    """Request line and headers."""

    method: str
    target: str
    path: str
    """The decoded path, without the query."""
    query: str
    version: str
    headers: Mapping[str, str]
    """Names in lower case; repeated ones joined with a comma."""
    header_list: tuple[tuple[str, str], ...]
    """Names and values as they came."""

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants the connection kept."""
        wish = self.headers.get("connection", "").lower()
        return wish == "keep-alive" if self.version == "HTTP/1.0" else wish != "close"


class Connection:
    """Reads requests from one socket and writes to it. Owned by one thread, except `shut_down`."""

    def __init__(
        self, client: socket.socket, *, is_local: bool = True, poll_rdhup: int = _POLL_RDHUP
    ) -> None:
        """Store the socket.

        Args:
            client: connected.
            is_local: the peer is on this machine's loopback.
            poll_rdhup: the event that tells of a FIN alone; 0 where there is none.
        """
        self._socket = client
        self._poll_rdhup = poll_rdhup
        self.is_local = is_local
        self._buffer = bytearray()
        self._poll = select.poll()

    def open(self) -> None:
        """Send small writes at once, and start to watch the client."""
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll.register(self._socket, self._poll_rdhup or select.POLLIN)

    def close(self) -> None:
        """End the connection with a FIN, or with an RST where unread bytes remain."""
        self._socket.close()

    def linger(self) -> None:
        """Send a FIN and read on a little, so that no RST overtakes the answer."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(_LINGER_S)
            left = _LINGER_BYTES
            while left > 0 and (received := self._socket.recv(_READ_BYTES)):
                left -= len(received)

    def reset(self) -> None:
        """End the connection with an RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def shut_down(self) -> None:
        """Wake the owning thread, which finds its client gone. For other threads."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # closed already

    def send(self, chunk: bytes) -> None:
        """Write all of it.

        Raises:
            ClientGoneError: the client is not there any more.
        """
        try:
            self._socket.sendall(chunk)
        except OSError as error:
            raise ClientGoneError from error

    def wait(self, seconds: float | None) -> None:
        """Stay silent for so long, or for ever, but no longer than the client stays.

        Raises:
            ClientGoneError: the client left meanwhile.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            if seen := self._poll.poll(None if left_s is None else left_s * 1e3):
                self._check_presence(seen[0][1], left_s)
            if deadline is not None and time.monotonic() >= deadline:
                return

    def wait_for(self, gate: Event) -> None:
        """Stay silent until the gate is set.

        Raises:
            ClientGoneError: the client left meanwhile.
        """
        pause_s = _SHORTEST_POLL_S
        while not gate.is_set():
            self.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_POLL_S)

    def _check_presence(self, events: int, left_s: float | None) -> None:
        """Tell a client that left from one that sent its next request early."""
        if events & (self._poll_rdhup | select.POLLHUP | select.POLLERR):
            raise ClientGoneError
        try:
            early = self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError as error:
            raise ClientGoneError from error
        if not early:
            raise ClientGoneError
        time.sleep(_LONGEST_POLL_S if left_s is None else min(_LONGEST_POLL_S, left_s))

    def read_head(self) -> RequestHead | None:
        """Read up to the empty line; None when the client left between two requests.

        Raises:
            BadRequestError: it is malformed.
            ClientGoneError: the client left half-way.
        """
        line = self._first_line()
        if line is None:
            return None
        parts = line.split(" ")
        if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0") or not parts[0].isalpha():
            raise BadRequestError(400, "Bad Request")
        header_list = tuple(self._headers())
        headers: dict[str, str] = {}
        for name, value in header_list:
            name = name.lower()
            if name in headers and name in ("host", "content-length") and headers[name] != value:
                raise BadRequestError(400, f"Bad Request: repeated {name}")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if parts[2] == "HTTP/1.1" and "host" not in headers:
            raise BadRequestError(400, "Bad Request: missing required Host header")
        path, _, query = _origin_form(parts[1]).partition("?")
        if _BAD_ESCAPE.search(path):
            raise BadRequestError(400, "Bad Request")
        return RequestHead(parts[0], parts[1], unquote(path), query, parts[2], headers, header_list)

    def read_body(self, head: RequestHead) -> Iterator[bytes]:
        """Read the body in pieces, chunked or by its length.

        Raises:
            BadRequestError: the framing is malformed.
            ClientGoneError: the client left half-way.
        """
        coding = head.headers.get("transfer-encoding")
        if coding is not None and coding.lower() != "chunked":
            raise BadRequestError(501, "Not Implemented: unsupported transfer encoding")
        length = head.headers.get("content-length", "0")
        if coding is None and not (length.isascii() and length.isdigit()):
            raise BadRequestError(400, "Bad Request: bad Content-Length")
        expected = head.headers.get("expect", "").lower()
        if expected == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif expected:
            raise BadRequestError(417, "Expectation Failed")
        if coding is None:
            yield from self._exactly(int(length))
            return
        while size := self._chunk_size():
            yield from self._exactly(size)
            self._line()
        while self._line():
            pass  # trailers

    def _chunk_size(self) -> int:
        digits = self._line().partition(";")[0].strip()
        if not digits or set(digits) - set("0123456789abcdefABCDEF"):
            raise BadRequestError(400, "Bad Request: malformed chunked encoding")
        return int(digits, 16)

    def _headers(self) -> Iterator[tuple[str, str]]:
        for _ in range(_HEADERS):
            line = self._line()
            if not line:
                return
            name, colon, value = line.partition(":")
            if not colon or not name or set(name) & set(" \t"):
                raise BadRequestError(400, "Bad Request")
            yield name, value.strip(" \t")
        raise BadRequestError(431, "Request Header Fields Too Large")

    def _first_line(self) -> str | None:
        try:
            return self._line() or self._line()  # an empty line before a request is allowed
        except ClientGoneError:
            if self._buffer:
                raise
            return None

    def _line(self) -> str:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LINE_BYTES:
                raise BadRequestError(431, "Request Header Fields Too Large")
            self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r").decode("latin-1")

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size > 0:
            if not self._buffer:
                self._fill()
            piece = bytes(self._buffer[:size])
            del self._buffer[:size]
            size -= len(piece)
            yield piece

    def _fill(self) -> None:
        try:
            received = self._socket.recv(_READ_BYTES)
        except OSError as error:
            raise ClientGoneError from error
        if not received:
            raise ClientGoneError
        self._buffer += received


def _origin_form(target: str) -> str:
    """The path of `http://host/path`, which Go routes whatever the host is."""
    if target.startswith("/"):
        return target
    _, scheme, rest = target.partition("://")
    return "/" + rest.partition("/")[2] if scheme else target
