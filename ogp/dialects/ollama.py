"""Ollama's own language: models that answer, models that are listed, and what installs them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ogp.core.errors import BlockedError, GatewayError, InvalidRequestError
from ogp.core.types import AnswerEvent, InferenceRequest, Usage
from ogp.dialects.answers import decode_answer, read_texts, usage_in
from ogp.dialects.base import NO_PARAMS
from ogp.dialects.fields import check_fields
from ogp.dialects.form_dialect import FormDialect, Kinds
from ogp.dialects.forms import Caller, Form
from ogp.dialects.ndjson import cut_lines, join_document, pass_document, pass_lines
from ogp.dialects.ollama_forms import (
    ANSWER,
    GENERATING,
    LISTINGS,
    MESSAGE_CHECKS,
    SHOW,
    TOP_NAMES,
)
from ogp.dialects.ollama_management import MANAGED, REFUSED, parse_managed
from ogp.dialects.rendering import failed_scanners, render_json
from ogp.dialects.rewriting import rewrite_answer
from ogp.dialects.strict import canonical_keys

_MESSAGE_NAMES = frozenset(MESSAGE_CHECKS)
_LONG_AGO = "1970-01-01T00:00:00Z"
_STALE = frozenset({"logprobs"})
"""What tells of a text in other words (tokens, bytes) and goes when the text changes."""


class OllamaDialect(FormDialect):
    """Parses requests, reads answers and renders errors. Stateless, hence safe in every thread.

    `GET /` and `HEAD /` are the edge's own.
    """

    name = "ollama"
    stream_type = "application/x-ndjson"
    forms = (*GENERATING, SHOW, *LISTINGS, *MANAGED, *REFUSED)
    top_names = TOP_NAMES
    messages = "messages"

    def events(
        self, request: InferenceRequest, chunks: Iterator[bytes], *, texts: bool
    ) -> Iterator[AnswerEvent]:
        """Cut an answer into events; see `Dialect.events`."""
        if not texts:
            return (pass_lines if request.stream else pass_document)(chunks, _find_usage)
        if request.stream:
            return map(_read, cut_lines(chunks))
        return map(_read, join_document(chunks, self._max_document_bytes))

    def with_answer_texts(
        self, event: AnswerEvent, texts: Sequence[tuple[str, str]]
    ) -> AnswerEvent:
        """The event with other texts and without `logprobs`, which would tell the old ones."""
        raw = rewrite_answer(event.raw, event.texts, texts, ANSWER, dropped=_STALE)
        return replace(_read(raw), usage=event.usage)

    def error_body(
        self,
        error: GatewayError,
        request_id: str | None = None,  # noqa: ARG002 - part of the protocol
    ) -> bytes:
        """`{"error", "code", "message", ...facts}`.

        The official client shows `error` alone, so it says what is wrong; where a bare code is
        promised to existing clients it holds just that.
        """
        return render_json(_error_document(error))

    def error_headers(self, error: GatewayError) -> Mapping[str, str]:  # noqa: ARG002 - protocol
        """None: the official client never repeats a request by itself."""
        return {}

    def error_event(
        self,
        error: GatewayError,
        *,
        request: InferenceRequest | None = None,  # noqa: ARG002 - part of the protocol
        mid_line: bool = False,
        head: bytes = b"",  # noqa: ARG002 - part of the protocol
    ) -> bytes:
        """One line with `error`, on which the official client raises; blocks also say `reason`."""
        document = _error_document(error)
        document.pop("details", None)
        if isinstance(error, BlockedError):
            document.setdefault("language", "en")
            document.setdefault("reason", failed_scanners(error))
        # Only where a line is open: a blank line breaks the official client.
        return (b"\n" if mid_line else b"") + render_json(document) + b"\n"

    def keepalive(self, request: InferenceRequest) -> bytes:
        """A line without text, as in the middle of an answer; a blank one breaks the client."""
        text: dict[str, Any] = {"response": ""}
        if request.operation == "chat":
            text = {"message": {"role": "assistant", "content": ""}}
        document = {"model": request.model, "created_at": _LONG_AGO, **text, "done": False}
        return render_json(document) + b"\n"

    def read_fields(self, form: Form, document: dict[str, Any]) -> Kinds:
        """Check messages; the other bodies are flat."""
        kinds = set()
        if document.get("context"):
            kinds.add("context")
        if "images" in form.checks and document.get("images"):
            kinds.add("images")
        if "messages" in form.checks and document.get("messages"):
            self.check_count(len(document["messages"]))
            document["messages"] = [
                _message(f"messages[{index}]", message)
                for index, message in enumerate(document["messages"])
            ]
            if any(message.get("images") for message in document["messages"]):
                kinds.add("images")
        return frozenset(kinds)

    def restricted_in(self, document: Mapping[str, Any], model: str) -> tuple[str, ...]:
        """What is present of the fields that hide the prompt from every scanner."""
        present = {
            "context": bool(document.get("context")),
            "raw": document.get("raw") is True,
            "template": bool(document.get("template")),
        }
        mine = (name for name, is_present in present.items() if is_present)
        return (*mine, *super().restricted_in(document, model))

    def _parse(
        self, form: Form, body: bytes, params: Mapping[str, str] = NO_PARAMS
    ) -> InferenceRequest:
        if form.caller is Caller.MANAGER:
            return parse_managed(form, body, params, dialect=self.name)
        return super()._parse(form, body, params)


def _message(where: str, value: dict[str, Any]) -> dict[str, Any]:
    message = canonical_keys(value, _MESSAGE_NAMES)
    if not message.get("role"):
        raise InvalidRequestError(f"{where}.role is required: system, user, assistant or tool")
    check_fields(message, MESSAGE_CHECKS, f"{where}.")
    return message


def _read(raw: bytes) -> AnswerEvent:
    if raw.isspace():
        return AnswerEvent(raw)
    texts, document = read_texts(raw, ANSWER)
    return AnswerEvent(raw, tuple(texts), usage_in(document))


def _find_usage(raw: bytes) -> Usage | None:
    try:
        return usage_in(decode_answer(raw))
    except (ValueError, RecursionError):
        return None


def _error_document(error: GatewayError) -> dict[str, Any]:
    shown = error.code if error.bare_code else f"{error.code}: {error.message}"
    facts = {"error": shown, "code": error.code, "message": error.message}
    return facts | {name: fact for name, fact in error.facts.items() if name not in facts}
