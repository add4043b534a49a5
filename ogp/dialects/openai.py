"""OpenAI's language: chat completions, completions, embeddings and the list of models."""

from collections.abc import Mapping
from typing import Any

from ogp.core.errors import BlockedError, GatewayError, InvalidRequestError
from ogp.core.types import InferenceRequest
from ogp.dialects.content_parts import read_parts
from ogp.dialects.fields import check_fields
from ogp.dialects.form_dialect import Kinds
from ogp.dialects.forms import Form
from ogp.dialects.openai_answers import ANSWER_FORM
from ogp.dialects.openai_errors import blocked_chunks, error_body, error_headers, failed_event
from ogp.dialects.openai_forms import (
    CALL_CHECKS,
    CHAT,
    FORMS,
    FUNCTION_CHECKS,
    MESSAGE_CHECKS,
    MESSAGE_NAMES,
    PARTS,
    TOP_NAMES,
)
from ogp.dialects.sse_dialect import SseDialect
from ogp.dialects.strict import canonical_keys

_NONE: Kinds = frozenset()


class OpenAIDialect(SseDialect):
    """Parses requests, reads answers and renders errors. Stateless, hence safe in every thread."""

    name = "openai"
    forms = FORMS
    top_names = TOP_NAMES
    messages = "messages"
    answer_form = ANSWER_FORM
    blocked = staticmethod(blocked_chunks)
    """Ends a stream whose rest is withheld."""
    failed = staticmethod(failed_event)
    """Ends a stream that broke."""

    def read_fields(self, form: Form, document: dict[str, Any]) -> Kinds:
        """Check messages; the other bodies are flat."""
        if form is not CHAT or not document.get("messages"):
            return _NONE
        messages: list[dict[str, Any]] = document["messages"]
        document["messages"] = [canonical_keys(message, MESSAGE_NAMES) for message in messages]
        kinds = [
            _read_message(f"messages[{index}]", message)
            for index, message in enumerate(document["messages"])
        ]
        # The upstream makes a message of each part.
        self.check_count(sum(map(_parts, document["messages"])))
        return _NONE.union(*kinds)

    def error_body(
        self,
        error: GatewayError,
        request_id: str | None = None,  # noqa: ARG002 - part of the protocol
    ) -> bytes:
        """`{"error": {"message", "type", "param", "code", ...facts}}`."""
        return error_body(error)

    def error_headers(self, error: GatewayError) -> Mapping[str, str]:
        """Headers of a refusal before anything was sent."""
        return error_headers(error)

    def error_event(
        self,
        error: GatewayError,
        *,
        request: InferenceRequest | None = None,
        mid_line: bool = False,
        head: bytes = b"",
    ) -> bytes:
        """The end that the official client understands, see `blocked` and `failed`.

        Args:
            error: why the stream ends.
            request: what was asked.
            mid_line: the last byte sent was no line break.
            head: the first bytes that were sent.
        """
        # A line that is open is ended; then its event, which could be open after a whole line too.
        opened = b"\n\n" if mid_line else b"\n"
        if isinstance(error, BlockedError):
            return opened + self.blocked(error, request, head)
        return opened + self.failed(error)


def _parts(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    return max(1, len(content)) if isinstance(content, list) else 1


def _read_message(where: str, message: dict[str, Any]) -> Kinds:
    if not message.get("role"):
        raise InvalidRequestError(
            f"{where}.role is required: system, developer, user, assistant or tool"
        )
    check_fields(message, MESSAGE_CHECKS, f"{where}.")
    if message.get("tool_calls"):
        message["tool_calls"] = [
            _read_call(f"{where}.tool_calls[{index}]", call)
            for index, call in enumerate(message["tool_calls"])
        ]
    if message.get("content") is None:
        return _NONE
    message["content"], kinds = read_parts(f"{where}.content", message["content"], PARTS)
    return kinds


def _read_call(where: str, call: dict[str, Any]) -> dict[str, Any]:
    call = canonical_keys(call, CALL_CHECKS)
    check_fields(call, CALL_CHECKS, f"{where}.")
    if call.get("function") is not None:
        call["function"] = canonical_keys(call["function"], FUNCTION_CHECKS)
        check_fields(call["function"], FUNCTION_CHECKS, f"{where}.function.")
    return call
