"""What a test or an operator wants a model, or a path, to answer, byte for byte."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Event
from typing import Any, Literal, Self

from ogp.demo import gojson

Framing = Literal["chunked", "length", "close", "raw"]
"""`raw` sends the chunks with no response head before them."""
Ending = Literal["clean", "reset", "close", "hang"]
"""`clean` ends as the framing asks; `close` and `reset` hang up with FIN or RST and send no
terminator; `hang` stays silent until the client leaves."""

NDJSON = "application/x-ndjson"
SSE = "text/event-stream"
CREATED_AT = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Script:
    """One scripted answer. Every chunk is flushed by itself."""

    chunks: Sequence[bytes] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": NDJSON})
    framing: Framing = "chunked"
    content_length: int | None = None
    """A `Content-Length` that lies; None tells the truth (framing `length`)."""
    hold_before_head: Event | None = None
    """Not a byte is sent before this is set."""
    hold_after: tuple[int, Event] | None = None
    """After so many chunks nothing is sent until the event is set; (0, e) holds after the head."""
    first_byte_s: float = 0.0
    """Silence before the head, in seconds."""
    interval_s: float = 0.0
    """Silence before each chunk but the first, in seconds."""
    end: Ending = "clean"

    @classmethod
    def lines(cls, *documents: Mapping[str, Any], **options: Any) -> Self:
        """A stream of NDJSON lines, one chunk each; `options` are fields of the script."""
        return cls(chunks=[gojson.encode(document) + b"\n" for document in documents], **options)

    @classmethod
    def generate(cls, *texts: str, model: str = "demo", **options: Any) -> Self:
        """What `/api/generate` streams when the model says these texts, one per chunk."""
        return cls.lines(
            *(_delta(model, {"response": text}) for text in texts),
            _last(model, {"response": ""}, len(texts)),
            **options,
        )

    @classmethod
    def chat(cls, *texts: str, model: str = "demo", **options: Any) -> Self:
        """What `/api/chat` streams when the model says these texts, one per chunk."""
        return cls.lines(
            *(_delta(model, {"message": _message(text)}) for text in texts),
            _last(model, {"message": _message("")}, len(texts)),
            **options,
        )

    @classmethod
    def events(cls, stream: bytes, *places: int, **options: Any) -> Self:
        """A stream of server-sent events, cut into chunks at `places`, in ascending order."""
        options.setdefault("headers", {"Content-Type": SSE})
        edges = (0, *places, len(stream))
        chunks = [stream[start:end] for start, end in pairwise(edges) if start < end]
        return cls(chunks=chunks, **options)

    @classmethod
    def document(cls, document: Any, **options: Any) -> Self:
        """One JSON document with a `Content-Length`."""
        options.setdefault("headers", {"Content-Type": "application/json; charset=utf-8"})
        return cls(chunks=[gojson.encode(document)], framing="length", **options)


def _message(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _delta(model: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": model, "created_at": CREATED_AT, **payload, "done": False}


def _last(model: str, payload: Mapping[str, Any], count: int) -> dict[str, Any]:
    return {
        "model": model,
        "created_at": CREATED_AT,
        **payload,
        "done": True,
        "done_reason": "stop",
        "total_duration": 1_000_000,
        "load_duration": 100_000,
        "prompt_eval_count": 1,
        "prompt_eval_duration": 100_000,
        "eval_count": count,
        "eval_duration": 800_000,
    }
