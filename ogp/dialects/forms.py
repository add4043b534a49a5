"""One declaration per upstream route: who may call it, what it takes, where its texts stand.

Routes, checks, the guard's reading, `ogp coverage`, the documents and the tests all come from these
declarations. A route without one does not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ogp.dialects.answers import AnswerShape
from ogp.dialects.fields import Check
from ogp.dialects.text import TextShape


class Caller(StrEnum):
    """Who may call a route."""

    USER = "user"
    MANAGER = "manager"
    """Administrators, and those of `access.allow_model_management`."""
    NOBODY = "nobody"
    """Known and refused, for administrators too; nothing goes upstream."""


class Framing(StrEnum):
    """How the answer to a route comes, where it is streamed."""

    DOCUMENT = "document"
    """Never streamed: one JSON document, or nothing."""
    NDJSON = "ndjson"
    SSE = "sse"


class Streams(StrEnum):
    """Whether the answer is a stream."""

    NEVER = "never"
    UNLESS_FALSE = "unless false"
    """Unless the request's `stream` is false."""
    IF_TRUE = "if true"
    """If the request's `stream` is true."""


class Body(StrEnum):
    """What a route takes."""

    NOTHING = "nothing"
    JSON = "json"
    BYTES = "bytes"
    """A file of any size; passed on piece by piece, never read."""


@dataclass(frozen=True, slots=True)
class Form:
    """One route, as clients call it."""

    operation: str
    """Name in the audit log, e.g. `chat`."""
    method: str
    path: str
    """The path clients use; `{name}` stands for a part that is a parameter."""
    upstream_path: str
    """The path that goes upstream, with the same parameters."""
    caller: Caller = Caller.USER
    body: Body = Body.JSON
    framing: Framing = Framing.DOCUMENT
    streams: Streams = Streams.NEVER
    reaches_model: bool = True
    """The text goes to a model: it is scanned, and so is the answer."""
    costs_time: bool = True
    """What reaches the model keeps it busy, so that it waits for a slot."""
    takes_name: bool = False
    """`name` is accepted for `model`, as old clients of Ollama send it."""
    checks: Mapping[str, Check] = field(default_factory=dict)
    """Known fields at the top of the body, and what each takes."""
    shape: TextShape | None = None
    """Where its texts stand; None where it has no text for a model."""
    answer: AnswerShape | None = None
    """Where the answer's texts stand."""
    why: str = ""
    """Of refused routes: the reason, for people."""

    @property
    def queued(self) -> bool:
        """Whether requests wait for a slot of their model."""
        return self.reaches_model and self.costs_time and self.caller is not Caller.NOBODY

    def is_stream(self, document: Mapping[str, Any]) -> bool:
        """Whether the answer to this body is a stream."""
        asked = document.get("stream")
        if self.streams is Streams.UNLESS_FALSE:
            return asked is not False
        return self.streams is Streams.IF_TRUE and asked is True
