"""OpenAI's newer language: `/v1/responses`, with items for messages and typed events for chunks."""

from collections.abc import Mapping
from typing import Any

from ogp.core.errors import BlockedError, GatewayError
from ogp.core.types import InferenceRequest
from ogp.dialects.content_parts import read_parts
from ogp.dialects.fields import check_fields
from ogp.dialects.form_dialect import Kinds
from ogp.dialects.forms import Form
from ogp.dialects.openai_errors import blocked_response, error_body, error_headers, failed_response
from ogp.dialects.responses_answers import ANSWER_FORM
from ogp.dialects.responses_forms import (
    FORMS,
    ITEM_CHECKS,
    ITEM_NAMES,
    PARTS,
    SUMMARY_NAMES,
    TOP_NAMES,
)
from ogp.dialects.sse_dialect import SseDialect
from ogp.dialects.strict import canonical_keys


class ResponsesDialect(SseDialect):
    """Parses requests, reads answers and renders errors. Stateless, hence safe in every thread."""

    name = "openai_responses"
    forms = FORMS
    top_names = TOP_NAMES
    messages = "input"
    answer_form = ANSWER_FORM

    def read_fields(self, form: Form, document: dict[str, Any]) -> Kinds:  # noqa: ARG002 - one form
        """Check the items."""
        items = document.get("input")
        if not isinstance(items, list):
            return frozenset()
        self.check_count(len(items))
        kinds: Kinds = frozenset()
        for index, item in enumerate(items):
            items[index] = canonical_keys(item, ITEM_NAMES)
            kinds |= _read_item(f"input[{index}]", items[index])
        return kinds

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
        """`response.incomplete` with reason `content_filter`, or an `error` event.

        Args:
            error: why the stream ends.
            request: what was asked.
            mid_line: the last byte sent was no line break.
            head: the first bytes that were sent.
        """
        # A line that is open is ended; then its event, which could be open after a whole line too.
        opened = b"\n\n" if mid_line else b"\n"
        if isinstance(error, BlockedError):
            return opened + blocked_response(error, request, head)
        return opened + failed_response(error)


def _read_item(where: str, item: dict[str, Any]) -> Kinds:
    check_fields(item, ITEM_CHECKS, f"{where}.")
    kinds: Kinds = frozenset()
    for name in ("content", "output"):
        if item.get(name) is not None:
            item[name], found = read_parts(f"{where}.{name}", item[name], PARTS)
            kinds |= found
    if item.get("summary"):
        item["summary"] = [canonical_keys(part, SUMMARY_NAMES) for part in item["summary"]]
    return kinds
