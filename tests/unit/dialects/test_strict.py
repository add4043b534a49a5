import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogp.core.errors import InvalidRequestError, TooLargeError
from ogp.dialects.strict import (
    MAX_DEPTH,
    MAX_NUMBER_CHARS,
    MAX_VALUES,
    canonical_keys,
    is_too_deep,
    parse_document,
    serialise,
)


def refusal(body: bytes, names: frozenset[str] = frozenset({"prompt", "system"})) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        parse_document(body, names=names)
    return caught.value.message


def text_only(document: Any) -> list[str]:
    if isinstance(document, str):
        return [document]
    if isinstance(document, list):
        return [text for item in document for text in text_only(item)]
    if isinstance(document, dict):
        return [text for pair in document.items() for item in pair for text in text_only(item)]
    return []


keys = st.text(max_size=8)
numbers = (
    st.integers(min_value=-(10**98), max_value=10**98)
    | st.integers(min_value=2**63, max_value=2**65)
    | st.floats(allow_nan=False, allow_infinity=False)
)


def objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    members = st.lists(st.tuples(keys, values), max_size=4, unique_by=lambda m: m[0].casefold())
    return members.map(dict)


values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | objects(inner),
    max_leaves=12,
)
documents = objects(values)


@given(documents, st.booleans())
def test_what_goes_upstream_means_what_the_client_sent(document: dict[str, Any], esc: bool) -> None:
    body = json.dumps(document, ensure_ascii=esc).encode()
    parsed = parse_document(body)
    assert parsed == document
    assert json.loads(serialise(parsed)) == document
    assert serialise(parsed) == serialise(document)  # keys in their order, at every depth


@given(documents)
def test_serialisation_is_stable(document: dict[str, Any]) -> None:
    once = serialise(parse_document(serialise(document)))
    assert serialise(parse_document(once)) == once


@given(documents)
def test_serialisation_is_compact_ascii_on_one_line(document: dict[str, Any]) -> None:
    sent = serialise(document)
    assert sent.isascii()
    assert len(sent.decode().splitlines()) == 1


@given(st.binary(max_size=60))
def test_any_bytes_give_an_object_or_a_refusal(body: bytes) -> None:
    with contextlib.suppress(InvalidRequestError):
        assert isinstance(parse_document(body), dict)


@given(st.lists(st.sampled_from('{}[]"\\:,ab1 '), max_size=40).map("".join))
def test_the_depth_bound_never_refuses_what_is_shallow(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        return
    assert not is_too_deep(text)


@given(st.integers(0, 2 * MAX_DEPTH), st.sampled_from(['"]}"', '"\\\\"', '"\\"}]"', "1", '"[{"']))
def test_the_depth_bound_counts_only_what_is_outside_of_strings(depth: int, inner: str) -> None:
    text = '{"a":[' * depth + inner + "]}" * depth
    assert is_too_deep(text) == (2 * depth > MAX_DEPTH)


# Rows of docs/wire.md, each under its name there.


@pytest.mark.parametrize("key", ["PROMPT", "pRompt", "prompt"])
def test_key_in_another_case_gets_the_canonical_spelling(key: str) -> None:
    document = parse_document(json.dumps({"a": 1, key: "x", "b": 2}).encode())
    assert list(canonical_keys(document, {"prompt"})) == ["a", "prompt", "b"]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("\u017fystem", "system"),
        ("me\u017f\u017fages", "messages"),
        ("\u212aeep_alive", "keep_alive"),
    ],
)
@pytest.mark.parametrize("escaped", [True, False])
def test_long_s_and_kelvin_sign_fold_as_in_go(key: str, name: str, escaped: bool) -> None:
    document = parse_document(json.dumps({key: "x"}, ensure_ascii=escaped).encode())
    assert canonical_keys(document, {name}) == {name: "x"}


def test_unknown_keys_keep_their_spelling() -> None:
    assert canonical_keys({"Foo": 1, "STRASSE": 2}, {"prompt"}) == {"Foo": 1, "STRASSE": 2}


@pytest.mark.parametrize(
    "body",
    [
        b'{"prompt":"A","prompt":"B"}',
        b'{"prompt":"A","PROMPT":"B"}',
        b'{"prompt":"A","pr\\u006fmpt":"B"}',
        b'{"system":"A","\\u017fystem":"B"}',
        '{"system":"A","\u017fystem":"B"}'.encode(),
    ],
)
def test_duplicate_scalar_is_refused(body: bytes) -> None:
    assert "more than once" in refusal(body)


