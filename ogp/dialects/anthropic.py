"""Anthropic's language: messages, and the counting of their tokens."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ogp.core.errors import BlockedError, GatewayError, InvalidRequestError
from ogp.core.types import AnswerEvent, InferenceRequest, TextPart, Usage, canonical_model
from ogp.dialects import anthropic_errors, anthropic_stream
from ogp.dialects.anthropic_answers import counts_in, later
from ogp.dialects.anthropic_blocks import checked_content, in_reading_order, sealed_in
from ogp.dialects.anthropic_forms import (
    FORMS,
    MESSAGE_NAMES,
    MESSAGES,
    OUTSIDE_TOOLS,
    ROLES,
    TOOL_NAMES,
    TOP_NAMES,
)
from ogp.dialects.base import NO_PARAMS
from ogp.dialects.fields import check_fields
from ogp.dialects.form_dialect import Kinds
from ogp.dialects.forms import Form, Streams
from ogp.dialects.model_name import check_model_name, is_cloud_model
from ogp.dialects.ndjson import join_document, pass_document
from ogp.dialects.sse import cut_events, pass_events
from ogp.dialects.sse_answers import find_in
from ogp.dialects.sse_dialect import SseDialect
from ogp.dialects.strict import canonical_keys, parse_document, serialise


class AnthropicDialect(SseDialect):
    """Parses requests, reads answers and renders errors. Stateless, hence safe in every thread."""

    name = "anthropic"
    forms = FORMS
    top_names = TOP_NAMES
    messages = "messages"

    def events(
        self, request: InferenceRequest, chunks: Iterator[bytes], *, texts: bool
    ) -> Iterator[AnswerEvent]:
        """Cut an answer into events; see `Dialect.events`."""
        if texts:
            cut = (
                cut_events(chunks)
                if request.stream
                else join_document(chunks, self._max_document_bytes)
            )
            return anthropic_stream.AnswerReader().read(cut)
        if request.stream:
            return pass_events(chunks, _find_totals())
        return pass_document(chunks, find_in(counts_in), b"_tokens")

    def keepalive(self, request: InferenceRequest) -> bytes:  # noqa: ARG002 - part of the protocol
        """The event that Anthropic sends in silent streams; it may come before all others."""
        return b'event: ping\ndata: {"type": "ping"}\n\n'

    def error_body(self, error: GatewayError, request_id: str | None = None) -> bytes:
        """`{"type": "error", "error": {"type", "message", "code", ...facts}, "request_id"}`."""
        return anthropic_errors.error_body(error, request_id)

    def error_headers(self, error: GatewayError) -> Mapping[str, str]:
        """Headers of a refusal before anything was sent."""
        return anthropic_errors.error_headers(error)

    def error_event(
        self,
        error: GatewayError,
        *,
        request: InferenceRequest | None = None,
        mid_line: bool = False,
        head: bytes | None = None,
    ) -> bytes:
        """The message ends with `refusal` where the guard ended it, else with an `error` event.

        Args:
            error: why it ends.
            request: what was asked.
            mid_line: the last byte sent was no line break.
            head: the first bytes of the answer that were sent; empty where only signs of life
                were.
        """
        closing = b"\n" * mid_line + anthropic_errors.CLOSING
        if not isinstance(error, BlockedError):
            return closing + anthropic_errors.failed_event(error)
        if head != b"":
            return closing + anthropic_errors.refusal(error)
        return closing + anthropic_errors.refused_message(error, request)

    def with_answer_texts(
        self, event: AnswerEvent, texts: Sequence[tuple[str, str]]
    ) -> AnswerEvent:
        """The event with other texts; see `TextRewriter.with_answer_texts`."""
        return anthropic_stream.with_texts(event, texts)

    def read_fields(self, form: Form, document: dict[str, Any]) -> Kinds:
        """Check messages and their blocks, and give their keys one spelling."""
        if form is MESSAGES and document.get("max_tokens") is None:
            raise InvalidRequestError("max_tokens is required: 1 or more")
        if not document.get("messages"):
            raise InvalidRequestError('messages is required: a list of {"role", "content"}')
        self.check_count(len(document["messages"]))
        if document.get("system") is not None:
            document["system"] = checked_content("system", document["system"])
        document["messages"] = [
            _message(f"messages[{index}]", message)
            for index, message in enumerate(document["messages"])
        ]
        if document.get("tools"):
            document["tools"] = [canonical_keys(tool, TOOL_NAMES) for tool in document["tools"]]
        return frozenset(kind for _, _, kind in sealed_in(document) if kind)

    def _parse(
        self,
        form: Form,
        body: bytes,
        params: Mapping[str, str] = NO_PARAMS,  # noqa: ARG002 - no path here has any
    ) -> InferenceRequest:
        document = canonical_keys(parse_document(body, names=self.top_names), self.top_names)
        model = canonical_model(check_model_name("model", document.get("model")))
        check_fields(document, form.checks)
        kinds = self.read_fields(form, document)
        return InferenceRequest(
            dialect=self.name,
            operation=form.operation,
            method=form.method,
            upstream_path=form.upstream_path,
            body=serialise(document),
            model=model,
            stream=form.streams is Streams.IF_TRUE and document.get("stream") is True,
            queued=form.queued,
            texts=self._texts(form, document),
            unscanned=tuple(sorted(kinds)),
            restricted=_restricted(document, model),
        )

    def _texts(self, form: Form, document: dict[str, Any]) -> tuple[TextPart, ...]:
        # The document was written down by now: what follows shortens it for the scanners only.
        for owner, key, _ in tuple(sealed_in(document)):
            del owner[key]
        return in_reading_order(super()._texts(form, document), document)


def _message(where: str, value: dict[str, Any]) -> dict[str, Any]:
    message = canonical_keys(value, MESSAGE_NAMES)
    if message.get("role") not in ROLES:
        raise InvalidRequestError(f'{where}.role must be "user", "assistant" or "system"')
    message["content"] = checked_content(f"{where}.content", message.get("content"))
    return message


def _restricted(document: Mapping[str, Any], model: str) -> tuple[str, ...]:
    """What lets the upstream send the prompt, or words of it, elsewhere."""
    kinds = [tool.get("type") for tool in document.get("tools") or ()]
    present = {
        "cloud_model": is_cloud_model(model),
        "web_search": any(str(kind).startswith(OUTSIDE_TOOLS) for kind in kinds),
        "mcp_servers": bool(document.get("mcp_servers")),
    }
    return tuple(name for name, is_present in present.items() if is_present)


def _find_totals() -> Callable[[bytes], Usage | None]:
    """A finder of token usage for one stream: each event's counts complete the earlier ones."""
    find = find_in(counts_in)
    total = Usage()

    def find_total(raw: bytes) -> Usage | None:
        nonlocal total
        found = find(raw)
        if found is not None:
            total = later(total, found)
        return found and total

    return find_total
