import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogp.core.types import Usage
from ogp.dialects.answers import AnswerShape, read_texts, usage_in
from ogp.dialects.ollama_forms import ANSWER

EMPTY = AnswerShape(names=frozenset(), metadata=frozenset(), streamed=frozenset())


def read(document: Any) -> list[tuple[str, str]]:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_texts(raw, ANSWER)[0]


def whole(*texts: tuple[str, str]) -> list[tuple[str, str]]:
    return [pair for channel, text in texts for pair in ((channel, text), (channel, "\n"))]


def test_running_text_goes_into_its_channel_unchanged() -> None:
    line = {
        "model": "m",
        "created_at": "now",
        "message": {"role": "assistant", "content": " a", "thinking": "b "},
        "logprobs": [{"token": "x", "bytes": [1]}, {"token": "y"}],
        "done": False,
    }
    assert read(line) == [
        ("message.content", " a"),
        ("message.thinking", "b "),
        ("logprobs[].token", "x"),
        ("logprobs[].token", "y"),
    ]


def test_metadata_is_no_text_only_at_its_path() -> None:
    assert read(
        {"model": "m", "done_reason": "stop", "x": {"model": "t"}, "message.role": "u"}
    ) == (whole(("*", "x"), ("x.model", "t"), ("*", "message.role"), ("*", "u")))


def test_tool_calls_are_read_keys_included() -> None:
    call = {"function": {"name": "f", "arguments": {"city": "Rome", "n": [{"a-b": "c"}, 1]}}}
    path = "message.tool_calls[].function"
    assert read({"message": {"tool_calls": [call]}}) == whole(
        (f"{path}.name", "f"),
        (f"{path}.arguments.*", "city"),
        (f"{path}.arguments.city", "Rome"),
        (f"{path}.arguments.*", "n"),
        (f"{path}.arguments.n[].*", "a-b"),
        (f"{path}.arguments.n[].*", "c"),
    )


def test_neighbouring_values_do_not_look_like_one_word() -> None:
    call = {"function": {"arguments": {"x": ["bomb", "s"]}}}
    texts = read({"message": {"tool_calls": [call, call]}})
    joined = "".join(text for channel, text in texts if channel.endswith(".x[]"))
    assert joined == "bomb\ns\nbomb\ns\n"


def test_error_texts_are_text() -> None:
    assert read({"error": "boom"}) == whole(("error", "boom"))


def test_generated_pictures_are_no_text() -> None:
    assert read({"image": "aGk=", "done": False}) == []


@pytest.mark.parametrize(
    ("raw", "texts"),
    [
        (b'"text"', whole(("raw", "text"))),
        (b'["a"]', whole(("[]", "a"))),
        (b"1", []),
        (b"null", []),
        (b"[]", []),
    ],
)
def test_documents_that_are_no_objects_are_read(raw: bytes, texts: list[tuple[str, str]]) -> None:
    assert read(raw) == texts


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'{"response":"\\u0062omb","total":NaN}', "bomb"),
        (b'{"response":"\\u0062omb\xff"}', "bomb\ufffd"),
        (b'{"response":"\\u0062omb\\ud800"}', "bomb\ufffd"),
        (b'{"response":"\\ud83d\\u0062omb"}', "\ufffdbomb"),
        (b'{"response":"\\u0062omb\x01"}', "bomb\x01"),
        (b'{"response":"\\u0062omb","context":[' + b"9" * 5000 + b"]}", "bomb"),
    ],
)
def test_what_only_lenient_clients_read_is_read_as_they_do(raw: bytes, text: str) -> None:
    assert read(raw) == [("response", text)]


@pytest.mark.parametrize("raw", [b'{"response":"bo', b"<html>", b"\xff\xfe", b'{"a":1}{"b":2}'])
def test_what_nobody_reads_is_raw_text(raw: bytes) -> None:
    assert read_texts(raw, ANSWER) == ([("raw", raw.decode("utf-8", "replace"))], None)


@pytest.mark.parametrize("depth", [900, 5000, 200_000])
def test_deep_answers_are_raw_text(depth: int) -> None:
    raw = b'{"response":' + b"[" * depth + b'"bomb"' + b"]" * depth + b"}"
    assert any("bomb" in text for _, text in read(raw))


def test_lines_where_one_document_was_expected_are_read_one_by_one() -> None:
    raw = b'{"response":"\\u0062o"}\n\n{"response":"mb"}\n<br>'
    assert read(raw) == [("response", "bo"), ("response", "mb"), ("raw", "<br>")]


values = st.recursive(
    st.none() | st.integers(-5, 5) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)


def every_string(node: Any) -> list[str]:
    if isinstance(node, str):
        return [node]
    if isinstance(node, list):
        return [text for item in node for text in every_string(item)]
    if isinstance(node, dict):
        return [text for pair in node.items() for item in pair for text in every_string(item)]
    return []


@given(values, st.booleans())
def test_every_string_of_any_answer_is_read(document: Any, escaped: bool) -> None:
    raw = json.dumps(document, ensure_ascii=escaped).encode()
    listed = {text for _, text in read_texts(raw, EMPTY)[0]}
    assert {text for text in every_string(document) if text} <= listed


@pytest.mark.parametrize(
    ("document", "usage"),
    [
        ({"done": True, "prompt_eval_count": 5, "eval_count": 7}, Usage(5, 7)),
        ({"prompt_eval_count": 5}, Usage(5, None)),
        ({"done": True, "eval_count": 0}, Usage(None, 0)),
        ({"done": False, "eval_count": 7}, None),
        ({"done": 1, "eval_count": 7}, None),
        ({"done": True}, None),
        ({"done": True, "eval_count": "7", "prompt_eval_count": True}, None),
        ({"done": True, "eval_count": -1, "prompt_eval_count": 2**60}, None),
        ([1], None),
        (None, None),
    ],
)
def test_usage(document: Any, usage: Usage | None) -> None:
    assert usage_in(document) == usage