def test_duplicate_with_null_is_refused() -> None:
    assert refusal(b'{"prompt":"A","prompt":null}').startswith("'prompt' stands more than once")


def test_duplicate_object_is_refused() -> None:
    assert "more than once" in refusal(b'{"options":{"a":1},"options":{"b":2}}')


def test_duplicate_array_is_refused() -> None:
    assert "more than once" in refusal(b'{"messages":[{"role":"user"}],"messages":[{}]}')


@pytest.mark.parametrize("body", [b'{"a":[{"b":{"k":1,"K":2}}]}', b'{"a":{"x":1,"x":1}}'])
def test_duplicates_are_refused_at_any_depth(body: bytes) -> None:
    assert "more than once" in refusal(body)


def test_a_key_that_is_not_ours_is_not_repeated_in_the_message() -> None:
    assert "hunter2" not in refusal(b'{"hunter2":1,"HUNTER2":2}')


def test_distinct_keys_beyond_ascii_are_no_duplicates() -> None:
    body = '{"stra\u00dfe":1,"\u00c4":2,"City":3}'.encode()
    assert parse_document(body) == {"stra\u00dfe": 1, "\u00c4": 2, "City": 3}


@pytest.mark.parametrize("tail", [b"x", b"{}", b'{"prompt":"B"}', b"\x00", b",", b"\n[]"])
def test_trailing_data_is_refused(tail: bytes) -> None:
    assert "not one JSON document" in refusal(b'{"prompt":"A"}' + tail)


def test_white_space_around_the_document_is_fine() -> None:
    assert parse_document(b' \t\r\n{"a":1}\r\n ') == {"a": 1}


def test_escapes_in_keys_and_values_are_decoded() -> None:
    assert parse_document(b'{"pr\\u006fmpt":"\\u0062omb"}') == {"prompt": "bomb"}


@pytest.mark.parametrize("raw", [b"\xff", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xc3"])
def test_invalid_overlong_and_cesu_utf8_is_refused(raw: bytes) -> None:
    assert refusal(b'{"prompt":"' + raw + b'"}') == (
        "the body is not UTF-8 at byte 11: send JSON in UTF-8"
    )


@pytest.mark.parametrize(
    "escape", ["\\ud800", "\\uDfff", "\\udc00\\ud800", "\\ud83dx", "\\ud83d\\ud83d\\ude00"]
)
@pytest.mark.parametrize("form", ['{"a":"%s"}', '{"%s":1}', '{"a":[{"b":"%s"}]}'])
def test_lone_surrogate_is_refused(escape: str, form: str) -> None:
    assert "surrogate" in refusal((form % escape).encode())


def test_surrogate_pair_is_a_character() -> None:
    assert parse_document(b'{"a":"\\ud83d\\ude00 \\\\ud800"}') == {"a": "\U0001f600 \\ud800"}


def test_nul_escape_is_accepted_and_sent_escaped() -> None:
    document = parse_document(b'{"prompt":"a\\u0000b"}')
    assert document == {"prompt": "a\0b"}
    assert serialise(document) == b'{"prompt":"a\\u0000b"}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"\x01"}',
        b'{"a":"line\nbreak"}',
        b'{"a":1} // c',
        b'{/**/"a":1}',
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":"\\x41"}',
        b'{"a"',
    ],
)
def test_what_is_not_json_is_refused_with_its_place(body: bytes) -> None:
    assert " column " in refusal(body)


def test_byte_order_mark_is_refused() -> None:
    assert "byte order mark" in refusal(b'\xef\xbb\xbf{"a":1}')


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_utf16_and_utf32_are_refused(codec: str) -> None:
    assert "not" in refusal('{"prompt":"hi"}'.encode(codec))


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity"])
def test_nan_and_infinity_are_refused(literal: bytes) -> None:
    assert "is not JSON" in refusal(b'{"a":' + literal + b"}")


@pytest.mark.parametrize("literal", [b"1e999", b"-1e999", b"1e99999999999999999999"])
def test_float_overflow_is_refused(literal: bytes) -> None:
    assert "64-bit float" in refusal(b'{"a":' + literal + b"}")


@pytest.mark.parametrize("body", [b"[]", b'["a"]', b'"a"', b"1", b"true", b"null", b"[{}]"])
def test_body_that_is_no_object_is_refused(body: bytes) -> None:
    assert "must be a JSON object" in refusal(body)


@pytest.mark.parametrize("body", [b"", b"  \r\n"])
def test_missing_body_is_refused(body: bytes) -> None:
    assert "missing" in refusal(body)


