import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogp.core.errors import InvalidRequestError, TooLargeError
from ogp.core.types import TextKind, TextPart
from ogp.dialects.text import MAX_TEXTS, TextShape, list_texts, without_surrogates

SHAPE = TextShape(
    names=frozenset({"model", "prompt", "system", "messages", "content", "role", "images", "stop"}),
    content=frozenset({"prompt", "system", "messages[].content"}),
    opaque=frozenset({"model", "messages[].images"}),
    fixed={"messages[].role": frozenset({"user"})},
    order=("system", "prompt"),
)
EMPTY = TextShape(names=frozenset(), content=frozenset())


def parts(document: dict[str, Any], shape: TextShape = SHAPE) -> list[TextPart]:
    return list(list_texts(document, shape, max_chars=1_000_000))


def texts(document: dict[str, Any], shape: TextShape = SHAPE) -> list[str]:
    return [part.text for part in parts(document, shape)]


strings = st.text(max_size=12)
documents = st.dictionaries(
    strings,
    st.recursive(
        st.none() | st.booleans() | st.integers() | strings,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4),
        max_leaves=15,
    ),
    max_size=4,
)


def every_string(node: Any) -> list[str]:
    if isinstance(node, str):
        return [node]
    if isinstance(node, list):
        return [text for item in node for text in every_string(item)]
    if isinstance(node, dict):
        return [text for pair in node.items() for item in pair for text in every_string(item)]
    return []


@given(documents)
def test_every_string_of_any_document_is_listed(document: dict[str, Any]) -> None:
    missing = {text for text in every_string(document) if text} - set(texts(document, EMPTY))
    assert not missing


@given(documents, st.booleans(), st.integers(1, 3))
def test_every_string_of_json_inside_a_string_is_in_a_listed_text(
    document: dict[str, Any], escaped: bool, levels: int
) -> None:
    inner: Any = document
    for _ in range(levels):
        inner = json.dumps(inner, ensure_ascii=escaped)
    listed = texts({"x": [inner]}, EMPTY)
    assert all(any(text in shown for shown in listed) for text in every_string(document))


def test_content_is_told_from_fields() -> None:
    document = {"prompt": "p", "stop": ["s"], "messages": [{"content": "c", "role": "r"}]}
    assert parts(document) == [
        TextPart("prompt", "p", TextKind.CONTENT),
        TextPart("stop[0]", "s"),
        TextPart("messages[0].content", "c", TextKind.CONTENT),
        TextPart("messages[0].role", "r"),
    ]


def test_unknown_keys_are_texts_and_never_part_of_a_place() -> None:
    document = {"evil words": {"content": ["v"]}, "messages": [{"worse": "w"}]}
    assert parts(document) == [
        TextPart("* (key)", "evil words"),
        TextPart("*.content[0]", "v"),
        TextPart("messages[0].* (key)", "worse"),
        TextPart("messages[0].*", "w"),
    ]


def test_a_known_name_in_another_case_is_a_text() -> None:
    assert texts({"x": {"PROMPT": 1, "prompt": 2}}) == ["x", "PROMPT"]


@pytest.mark.parametrize("key", ["messages[].images", "messages[].content", "model", "*"])
def test_a_key_cannot_pretend_to_be_a_path(key: str) -> None:
    document = {"x": {key: "hidden"}, "messages[].images": "hidden too"}
    assert {"hidden", "hidden too"} <= set(texts(document))


def test_opaque_paths_are_not_listed() -> None:
    assert texts({"model": "m", "messages": [{"images": ["aGk="]}]}) == []


def test_a_name_that_is_opaque_elsewhere_is_listed() -> None:
    assert texts({"images": ["text"], "messages": {"images": ["t2"]}}) == ["text", "t2"]


def test_fixed_words_are_skipped_only_at_their_path() -> None:
    assert texts({"role": "user", "messages": [{"role": "user"}, {"role": "User"}]}) == [
        "user",
        "User",
    ]


def test_empty_strings_are_no_texts() -> None:
    assert texts({"prompt": "", "": ""}) == []


def test_texts_stand_in_the_models_reading_order() -> None:
    assert texts({"prompt": "2", "stop": ["3"], "system": "1"}) == ["1", "2", "3"]


def test_json_inside_a_string_is_decoded() -> None:
    document = {"stop": [' {"k\\u0065y": ["\\u0062omb", 1, 2.5, NaN, true], "a": "x", "a": "y"}']}
    assert texts(document)[1:] == ["key", "bomb", "a", "x", "a", "y"]
    assert parts(document)[1] == TextPart("stop[0] (nested)", "key")


def test_json_inside_json_inside_a_string_is_decoded() -> None:
    inner = json.dumps(json.dumps({"a": "\\"}))
    assert "\\u0062" in texts({"stop": [json.dumps(['"\\\\u0062"', inner])]})
    assert "\\" in texts({"stop": [json.dumps([inner])]})


def test_prose_with_backslashes_is_left_alone() -> None:
    assert texts({"prompt": "C:\\new \\u0041"}) == ["C:\\new \\u0041"]
    assert texts({"prompt": "[\\u0041 is not JSON"}) == ["[\\u0041 is not JSON"]


def test_control_characters_do_not_keep_nested_json_from_being_decoded() -> None:
    assert texts({"prompt": '["\t", "\\u0062omb"]'})[1:] == ["\t", "bomb"]


def test_long_numbers_inside_nested_json_do_not_hide_text() -> None:
    nested = '[%s, 1e999, "\\u0062omb"]' % ("9" * 5000)
    assert texts({"prompt": nested})[1:] == ["bomb"]


def test_lone_surrogates_inside_nested_json_become_replacement_characters() -> None:
    assert texts({"prompt": '["\\ud800x"]'})[1:] == ["\ufffdx"]


def test_nested_json_that_is_too_deep_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="stop\\[0\\] holds JSON") as caught:
        parts({"stop": ['{"secret":' * 65 + '"\\u0062"' + "}" * 65]})
    assert "secret" not in caught.value.message


def test_surrogate_pairs_become_characters() -> None:
    assert without_surrogates("\ud83d\ude00\ud800a") == "\U0001f600\ufffda"


def test_texts_are_counted_together_keys_included() -> None:
    document = {"prompt": "12345", "key": "123"}
    assert len(list_texts(document, SHAPE, max_chars=11)) == 3
    with pytest.raises(TooLargeError) as caught:
        list_texts(document, SHAPE, max_chars=10)
    assert caught.value.message == (
        "the request holds more than 10 characters of text (limits.max_prompt_chars)"
    )
    assert caught.value.facts == {"limit": "max_prompt_chars", "value": 10}


def test_nested_texts_count_once() -> None:
    nested = '["\\n"]'
    assert len(list_texts({"prompt": nested}, SHAPE, max_chars=len(nested))) == 2


@pytest.mark.parametrize("strings", [["a"] * MAX_TEXTS, [json.dumps(["\n"] * MAX_TEXTS)]])
def test_the_number_of_texts_is_limited(strings: list[str]) -> None:
    with pytest.raises(TooLargeError, match=f"more than {MAX_TEXTS} separate strings"):
        parts({"stop": strings, "prompt": "one more"})


def test_as_many_texts_as_allowed_pass() -> None:
    assert len(parts({"stop": ["a"] * MAX_TEXTS})) == MAX_TEXTS
