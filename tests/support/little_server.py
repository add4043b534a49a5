"""A little server that answers as a test says: what real ones do wrong, byte for byte."""

import json
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from ogp.cli.doctor_site import Site
from ogp.cli.doctor_wire import Wire, parse_url

CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""Of localhost and 127.0.0.1, signed by itself, with its key; good for nothing else."""
WAIT_S = 10.0
GO_AHEAD = b"HTTP/1.1 100 Continue\r\n\r\n"
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-XSS-Protection": "1; mode=block",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=()",
    "Strict-Transport-Security": "max-age=1",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case; of several the last."""
    lines: tuple[str, ...]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


Answer = Callable[[Asked], bytes | Iterable[bytes]]


def answer(status: int, document: object = None, *, length: bool = True, **headers: str) -> bytes:
    """An answer with a JSON document, or with text or bytes as they are."""
    kind = "text/plain" if isinstance(document, str | bytes) else "application/json"
    body = document.encode() if isinstance(document, str) else document
    if not isinstance(body, bytes):
        body = b"" if body is None else json.dumps(body).encode()
    lines = {"Content-Type": kind}
    if length:
        lines["Content-Length"] = str(len(body))
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in lines.items() if value)]
    return "\r\n".join([*head, "", ""]).encode() + body


def chunked(*chunks: bytes, kind: str = "application/x-ndjson", end: bool = True) -> list[bytes]:
    """An answer in chunks, each to be written by itself."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    framed = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    return [head.encode(), *framed, *([b"0\r\n\r\n"] if end else [])]


class LittleServer:
    """Serves each connection in a thread; closes it after an answer that is not of known size."""

    def __init__(self, say: Answer, *, tls: bool = False, go_ahead: bytes = GO_AHEAD) -> None:
        """Serve until `stop`.

        Args:
            say: answers each request.
            go_ahead: is written to whoever waits for it; unless it is one, nothing follows.
        """
        self._say, self._go_ahead = say, go_ahead
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(CERTIFICATE)
        self.asked: list[Asked] = []
        self.hung_up = 0
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._open: set[socket.socket] = set()
        self._threads[0].start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def stop(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(WAIT_S)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(sock)
            thread = Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        plain = sock
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            sock.settimeout(WAIT_S)
            with sock.makefile("rb") as received:
                while self._exchange(sock, received):
                    pass
        except (OSError, ValueError):
            self.hung_up += 1
        finally:
            sock.close()
            plain.close()
            self._open.discard(plain)

    def _exchange(self, sock: socket.socket, received: Any) -> bool:
        first = received.readline()
        if not first:
            return False
        lines = []
        while (line := received.readline().rstrip(b"\r\n")) != b"":
            lines.append(line.decode("latin-1"))
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if headers.get("expect"):
            sock.sendall(self._go_ahead)
            if self._go_ahead != GO_AHEAD:
                return False
        length = headers.get("content-length", "0")
        body = received.read(int(length)) if length.isdigit() and len(length) < 9 else b""
        method, path, _ = first.decode("latin-1").split(" ", 2)
        asked = Asked(method, path, headers, tuple(lines), body)
        self.asked.append(asked)
        said = self._say(asked)
        for piece in [said] if isinstance(said, bytes) else said:
            sock.sendall(piece)
        return headers.get("connection") != "close" and _is_whole(said)


def _is_whole(said: bytes | Iterable[bytes]) -> bool:
    """Whether a client can tell where the answer ends."""
    head, _, body = said.partition(b"\r\n\r\n") if isinstance(said, bytes) else (b"", b"", b"")
    return b"\r\nContent-Length: %d\r\n" % len(body) in head + b"\r\n"


@contextmanager
def little_server(say: Answer, **options: Any) -> Iterator[LittleServer]:
    server = LittleServer(say, **options)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def site_of(say: Answer, *, go_ahead: bytes = GO_AHEAD, **fields: Any) -> Iterator[Site]:
    """A deployment that answers like this, and two tokens."""
    with little_server(say, go_ahead=go_ahead) as server:
        given = {"token": "t-user", "admin_token": "t-admin", "model": "llama2", **fields}
        yield Site(Wire(parse_url(server.url), WAIT_S), **given)


def always(said: bytes | Iterable[bytes]) -> Answer:
    return lambda _: said