@pytest.mark.parametrize("opener", [b"[", b'{"a":', b'{"a":[', b'["\\"]",'])
def test_deep_nesting_is_refused(opener: bytes) -> None:
    assert f"{MAX_DEPTH} levels" in refusal(b'{"x":' + opener * 100_000)


def test_nesting_at_the_bound_is_accepted() -> None:
    body = b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH
    assert serialise(parse_document(body)) == body
    assert f"{MAX_DEPTH} levels" in refusal(b'{"a":' + body + b"}")
    wide = b'{"z":[[],[]],' + body[1:]
    assert serialise(parse_document(wide)) == wide


def test_brackets_inside_strings_are_no_nesting() -> None:
    document = {"prompt": '[{"' * 500, "b": "\\[" * 200, "c\\": '"[[' * 99}
    assert parse_document(json.dumps(document).encode()) == document


def test_an_exhausted_stack_is_a_refusal() -> None:
    body = b'{"a":' * 60 + b"1" + b"}" * 60

    def at_depth(levels: int, call: Callable[[], Any]) -> Any:
        return call() if levels == 0 else at_depth(levels - 1, call)

    used = 0
    frame = sys._getframe()
    while frame.f_back is not None:
        frame, used = frame.f_back, used + 1
    room = sys.getrecursionlimit() - used
    with pytest.raises(InvalidRequestError, match="nested"):
        at_depth(room - 30, lambda: parse_document(body))


@pytest.mark.parametrize("number", [2**63, 2**64, 10**19 + 1, -(2**64) - 1, 10**98 + 7])
def test_twenty_digit_integers_stay_exact(number: int) -> None:
    body = b'{"seed":%d}' % number
    assert serialise(parse_document(body)) == body


@pytest.mark.parametrize("literal", ["9" * 101, "9" * 5000, "-" + "1" * 100, "0." + "1" * 99])
def test_numbers_of_thousands_of_digits_are_refused(literal: str) -> None:
    assert f"{MAX_NUMBER_CHARS} characters" in refusal(f'{{"a":{literal}}}'.encode())


def test_key_order_is_kept() -> None:
    body = b'{"z":1,"a":{"y":1,"b":2},"m":[{"k":1,"c":2}]}'
    assert serialise(parse_document(body)) == body


def test_line_separators_are_escaped_in_what_is_sent() -> None:
    body = '{"prompt":"a\u2028b\u2029c\u0085d"}'.encode()
    assert serialise(parse_document(body)) == b'{"prompt":"a\\u2028b\\u2029c\\u0085d"}'


def test_too_many_values_are_refused() -> None:
    with pytest.raises(TooLargeError, match=str(MAX_VALUES)) as caught:
        parse_document(b'{"a":[' + b"[]," * MAX_VALUES + b"1]}")
    assert caught.value.facts == {"limit": MAX_VALUES}


def test_commas_inside_strings_are_no_values() -> None:
    assert parse_document(b'{"a":"' + b"," * MAX_VALUES + b'"}') == {"a": "," * MAX_VALUES}


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b'{"a":[' + b"{}," * 200_000 + b"1]}",
        b'{"a":[' + b"1," * 499_000 + b"1]}",
        b"{" + b",".join(b'"k%d":1' % i for i in range(100_000)) + b"}",
        b"{" + b",".join(b'"K%d":1' % i for i in range(100_000)) + b"}",
        b'{"a":' + b"9" * 1_000_000 + b"}",
        b'{"a":"' + b"\\u0041" * 170_000 + b'"}',
        b'{"a":"' + b"\\ud83d\\ude00" * 80_000 + b'"}',
        b'{"a":"' + b"\\\\" * 500_000 + b'"}',
        b'{"a":"' + b'\\"' * 500_000 + b"[" * 70,
        b'"' * 1_000_000 + b"[" * 70,
        b" " * 1_000_000,
    ],
    ids=range(13),
)
def test_hostile_bodies_of_a_megabyte_take_less_than_a_second(body: bytes) -> None:
    started = time.perf_counter()
    with contextlib.suppress(InvalidRequestError):
        parse_document(body)
    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize(
    "body",
    [
        b'{"prompt":"my secret","prompt":"my secret"}',
        b'{"prompt":"my secret"',
        b'{"prompt":"my secret" "my secret"}',
        b'{"prompt":"my secret\xff"}',
        b'{"prompt":"my secret\\ud800"}',
        b'{"prompt":"my secret","a":NaN}',
        b'{"prompt":"my secret","a":\\my secret}',
        b'{"prompt":"my secret\\my secret"}',
    ],
)
def test_messages_never_repeat_the_body(body: bytes) -> None:
    assert "my secret" not in refusal(body)
