import json
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogp.core.errors import UpstreamError
from ogp.core.types import Usage
from ogp.dialects import ndjson
from ogp.dialects.answers import usage_in
from ogp.dialects.ndjson import cut_lines, join_document, pass_document, pass_lines

STREAM = (
    b'{"response":"a","done":false}\n'
    b'{"response":"\xe2\x80\xa8 eval_count","done":false}\n'
    b"\n"
    b'{"response":"","done":true,"prompt_eval_count":3,"eval_count":4}\n'
)
LINES = [line + b"\n" for line in STREAM.split(b"\n")[:-1]]


def find_usage(line: bytes) -> Usage | None:
    return usage_in(json.loads(line))


def cuts(whole: bytes, *places: int) -> list[bytes]:
    edges = [0, *sorted(places), len(whole)]
    return [whole[a:b] for a, b in pairwise(edges)]


def test_a_cut_at_any_byte_gives_the_same_lines() -> None:
    for place in range(len(STREAM) + 1):
        assert list(cut_lines(iter(cuts(STREAM, place)))) == LINES


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_cuts_give_the_same_lines(places: list[int]) -> None:
    assert list(cut_lines(iter(cuts(STREAM, *places)))) == LINES


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_cuts_pass_unchanged_and_give_the_usage_once(places: list[int]) -> None:
    chunks = cuts(STREAM, *places)
    events = list(pass_lines(iter(chunks), find_usage))
    assert [event.raw for event in events] == chunks
    assert [event.usage for event in events if event.usage] == [Usage(3, 4)]


@given(st.lists(st.integers(0, 60), max_size=6))
def test_any_cuts_of_a_document_give_the_usage_on_its_last_chunk(places: list[int]) -> None:
    document = b'{"response":"a\\n","done":true,"eval_count":4,"x":{"a":[1]}}  '
    chunks = cuts(document, *(min(place, len(document)) for place in places))
    events = list(pass_document(iter(chunks), find_usage))
    assert [event.raw for event in events] == chunks
    assert [event.usage for event in events][-1] == Usage(None, 4)
    assert all(event.usage is None for event in events[:-1])


def test_a_line_is_given_as_soon_as_it_is_complete() -> None:
    pulled: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number, chunk in enumerate((b'{"a":1}\n{"b', b'":2}\n', b"{}\n")):
            pulled.append(number)
            yield chunk

    lines = cut_lines(chunks())
    assert next(lines) == b'{"a":1}\n'
    assert pulled == [0]
    assert next(lines) == b'{"b":2}\n'
    assert pulled == [0, 1]


def test_chunks_of_a_stream_pass_without_waiting_for_the_next() -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"part'
        raise AssertionError("asked for more before it was passed on")

    assert next(pass_lines(chunks(), find_usage)).raw == b'{"part'


def test_a_partial_last_line_comes_at_the_end() -> None:
    assert list(cut_lines(iter([b'{"a":1}\n{"b', b'":']))) == [b'{"a":1}\n', b'{"b":']


def test_nothing_gives_nothing() -> None:
    assert list(cut_lines(iter([b"", b""]))) == []
    assert list(join_document(iter([b""]), 10)) == []
    assert list(pass_document(iter([]), find_usage)) == []


def test_a_line_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "MAX_LINE_BYTES", 1000)
    endless = (b"x" * 100 for _ in range(10**9))
    with pytest.raises(UpstreamError, match="1000 bytes"):
        list(cut_lines(endless))


def test_lines_up_to_the_bound_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "MAX_LINE_BYTES", 200)
    chunks = [b"x" * 100, b"x" * 100, b"\n"] * 3
    assert list(cut_lines(iter(chunks))) == [b"x" * 200 + b"\n"] * 3


def test_a_document_that_never_ends_is_refused() -> None:
    endless = (b"x" * 100 for _ in range(10**9))
    with pytest.raises(UpstreamError, match="1000 bytes"):
        list(join_document(endless, 1000))


def test_a_document_comes_in_one_piece() -> None:
    assert list(join_document(iter([b'{"a"', b":1}"]), 7)) == [b'{"a":1}']


def test_an_endless_line_passes_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "MAX_LINE_BYTES", 100)
    seen: list[int] = []

    def note(line: bytes) -> None:
        seen.append(len(line))

    chunks = [b"eval_count" * 6] * 50 + [b"eval_count\n"] + [b'{"eval_count":1}\n']
    assert [event.raw for event in pass_lines(iter(chunks), note)] == chunks
    assert max(seen) < 200


def test_an_endless_document_passes_without_its_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "MAX_LINE_BYTES", 10)
    chunks = [b'{"a":"xxxxxxxxxx",', b'"eval_count":1}']
    events = list(pass_document(iter(chunks), find_usage))
    assert [(event.raw, event.usage) for event in events] == [(chunk, None) for chunk in chunks]
