"""Connections of one's own, for what no client library would send."""

import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ogp import __version__
from ogp.cli.doctor_reply import Headers, Incoming, Reader, Reply, WireError

RECEIVE_BYTES = 64 * 1024
MAX_REST_BYTES = 1024 * 1024
RIGHT_URL = "say http://HOST:PORT or https://HOST, perhaps with a path, without user and password"
_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is."""

    scheme: str
    host: str
    port: int
    prefix: str = ""
    """Path in front of every path, without a slash at its end."""

    @property
    def authority(self) -> str:
        """What the `Host` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _USUAL_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"{self.scheme}://{self.authority}{self.prefix}"


def parse_url(text: str) -> Address:
    """Read a base URL.

    Raises:
        ValueError: it is none; says what would be right, and repeats nothing of it.
    """
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ValueError(RIGHT_URL) from None
    is_plain = text.isascii() and text.isprintable() and not {" ", "?", "#", "@"} & set(text)
    if parts.scheme not in _USUAL_PORTS or not host or not is_plain:
        raise ValueError(RIGHT_URL)
    usual = _USUAL_PORTS[parts.scheme]
    return Address(parts.scheme, host, usual if port is None else port, parts.path.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Wire:
    """Opens connections to one server. Thread-safe."""

    address: Address
    timeout_s: float = 30.0
    """Of one request, from its connection to its last byte."""
    tls: ssl.SSLContext | None = field(default=None, compare=False)
    """None trusts whom this machine trusts."""

    @contextmanager
    def connected(self, timeout_s: float | None = None) -> "Iterator[Connection]":
        """A connection, closed at the end.

        Raises:
            WireError: there is none to be had; says why.
        """
        deadline_s = time.perf_counter() + (timeout_s or self.timeout_s)
        try:
            sock = self._opened(deadline_s)
        except TimeoutError:
            raise WireError("no connection in time") from None
        except ssl.SSLCertVerificationError as error:
            raise WireError(f"the certificate is refused: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise WireError(f"TLS fails: {error.reason or 'the peer hung up'}") from None
        except OSError as error:
            raise WireError(f"no connection: {error.strerror or type(error).__name__}") from None
        except UnicodeError:
            raise WireError("no connection: this is no name of a host") from None
        try:
            yield Connection(sock, deadline_s, self.address)
        finally:
            sock.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Headers = (),
        body: bytes | None = None,
        version: str = "1.1",
    ) -> Reply:
        """One request on a connection of its own.

        Raises:
            WireError: no answer, or one that is not HTTP.
        """
        with self.connected() as connection:
            headers = (("Connection", "close"), *headers)
            connection.send(method, path, headers=headers, body=body, version=version)
            return connection.begin(is_head=method == "HEAD").whole()

    def _opened(self, deadline_s: float) -> socket.socket:
        left_s = max(0.01, deadline_s - time.perf_counter())
        sock = socket.create_connection((self.address.host, self.address.port), timeout=left_s)
        if self.address.scheme == "http":
            return sock
        try:
            context = self.tls or ssl.create_default_context()
            return context.wrap_socket(sock, server_hostname=self.address.host)
        except BaseException:
            sock.close()
            raise


class Connection:
    """One socket, all of whose requests together have until one deadline. Not thread-safe."""

    def __init__(self, sock: socket.socket, deadline_s: float, address: Address) -> None:
        self._sock, self._deadline_s, self._address = sock, deadline_s, address
        self._reader = Reader(self._receive)
        self._sent_at_s = time.perf_counter()

    @property
    def local_address(self) -> str:
        """Which of our addresses is used."""
        return str(self._sock.getsockname()[0])

    def certificate(self) -> Mapping[str, Any]:
        """Of the peer; empty without TLS."""
        return (self._sock.getpeercert() or {}) if isinstance(self._sock, ssl.SSLSocket) else {}

    def tls_version(self) -> str:
        """E.g. `TLSv1.3`; empty without TLS."""
        return (self._sock.version() or "") if isinstance(self._sock, ssl.SSLSocket) else ""

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Headers = (),
        body: bytes | None = None,
        version: str = "1.1",
    ) -> None:
        """Write one request; a header that is given is not made up here."""
        given = {name.lower() for name, _ in headers}
        usual = {"Host": self._address.authority, "User-Agent": f"ogp-doctor/{__version__}"}
        if body is not None and "transfer-encoding" not in given:
            usual["Content-Length"] = str(len(body))
        lines = [f"{method} {self._address.prefix}{path} HTTP/{version}"]
        lines += [f"{name}: {value}" for name, value in usual.items() if name.lower() not in given]
        lines += [f"{name}: {value}" for name, value in headers]
        self.write("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))

    def write(self, raw: bytes) -> None:
        """Write bytes as they are.

        Raises:
            WireError: they are not taken in time.
        """
        try:
            self._sock.settimeout(self._left_s())
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have answered before
                self._sock.sendall(raw)
        except TimeoutError:
            raise WireError("the request was not taken in time") from None
        except OSError as error:
            raise WireError(f"the connection broke: {type(error).__name__}") from None
        self._sent_at_s = time.perf_counter()

    def begin(self, *, is_head: bool = False) -> Incoming:
        """Wait for the head of an answer.

        Raises:
            WireError: none came in time, or it is not HTTP.
        """
        interim: list[int] = []
        while True:
            status, headers = self._reader.head()
            if status >= 200:
                reply = Reply(status, headers, self._sent_at_s, interim=tuple(interim))
                return Incoming(self._reader, reply, is_head=is_head)
            interim.append(status)

    def interim(self) -> int:
        """Wait for the head of anything, 1xx as well; its status."""
        status, _ = self._reader.head()
        return status

    def rest(self) -> bytes:
        """All that comes until the peer closes, or the time is up."""
        received = b""
        with suppress(WireError):
            while len(received) < MAX_REST_BYTES:
                piece = self._reader.take(RECEIVE_BYTES)
                if piece is None:
                    break
                received += piece.body
        return received

    def _receive(self) -> bytes:
        try:
            self._sock.settimeout(self._left_s())
            return self._sock.recv(RECEIVE_BYTES)
        except TimeoutError:
            raise WireError("no answer in time") from None
        except OSError:
            return b""  # reset: the same to whoever waits

    def _left_s(self) -> float:
        left_s = self._deadline_s - time.perf_counter()
        if left_s <= 0:
            raise WireError("no answer in time")
        return left_s
