"""Server-sent events: cut, read, written, passed."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogp.core.errors import UpstreamError
from ogp.core.types import AnswerEvent, Usage
from ogp.dialects import sse
from ogp.dialects.sse import SseEvent, cut_events, pass_events, read_event, with_data, write_event

BREAKS = ["\n", "\r\n", "\r"]


def cut(*chunks: bytes) -> list[bytes]:
    return list(cut_events(iter(chunks)))


@pytest.mark.parametrize("line_end", BREAKS)
def test_an_event_ends_with_its_blank_line(line_end: str) -> None:
    one, two = (f"data: {name}{line_end}{line_end}".encode() for name in "ab")
    assert cut(one + two) == [one, two]


@pytest.mark.parametrize("line_end", BREAKS)
def test_every_cut_gives_the_same_events(line_end: str) -> None:
    stream = "event: x\ndata: a\ndata: b\n\n: c\n\ndata: d\n\n".replace("\n", line_end).encode()
    expected = cut(stream)
    assert len(expected) == 3
    for place in range(len(stream)):
        assert cut(stream[:place], stream[place:]) == expected
    assert cut(*(bytes([byte]) for byte in stream)) == expected


@pytest.mark.parametrize("end", [b"\n\r\n", b"\r\n\n", b"\n\r", b"\r\r\n"])
def test_mixed_line_breaks_end_an_event(end: bytes) -> None:
    assert cut(b"data: a" + end + b"data: b" + end) == [b"data: a" + end, b"data: b" + end]


def test_a_windows_line_break_is_no_blank_line() -> None:
    assert cut(b"event: a\r\ndata: b\r\n\r\n") == [b"event: a\r\ndata: b\r\n\r\n"]


def test_an_event_is_given_as_soon_as_it_is_whole() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"data: a\n"
        yield b"\ndata: b"
        raise AssertionError("asked for more than was needed")

    assert next(cut_events(chunks())) == b"data: a\n\n"


def test_the_last_event_may_be_partial() -> None:
    assert cut(b"data: a\n\nda", b"ta: b") == [b"data: a\n\n", b"data: b"]
    assert cut(b"") == []


def test_events_may_be_blank_lines_alone() -> None:
    assert cut(b"\n\n\n\ndata: a\n\n") == [b"\n\n", b"\n\n", b"data: a\n\n"]


@given(st.lists(st.binary(max_size=6) | st.sampled_from([b"\n", b"\r", b"\n\n", b"data: x\n\n"])))
def test_events_joined_are_the_stream(chunks: list[bytes]) -> None:
    assert b"".join(cut(*chunks)) == b"".join(chunks)
    assert cut(*chunks) == cut(b"".join(chunks))


def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    assert cut(b"data: a\n\n" * 50) == [b"data: a\n\n"] * 50
    with pytest.raises(UpstreamError, match="more than 100 bytes"):
        cut(*[b"a" * 10] * 11)


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        (b"data: a\n\n", SseEvent(None, b"a")),
        (b"data:a\n\n", SseEvent(None, b"a")),
        (b"data:  a \n\n", SseEvent(None, b" a ")),
        (b"data\n\n", SseEvent(None, b"")),
        (b"data: a\ndata: b\n\n", SseEvent(None, b"a\nb")),
        (b"event: x\r\ndata: a\r\n\r\n", SseEvent("x", b"a")),
        (b"event: x\revent: y\rdata: a\r\r", SseEvent("y", b"a")),
        (b": note\n\n", SseEvent(rest=b": note\n")),
        (b"id: 7\nretry\nDATA: a\n\n", SseEvent(rest=b"id: 7\nretry\nDATA: a\n")),
        (b"data: a", SseEvent(None, b"a")),
        (b"\xef\xbb\xbfdata: a\n\n", SseEvent(None, b"a")),
        (b"event: \xff\n\n", SseEvent("\ufffd")),
        ("data: a\u2028b\x0bc\n\n".encode(), SseEvent(None, "a\u2028b\x0bc".encode())),
        (b"\n\n", SseEvent()),
    ],
)
def test_an_event_is_read_as_clients_do(raw: bytes, event: SseEvent) -> None:
    assert read_event(raw) == event


def test_events_are_written() -> None:
    assert write_event(None, b"{}") == b"data: {}\n\n"
    assert write_event("error", b"{}") == b"event: error\ndata: {}\n\n"
    assert write_event(None, b"") == b"data: \n\n"


@given(st.none() | st.text("abc.", min_size=1), st.binary())
def test_what_is_written_is_read_again(name: str | None, data: bytes) -> None:
    event = read_event(write_event(name, data))
    assert event == SseEvent(name, b"\n".join(data.splitlines()))
    assert len(cut(write_event(name, data))) == 1


def test_other_data_leaves_the_other_lines() -> None:
    raw = b": note\r\nevent: x\r\ndata: a\r\ndata: b\r\nid: 7\r\n\r\n"
    assert with_data(raw, b"c") == b": note\nevent: x\nid: 7\ndata: c\n\n"


def find(data: bytes) -> Usage | None:
    return Usage(1, int(data.split(b":")[1])) if b":" in data else None


def test_a_stream_passes_with_its_counts() -> None:
    chunks = [b"data: a\n\ndata: _tok", b"ens:7\n\ndata: [DONE]\n\n", b"x"]
    assert list(pass_events(iter(chunks), find)) == [
        AnswerEvent(chunks[0]),
        AnswerEvent(chunks[1], usage=Usage(1, 7)),
        AnswerEvent(chunks[2]),
    ]


def test_the_last_counts_of_a_chunk_are_its_counts() -> None:
    chunk = b"data: _tokens:7\n\ndata: _tokens:8\n\ndata: _tokens\n\n: _tokens\n\n"
    assert list(pass_events(iter([chunk]), find)) == [AnswerEvent(chunk, usage=Usage(1, 8))]


def test_counts_in_an_endless_event_are_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 10)
    chunks = [b"data: xxxxxxxxxxxxxxxxx", b"_tokens:7\n\n", b"data: _tokens:8\n\n"]
    read = list(pass_events(iter(chunks), find))
    assert [event.raw for event in read] == chunks
    assert [event.usage for event in read] == [None, None, Usage(1, 8)]
