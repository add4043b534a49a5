"""Other texts in the same documents."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ogp.dialects.answers import AnswerShape, decode_answer, read_texts
from ogp.dialects.rewriting import replace_values, rewrite_answer
from ogp.dialects.text import TextShape

SHAPE = AnswerShape(
    names=frozenset({"a", "b", "meta", "tokens"}),
    metadata=frozenset({"meta"}),
    streamed=frozenset({"a"}),
    fixed={"b": frozenset({"fixed"})},
)
PROMPT = TextShape(
    names=frozenset({"text", "role", "model", "list"}),
    content=frozenset({"text"}),
    opaque=frozenset({"model"}),
    fixed={"role": frozenset({"user"})},
)


def rewritten(raw: bytes, **replacements: str) -> bytes:
    texts, _ = read_texts(raw, SHAPE)
    changed = [(name, replacements.get(text, text)) for name, text in texts]
    return rewrite_answer(raw, texts, changed, SHAPE, dropped={"tokens"})


def test_a_text_is_replaced_and_everything_else_stays() -> None:
    raw = b'{"b":[1.10,12345678901234567890,1e400,NaN,true,null],"a":"old","meta":"old","x":{}}'
    assert rewritten(raw, old="new") == raw.replace(b'"a":"old"', b'"a":"new"')


@pytest.mark.parametrize("end", [b"", b"\n", b" \r\n\n"])
def test_white_space_around_the_document_stays(end: bytes) -> None:
    assert rewritten(b' {"a":"old"}' + end, old="new") == b' {"a":"new"}' + end


def test_keys_that_are_text_are_replaced_in_their_place() -> None:
    assert rewritten(b'{"a":"1","old":2,"b":"3"}', old="new") == b'{"a":"1","new":2,"b":"3"}'


def test_two_keys_never_become_one() -> None:
    with pytest.raises(ValueError, match="two keys become one"):
        rewritten(b'{"x":1,"y":2}', x="same", y="same")


def test_what_tells_of_the_old_text_goes_and_only_from_its_place() -> None:
    raw = b'{"a":"old","tokens":["ol","d"],"b":{"tokens":"x"}}'
    assert rewritten(raw, old="new") == b'{"a":"new","b":{"tokens":"x"}}'


def test_of_keys_that_stand_twice_the_last_one_counts_as_in_reading() -> None:
    assert rewritten(b'{"a":"first","b":1,"a":"old"}', old="new") == b'{"a":"new","b":1}'


def test_quotation_marks_and_line_separators_are_escaped() -> None:
    raw = rewritten(b'{"a":"old"}', old='"\\\u2028\x85é')
    assert raw == b'{"a":"\\"\\\\\\u2028\\u0085\\u00e9"}'


@pytest.mark.parametrize("raw", [b'{"a":"\\ud800 old"}', b'{"a":"\xff old"}', b'{"a":"\t old"}'])
def test_what_lenient_readers_read_can_be_changed(raw: bytes) -> None:
    text = read_texts(raw, SHAPE)[0][0][1]
    assert decode_answer(rewritten(raw, **{text: "new"})) == {"a": "new"}


def test_unchanged_texts_mean_the_same_afterwards() -> None:
    raw = b'{"a":"\\ud800","k\\udc00":["\\ud83d\\ude00",""],"b":"fixed"}'
    assert decode_answer(rewritten(raw)) == decode_answer(raw)


def test_documents_below_each_other_are_rewritten_one_by_one() -> None:
    raw = b'{"a":"old"}\n\n{"b":"old"}\n'
    assert rewritten(raw, old="new") == b'{"a":"new"}\n\n{"b":"new"}\n'


@pytest.mark.parametrize("raw", [b"no json", b'{"a":"old"}\nno json\n', b"[" * 100_000])
def test_what_is_no_json_cannot_be_changed(raw: bytes) -> None:
    texts, _ = read_texts(raw, SHAPE)
    with pytest.raises(ValueError):  # noqa: PT011 - JSON has its own subclass
        rewrite_answer(raw, texts, texts, SHAPE)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([("a", "other")], "other texts"),
        ([], "more texts"),
        ([("a", "old"), ("a", "more")], "fewer texts"),
    ],
)
def test_texts_of_another_document_are_refused(texts: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rewrite_answer(b'{"a":"old"}', texts, texts, SHAPE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("ab") | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(document=JSON)
def test_any_document_takes_other_texts(document: Any) -> None:
    raw = json.dumps(document).encode()
    texts, _ = read_texts(raw, SHAPE)
    changed = [(name, text if text == "\n" else f"<{text}>") for name, text in texts]
    new = rewrite_answer(raw, texts, changed, SHAPE)
    assert [text for _, text in read_texts(new, SHAPE)[0] if text != "\n"] == [
        text for _, text in changed if text != "\n"
    ]
    same = json.dumps(document, separators=(",", ":")).encode()
    assert rewrite_answer(raw, texts, texts, SHAPE) == same


def test_values_of_a_request_are_replaced_wherever_they_stand() -> None:
    document = {"text": "old", "list": ["old", {"x": "old"}, 1, None], "old": True}
    assert replace_values(document, PROMPT, {"old": "new"}) == {
        "text": "new",
        "list": ["new", {"x": "new"}, 1, None],
        "old": True,
    }


def test_names_and_fixed_words_of_a_request_stay() -> None:
    document = {"text": "user", "role": "user", "model": "user"}
    assert replace_values(document, PROMPT, {"user": "new"}) == {
        "text": "new",
        "role": "user",
        "model": "user",
    }
