"""OpenAI's newer language: `/v1/responses`, with items for messages and typed events for chunks."""

from typing import Any

from ogp.dialects.content_parts import read_parts
from ogp.dialects.fields import check_fields
from ogp.dialects.form_dialect import Kinds
from ogp.dialects.forms import Form
from ogp.dialects.openai import OpenAIDialect
from ogp.dialects.openai_errors import blocked_response, failed_response
from ogp.dialects.responses_answers import ANSWER_FORM
from ogp.dialects.responses_forms import (
    FORMS,
    ITEM_CHECKS,
    ITEM_NAMES,
    PARTS,
    SUMMARY_NAMES,
    TOP_NAMES,
)
from ogp.dialects.strict import canonical_keys


class ResponsesDialect(OpenAIDialect):
    """Parses requests, reads answers and renders errors. Stateless, hence safe in every thread."""

    name = "openai_responses"
    forms = FORMS
    top_names = TOP_NAMES
    messages = "input"
    answer_form = ANSWER_FORM
    blocked = staticmethod(blocked_response)
    failed = staticmethod(failed_response)

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
