"""What a dialect promises, and the operations it lists."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from ogp.core.errors import GatewayError
from ogp.core.ports import TextRewriter
from ogp.core.types import AnswerEvent, InferenceRequest
from ogp.dialects.forms import Form

NO_PARAMS: Mapping[str, str] = MappingProxyType({})
"""Of a path without parts that are parameters."""


class Parse(Protocol):
    """Turns a body into a request."""

    def __call__(self, body: bytes, params: Mapping[str, str] = ...) -> InferenceRequest:
        """Parse one request.

        Args:
            body: the whole body; empty where the route takes none, or a file.
            params: parts of the path, decoded, by the names the form gives them.

        Raises:
            InvalidRequestError: names the field and what would be right.
            TooLargeError: names the limit.
            ForbiddenError: nobody may call this route.
        """
        ...


@dataclass(frozen=True, slots=True)
class Operation:
    """One upstream route. A route without one does not exist (404)."""

    form: Form
    parse: Parse

    @property
    def name(self) -> str:
        """Name in the audit log."""
        return self.form.operation

    @property
    def method(self) -> str:
        """HTTP method."""
        return self.form.method

    @property
    def path(self) -> str:
        """The path clients use; see `Form.path`."""
        return self.form.path


class Dialect(TextRewriter, Protocol):
    """One client language. Stateless, hence safe in every thread."""

    @property
    def name(self) -> str:
        """The name in settings, audit rows and metrics, e.g. `ollama`."""
        ...

    @property
    def stream_type(self) -> str:
        """Content type of its streamed answers."""
        ...

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every route of this dialect; `http/app.py` adds one per entry."""
        ...

    def events(
        self, request: InferenceRequest, chunks: Iterator[bytes], *, texts: bool
    ) -> Iterator[AnswerEvent]:
        """Cut an answer into events.

        Args:
            request: what was asked; tells whether the answer is a stream.
            chunks: the answer's bytes, cut anywhere.
            texts: read the text of each event. False passes chunks as they come and looks for
                token usage only.

        Yields:
            Events whose `raw`, joined, is the answer byte for byte, also for malformed answers.
        """
        ...

    def error_body(self, error: GatewayError, request_id: str | None = None) -> bytes:
        """The JSON document of a refusal before anything was sent.

        Args:
            error: why.
            request_id: what the answer's `X-Request-ID` says; some dialects repeat it.
        """
        ...

    def error_headers(self, error: GatewayError) -> Mapping[str, str]:
        """Headers of a refusal before anything was sent that this dialect's clients look at."""
        ...

    def error_event(
        self,
        error: GatewayError,
        *,
        request: InferenceRequest | None = None,
        mid_line: bool = False,
        head: bytes = b"",
    ) -> bytes:
        """The last bytes of a stream that ends in an error after some of it was sent.

        Args:
            error: why it ends.
            request: what was asked; some dialects name its model in every event.
            mid_line: the last byte sent was no line break, as can happen with `texts=False`; the
                event then begins with what closes the open one.
            head: the first bytes of the answer that were sent, which name it; empty where only
                signs of life were.
        """
        ...

    def keepalive(self, request: InferenceRequest) -> bytes:
        """A sign of life in a stream whose answer has not begun, valid and without text."""
        ...
