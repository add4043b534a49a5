"""One HTTP response, framed as Go's server frames it."""

from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from ogp.demo import gojson
from ogp.demo.connection import Connection, RequestHead
from ogp.demo.script import Framing

JSON_TYPE = "application/json; charset=utf-8"


class Reply:
    """Writes one response. `head` is None where the request could not be read."""

    def __init__(self, connection: Connection, head: RequestHead | None) -> None:
        self.connection = connection
        self.keep_alive = head is not None and head.keeps_alive
        self._is_head = head is not None and head.method == "HEAD"
        self._version = head.version if head is not None else "HTTP/1.1"
        self._framing: Framing = "length"
        self._pending = b""

    def json(self, status: int, document: Any, headers: Mapping[str, str] | None = None) -> None:
        """Answer with one document."""
        self.whole(status, gojson.encode(document), {"Content-Type": JSON_TYPE, **(headers or {})})

    def error(self, status: int, message: str) -> None:
        """Answer in Ollama's error shape."""
        self.json(status, {"error": message})

    def text(self, status: int, text: str) -> None:
        """Answer with plain text."""
        self.whole(status, text.encode(), {"Content-Type": "text/plain"})

    def whole(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Answer with one body, in one write."""
        self.start(status, headers, "length", len(body), flush=False)
        self.chunk(body)

    def start(
        self,
        status: int,
        headers: Mapping[str, str],
        framing: Framing = "chunked",
        content_length: int | None = None,
        *,
        flush: bool = True,
    ) -> None:
        """Write the response head; without `flush` it goes out with the first chunk."""
        head = self.render_head(status, headers, framing, content_length)
        if flush:
            self.connection.send(head)
        else:
            self._pending = head

    def render_head(
        self,
        status: int,
        headers: Mapping[str, str],
        framing: Framing,
        content_length: int | None = None,
    ) -> bytes:
        """The response head as bytes; from here on chunks are framed to match it."""
        if framing == "chunked" and self._version == "HTTP/1.0":
            framing = "close"
        self._framing = framing
        if framing in ("close", "raw"):
            self.keep_alive = False
        lines = [f"HTTP/1.1 {status} {_reason(status)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines.append(f"Date: {formatdate(usegmt=True)}")
        if framing == "length":
            lines.append(f"Content-Length: {content_length or 0}")
        elif framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        if not self.keep_alive:
            lines.append("Connection: close")
        elif self._version == "HTTP/1.0":
            lines.append("Connection: keep-alive")
        return "\r\n".join((*lines, "", "")).encode("latin-1")

    def chunk(self, chunk: bytes) -> None:
        """Write a piece of the body, in one write of its own."""
        pending, self._pending = self._pending, b""
        if self._is_head:
            chunk = b""
        elif self._framing == "chunked" and chunk:
            chunk = b"%x\r\n%b\r\n" % (len(chunk), chunk)
        if pending or chunk:
            self.connection.send(pending + chunk)

    def finish(self) -> None:
        """Write the terminating chunk where the framing has one."""
        if self._framing == "chunked" and not self._is_head:
            self.connection.send(b"0\r\n\r\n")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"status code {status}"
