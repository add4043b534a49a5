"""JSON in pieces."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogp.dialects.json_pieces import cut_pieces, joined

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(text: str, *, inside: bool = False) -> list[tuple[bool, str]]:
    return [(piece.inside, piece.text) for piece in cut_pieces(text, inside=inside)[0]]


def changed(text: str, old: str, new: str, *, inside: bool = False) -> str:
    pieces, _, _ = cut_pieces(text, inside=inside)
    return joined(pieces, iter([piece.text.replace(old, new) for piece in pieces]))


def test_strings_are_told_from_what_is_between_them() -> None:
    assert read('{"to":"bob","n":[1,""]}') == [
        (False, '{"'),
        (True, "to"),
        (False, '":"'),
        (True, "bob"),
        (False, '","'),
        (True, "n"),
        (False, '":[1,"'),
        (False, '"]}'),
    ]


def test_a_piece_may_begin_and_end_inside_a_string() -> None:
    pieces, inside, _ = cut_pieces('b","c', inside=True)
    assert [piece.text for piece in pieces] == ["b", '","', "c"]
    assert inside
    assert not cut_pieces('b"', inside=True)[1]


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        (r"\u0062omb", "bomb"),
        (r"a\"b\\c\/d\n\t\b\f\r", 'a"b\\c/d\n\t\b\f\r'),
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\ud83dx", "\ufffdx"),
        (r"\ude00x", "\ufffdx"),
        (r"\ud83d\u0041", "\ufffdA"),
        (r"\\u0062", r"\u0062"),
        (r"\q \u12g4", r"\q \u12g4"),
    ],
)
def test_escapes_are_decoded_and_what_is_none_stays(text: str, read_as: str) -> None:
    for inside in (True, False):
        assert "".join(text for _, text in read(text, inside=inside)) == read_as


@pytest.mark.parametrize(
    "text", ["\\", r"\u", r"\u0", r"\u00", r"\u006", r"\ud83d", "\\ud83d\\", r"\ud83d\ude0"]
)
def test_an_escape_that_goes_on_is_seen_and_read_as_it_stands(text: str) -> None:
    pieces, _, is_open = cut_pieces(f"a{text}", inside=True)
    assert is_open
    assert [piece.text for piece in pieces] == [f"a{text}"]


@pytest.mark.parametrize("text", ["", "a", "\\\\", r"\u0062", r"\\u", r"\\ud83d", r"\ude00", "\\n"])
def test_a_whole_escape_is_none_that_goes_on(text: str) -> None:
    assert not cut_pieces(text, inside=True)[2]


def test_new_text_is_escaped_inside_strings() -> None:
    assert changed(r'{"a":"x\u0020[N]"}', "[N]", 'O"B\\\n') == r'{"a":"x O\"B\\\n"}'


def test_text_that_stays_keeps_its_spelling() -> None:
    assert changed(r'{"a":"\u0062","b":"c"}', "c", "d") == r'{"a":"\u0062","b":"d"}'


def test_between_strings_values_become_null_and_the_document_stays_one() -> None:
    assert changed('{"card": 4111, "b": [true]}', ": 4111", "") == '{"card": null, "b": [true]}'
    assert changed("rm -rf bomb", "bomb", "") == "null null null"


@given(VALUES, st.data())
def test_any_document_reads_the_same_however_it_is_cut(value: object, data: st.DataObject) -> None:
    text = json.dumps(value)
    whole = "".join(text for _, text in read(text))
    held, inside, found = "", False, ""
    while text:
        cut = data.draw(st.integers(1, len(text)))
        held, text = held + text[:cut], text[cut:]
        pieces, after, is_open = cut_pieces(held, inside=inside)
        assert "".join(piece.raw for piece in pieces) == held
        if not is_open:
            found += "".join(piece.text for piece in pieces)
            held, inside = "", after
    assert found == whole
    assert not inside


@given(VALUES, st.text(min_size=1), st.text())
def test_a_document_with_other_strings_is_a_document(value: object, old: str, new: str) -> None:
    text = json.dumps({"x": value, "y": f"a{old}b"})
    pieces, _, _ = cut_pieces(text, inside=False)
    texts = [piece.text.replace(old, new) if piece.inside else piece.text for piece in pieces]
    pairs = json.loads(joined(pieces, iter(texts)), object_pairs_hook=list)
    assert pairs[-1][1] == f"a{old}b".replace(old, new)
