"""Content blocks."""

from typing import Any

import pytest

from ogp.core.errors import InvalidRequestError
from ogp.core.types import TextKind, TextPart
from ogp.dialects.anthropic_blocks import checked_content, in_reading_order, sealed_in

SIGNED = "A" * 64


def document(*content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content)}], **more}


def test_a_string_is_content() -> None:
    assert checked_content("system", "x") == "x"


def test_keys_of_blocks_get_one_spelling_at_every_depth_and_input_keeps_its_own() -> None:
    block = {
        "TYPE": "tool_result",
        "Content": [{"tyPe": "image", "SOURCE": {"Type": "base64", "DATA": "aGkh"}}],
        "input": {"TEXT": "x"},
        "Novelty": 1,
    }
    assert checked_content("c", [block]) == [
        {
            "type": "tool_result",
            "content": [{"type": "image", "source": {"type": "base64", "data": "aGkh"}}],
            "input": {"TEXT": "x"},
            "Novelty": 1,
        }
    ]


@pytest.mark.parametrize("value", [None, 5, {"type": "text"}])
def test_anything_else_is_refused_by_place(value: Any) -> None:
    with pytest.raises(InvalidRequestError, match=r"system must be a string or a list of blocks"):
        checked_content("system", value)


@pytest.mark.parametrize("value", ["A" * 63, "A" * 63 + " ", "A" * 64 + "===", "a b" * 40, ""])
def test_what_does_not_look_encrypted_is_text(value: str) -> None:
    assert list(sealed_in(document({"type": "redacted_thinking", "data": value}))) == []


def test_sealed_values_are_found_in_system_and_at_every_depth() -> None:
    inner = {"type": "thinking", "signature": SIGNED}
    outer = {"type": "tool_result", "content": [inner]}
    block = {"type": "redacted_thinking", "data": SIGNED, "encrypted_index": SIGNED}
    found = list(sealed_in(document(outer, system=[block])))
    assert [(owner["type"], key, kind) for owner, key, kind in found] == [
        ("thinking", "signature", ""),
        ("redacted_thinking", "data", "redacted_thinking"),
        ("redacted_thinking", "encrypted_index", ""),
    ]


def test_running_text_comes_first_and_the_rest_keeps_its_order() -> None:
    texts = [
        TextPart("messages[0].content[0].name", "a"),
        TextPart("messages[0].content[0].text", "b", TextKind.CONTENT),
        TextPart("tools[0].name", "c"),
        TextPart("system", "d", TextKind.CONTENT),
    ]
    ordered = in_reading_order(texts, document({"type": "text", "text": "b"}, system="d"))
    assert [part.text for part in ordered] == ["d", "b", "a", "c"]


def test_blocks_come_in_the_order_in_which_a_model_meets_them() -> None:
    types = ["novelty", "document", "search_result", "text", "thinking", "tool_result"]
    content = [{"type": kind, "text": "x", "thinking": "x", "title": "x"} for kind in types]
    fields = {"text": "text", "thinking": "thinking", "novelty": "text"}
    texts = [
        TextPart(
            f"messages[0].content[{index}].{fields.get(kind, 'title')}", kind, TextKind.CONTENT
        )
        for index, kind in enumerate(types)
    ]
    ordered = in_reading_order(texts, document(*content))
    assert [part.text for part in ordered] == [
        "tool_result",
        "thinking",
        "text",
        "search_result",
        "document",
        "novelty",
    ]
