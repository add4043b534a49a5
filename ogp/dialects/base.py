"""What a dialect promises, and the operations it lists."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ogp.core.errors import GatewayError
from ogp.core.types import AnswerEvent, InferenceRequest

Parse = Callable[[bytes], InferenceRequest]
"""Body -> request. Raises `InvalidRequestError` naming the field, `TooLargeError` the limit."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One upstream route that is let through. A route without one does not exist (404)."""

    name: str
    method: str
    path: str
    """The path clients use."""
    parse: Parse


class Dialect(Protocol):
    """One client language. Stateless, hence safe in every thread."""

    @property
    def name(self) -> str:
        """The name in settings, audit rows and metrics, e.g. `ollama`."""
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

    def error_body(self, error: GatewayError) -> bytes:
        """The JSON document of a refusal before anything was sent."""
        ...

    def error_event(self, error: GatewayError, *, mid_line: bool = False) -> bytes:
        """The last bytes of a stream that ends in an error after some of it was sent.

        Args:
            error: why it ends.
            mid_line: the last byte sent was no line break, as can happen with `texts=False`; the
                event then begins with what closes the open one.
        """
        ...
