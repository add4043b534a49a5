"""Answers of servers with text in each place that the coverage table declares, event by event."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ogp.demo.script import NDJSON, SSE, Script
from ogp.dialects.answers import AnswerShape
from ogp.dialects.coverage import coverage
from ogp.dialects.forms import Framing
from ogp.dialects.responses_answers import DELTA_TYPES
from tests.support.planted import leaves, model_forms, named

FORMS = {form.path: (dialect, form) for dialect, form in model_forms()}
FILLER = ("All ", "is well ", "with us. ") * 12
"""More than the guard holds back, so that the answer has begun when the phrase comes."""
TAIL = (" and", " so on.")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream's text grows."""

    path: str
    """Of the route."""
    place: str
    """As the coverage table names it."""
    kind: str = ""
    """Type of the event, where it tells what the text is."""

    @property
    def dialect(self) -> str:
        return FORMS[self.path][0]

    @property
    def is_json(self) -> bool:
        """The text is JSON in pieces."""
        return "arguments" in self.place + self.kind or self.place.endswith("partial_json")

    def script(self, *texts: str) -> Script:
        """A stream that says these texts, one per event."""
        framing = FORMS[self.path][1].framing
        kind = NDJSON if framing is Framing.NDJSON else SSE
        return Script([self.event(text) for text in texts], headers={"Content-Type": kind})

    def event(self, text: str) -> bytes:
        """One event."""
        return framed(self.dialect, self._document(text))

    def said(self, body: bytes) -> str:
        """The text of this place in an answer, our own end left out."""
        found = []
        for document in documents(body):
            if isinstance(document, dict) and not is_end(document):
                found += [text for path, text in leaves(document) if named(path) == self.place]
        return "".join(found)

    def _document(self, text: str) -> dict[str, Any]:
        value: Any = text
        for segment in reversed(self.place.split(".")):
            field = segment.removesuffix("[]")
            if field == "choices" or field == "tool_calls":
                value = {"index": 0, **value}
            elif field in ("delta", "content_block", "content") and self.dialect == "anthropic":
                value = {"type": _block_type(value), **value}
            value = {field: [value] if segment.endswith("[]") else value}
        if self.dialect == "openai_responses":
            value = {"type": self.kind, "output_index": 0, "content_index": 0, **value}
        elif self.dialect == "anthropic":
            value = {"type": _event_type(self.place), "index": 0, **value}
        return dict(value)


def places() -> list[Place]:
    """Every place of every route in which streamed text grows."""
    found = []
    for row in coverage():
        for place in row.text_out:
            is_typed = row.dialect == "openai_responses"
            kinds: Sequence[str] = sorted(DELTA_TYPES) if is_typed and place == "delta" else [""]
            if is_typed and place != "delta":
                kinds = ["response.output_text.delta"]
            found += [Place(row.path, place, kind) for kind in kinds]
    return found


def shape_of_answer(path: str) -> AnswerShape:
    """Where the texts of a route's answers stand."""
    shape = FORMS[path][1].answer
    assert shape is not None
    return shape


def framed(dialect: str, document: dict[str, Any]) -> bytes:
    """A document as one event of a stream."""
    data = json.dumps(document).encode()
    if dialect == "ollama":
        return data + b"\n"
    name = b"" if dialect == "openai" else b"event: " + document["type"].encode() + b"\n"
    return name + b"data: " + data + b"\n\n"


def documents(body: bytes) -> Iterator[Any]:
    """What stands in the events of a stream, as lenient clients read it; `[DONE]` as a string."""
    for line in body.split(b"\n"):
        data = line.removeprefix(b"data:").strip()
        if data == b"[DONE]":
            yield "[DONE]"
        elif data.startswith(b"{"):
            yield json.loads(data)


def is_end(document: dict[str, Any]) -> bool:
    """Whether it is an end that we wrote."""
    return "guard" in json.dumps(document) or "response_blocked" in json.dumps(document)


def ends_blocked(dialect: str, body: bytes) -> bool:
    """Whether a stream ends as clients of the dialect take for a block."""
    *_, before, last = [{}, *documents(body)]
    if dialect == "ollama":
        return bool(last["error"] == "response_blocked")
    if dialect == "openai":
        reasons = {choice["finish_reason"] for choice in before["choices"]}
        return last == "[DONE]" and reasons == {"content_filter"}
    if dialect == "openai_responses":
        response = last["response"]
        return (last["type"], response["incomplete_details"]["reason"]) == (
            "response.incomplete",
            "content_filter",
        )
    return (last["type"], before["delta"]["stop_reason"]) == ("message_stop", "refusal")


def _block_type(value: dict[str, Any]) -> str:
    field = next(name for name in value if name not in ("type", "index"))
    return {"text": "text_delta", "partial_json": "input_json_delta"}.get(field, f"{field}_delta")


def _event_type(place: str) -> str:
    first = place.partition(".")[0]
    return {
        "delta": "content_block_delta",
        "content_block": "content_block_start",
        "message": "message_start",
    }.get(first, "message")
