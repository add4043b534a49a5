"""Reading and changing answers by a form of one's own; the dialects' forms have their own tests."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ogp.core.errors import UpstreamError
from ogp.core.types import AnswerEvent, Usage
from ogp.dialects.answers import AnswerShape, counted
from ogp.dialects.sse import cut_events
from ogp.dialects.sse_answers import AnswerForm, AnswerReader, find_in, with_texts

SHAPE = AnswerShape(
    names=frozenset({"type", "delta", "arguments", "usage", "in", "out"}),
    metadata=frozenset(),
    streamed=frozenset({"delta", "arguments"}),
    fixed={"type": frozenset({"known"})},
)


def counts(document: Any) -> Usage | None:
    return counted(document.get("usage"), "in", "out") if isinstance(document, dict) else None


FORM = AnswerForm(SHAPE, counts)


def read(raw: bytes, *, streamed: bool = True) -> list[AnswerEvent]:
    pieces = cut_events(iter([raw])) if streamed else iter([raw])
    return list(AnswerReader(FORM).read(pieces, streamed=streamed))


def data(**members: Any) -> bytes:
    return b"data: " + json.dumps(members).encode() + b"\n\n"


def test_events_are_read_one_by_one() -> None:
    asked: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(2):
            asked.append(number)
            yield data(delta=str(number))

    first = next(AnswerReader(FORM).read(pieces(), streamed=True))
    assert (first.texts, asked) == ((("delta", "0"),), [0])


def test_counts_are_found() -> None:
    assert read(data(usage={"in": 1, "out": 2}))[0].usage == Usage(1, 2)


def test_a_known_name_of_an_event_is_no_text() -> None:
    assert read(b'event: known\ndata: {"delta":"a"}\n\n')[0].texts == (("delta", "a"),)
    assert ("raw", "other") in read(b'event: other\ndata: {"delta":"a"}\n\n')[0].texts


def test_blank_lines_hold_nothing() -> None:
    assert [(event.raw, event.texts) for event in read(b"\n\n\n")] == [(b"\n\n", ()), (b"\n", ())]


def test_events_that_share_an_escape_are_one() -> None:
    raw = data(arguments='"\\u00') + data(delta="x") + data(arguments='61"') + data(delta="y")
    first, second = read(raw)
    assert first.raw == raw[: -len(data(delta="y"))]
    assert first.texts == (
        *(("arguments", text) for text in ('"', "a", '"')),
        ("delta", "x"),
    )
    assert second.texts == (("delta", "y"),)


def test_changed_events_that_share_an_escape_hold_it_in_the_first() -> None:
    raw = data(arguments='"\\u00') + b": note\n\n" + data(arguments='61"')
    (event,) = read(raw)
    texts = [(channel, "b" if text == "a" else text) for channel, text in event.texts]
    after = with_texts(event, texts, FORM)
    assert after.raw == (b'data: {"arguments":"\\"b\\""}\n\n: note\n\ndata: {"arguments":""}\n\n')


def test_the_state_of_a_string_goes_from_event_to_event() -> None:
    _, event, _ = read(data(arguments='{"a":"x') + data(arguments='y"z') + data(arguments='":1}'))
    texts = [(channel, text.replace("y", '"')) for channel, text in event.texts]
    after = with_texts(event, texts, FORM)
    assert json.loads(after.raw.removeprefix(b"data: "))["arguments"] == '\\""z'


def test_an_answer_may_end_within_an_escape() -> None:
    assert read(data(arguments="\\u00"))[0].texts == (("arguments", "\\u00"),)


def test_an_escape_without_end_is_refused() -> None:
    with pytest.raises(UpstreamError):
        read(data(arguments="\\") + data(delta="x") * 200)


def test_a_finder_of_counts_survives_nonsense() -> None:
    find = find_in(counts)
    assert find(b'{"usage":{"in":1}}') == Usage(1, None)
    for raw in (b"{", b"", b"[" * 200_000, b"5"):
        assert find(raw) is None
