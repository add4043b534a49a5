"""Ollama's own language: generate, chat, embed and the read-only listings."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ogp.core.errors import BlockedError, GatewayError, InvalidRequestError, TooLargeError
from ogp.core.types import AnswerEvent, InferenceRequest, TextPart, Usage, canonical_model
from ogp.dialects.answers import decode_answer, read_texts, usage_in
from ogp.dialects.base import Operation
from ogp.dialects.fields import check_fields
from ogp.dialects.model_name import check_model_name, is_cloud_model
from ogp.dialects.ndjson import cut_lines, join_document, pass_document, pass_lines
from ogp.dialects.ollama_forms import ANSWER, MESSAGE_CHECKS, POSTED, READ, TOP_NAMES, Form
from ogp.dialects.rendering import failed_scanners, render_json
from ogp.dialects.strict import canonical_keys, parse_document, serialise
from ogp.dialects.text import list_texts
from ogp.settings.schema import LimitSettings

_MESSAGE_NAMES = frozenset(MESSAGE_CHECKS)


class OllamaDialect:
    """Parses requests, reads answers and renders errors. Stateless, hence safe in every thread."""

    name = "ollama"

    def __init__(
        self, limits: LimitSettings, *, max_document_bytes: int = 64 * 1024 * 1024
    ) -> None:
        """Keep the limits.

        Args:
            limits: sizes of requests.
            max_document_bytes: largest answer that is held to be read as one document.
        """
        self._limits = limits
        self._max_document_bytes = max_document_bytes
        posted = (
            Operation(form.operation, "POST", form.path, partial(self._parse, form))
            for form in POSTED
        )
        read = (
            Operation(name, method, path, partial(_parse_nothing, name, method, path))
            for name, method, path in READ
        )
        self._operations = (*posted, *read)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every route that goes upstream; `GET /` and `HEAD /` are the edge's own."""
        return self._operations

    def events(
        self, request: InferenceRequest, chunks: Iterator[bytes], *, texts: bool
    ) -> Iterator[AnswerEvent]:
        """Cut an answer into events; see `Dialect.events`."""
        if not texts:
            return (pass_lines if request.stream else pass_document)(chunks, _find_usage)
        if request.stream:
            return map(_read, cut_lines(chunks))
        return map(_read, join_document(chunks, self._max_document_bytes))

    def error_body(self, error: GatewayError) -> bytes:
        """`{"error", "code", "message", ...facts}`.

        The official client shows `error` alone, so it says what is wrong; where a bare code is
        promised to existing clients it holds just that.
        """
        return render_json(_error_document(error))

    def error_event(self, error: GatewayError, *, mid_line: bool = False) -> bytes:
        """One line with `error`, on which the official client raises; blocks also say `reason`."""
        document = _error_document(error)
        document.pop("details", None)
        if isinstance(error, BlockedError):
            document.setdefault("language", "en")
            document.setdefault("reason", failed_scanners(error))
        # Only where a line is open: a blank line breaks the official client.
        return (b"\n" if mid_line else b"") + render_json(document) + b"\n"

    def _parse(self, form: Form, body: bytes) -> InferenceRequest:
        document = canonical_keys(parse_document(body, names=TOP_NAMES), TOP_NAMES)
        if form.takes_name:
            _rename_name(document)
        model = canonical_model(check_model_name("model", document.get("model")))
        check_fields(document, form.checks)
        has_images = "images" in form.checks and bool(document.get("images"))
        if "messages" in form.checks and document.get("messages"):
            has_images = self._check_messages(document)
        return InferenceRequest(
            dialect=self.name,
            operation=form.operation,
            method="POST",
            upstream_path=form.upstream_path,
            body=serialise(document),
            model=model,
            stream=form.streams and document.get("stream") is not False,
            scanned=form.reaches_model,
            queued=form.reaches_model,
            texts=self._texts(form, document) if form.reaches_model else (),
            unscanned=_unscanned(document, has_images=has_images),
            restricted=_restricted(document, model) if form.reaches_model else (),
        )

    def _check_messages(self, document: dict[str, Any]) -> bool:
        """Check each message and give its keys their one spelling; true if one has pictures."""
        messages: list[dict[str, Any]] = document["messages"]
        if len(messages) > self._limits.max_messages:
            raise TooLargeError(
                f"messages holds {len(messages)} messages, more than {self._limits.max_messages} "
                "(limits.max_messages)",
                limit="max_messages",
                value=self._limits.max_messages,
            )
        document["messages"] = [canonical_keys(message, _MESSAGE_NAMES) for message in messages]
        for index, message in enumerate(document["messages"]):
            if not message.get("role"):
                raise InvalidRequestError(
                    f"messages[{index}].role is required: system, user, assistant or tool"
                )
            check_fields(message, MESSAGE_CHECKS, f"messages[{index}].")
        return any(message.get("images") for message in document["messages"])

    def _texts(self, form: Form, document: dict[str, Any]) -> tuple[TextPart, ...]:
        limits = self._limits
        texts = list_texts(document, form.shape, max_chars=limits.max_prompt_chars)
        for part in texts:
            if len(part.text) > limits.max_message_chars and part.where.startswith("messages["):
                raise TooLargeError(
                    f"{part.where} has {len(part.text)} characters, more than "
                    f"{limits.max_message_chars} (limits.max_message_chars)",
                    limit="max_message_chars",
                    value=limits.max_message_chars,
                )
        return texts


def _parse_nothing(name: str, method: str, path: str, body: bytes) -> InferenceRequest:
    if body:
        raise InvalidRequestError(f"{method} {path} takes no body: send none")
    return InferenceRequest(
        dialect=OllamaDialect.name,
        operation=name,
        method=method,
        upstream_path=path,
        scanned=False,
        queued=False,
    )


def _rename_name(document: dict[str, Any]) -> None:
    """`name` is the old word for `model`; exactly one of them goes on, so nothing can differ."""
    name = document.pop("name", None)
    if name and document.get("model") not in (None, "", name):
        raise InvalidRequestError("model and name differ: send model alone")
    if name:
        document["model"] = name


def _unscanned(document: Mapping[str, Any], *, has_images: bool) -> tuple[str, ...]:
    present = {"images": has_images, "context": bool(document.get("context"))}
    return tuple(name for name, is_present in present.items() if is_present)


def _restricted(document: Mapping[str, Any], model: str) -> tuple[str, ...]:
    """What is present of the fields that hide the prompt from every scanner."""
    present = {
        "context": bool(document.get("context")),
        "raw": document.get("raw") is True,
        "template": bool(document.get("template")),
        "debug_render": document.get("_debug_render_only") is True,
        "cloud_model": is_cloud_model(model),
    }
    return tuple(name for name, is_present in present.items() if is_present)


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
