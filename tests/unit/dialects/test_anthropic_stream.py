"""Answers in Anthropic's language, read and changed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogp.core.errors import UpstreamError
from ogp.core.types import AnswerEvent, InferenceRequest, Usage
from ogp.dialects.anthropic import AnthropicDialect
from ogp.dialects.anthropic_stream import MAX_CUT_EVENTS, AnswerReader, InputEvent, with_texts
from ogp.settings.schema import LimitSettings

DIALECT = AnthropicDialect(LimitSettings())


def event(kind: str, **members: Any) -> bytes:
    document = json.dumps({"type": kind, **members}, separators=(",", ":"))
    return f"event: {kind}\ndata: {document}\n\n".encode()


def start(index: int, **block: Any) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, **members: Any) -> bytes:
    return event("content_block_delta", index=index, delta=members)


def json_delta(text: str, index: int = 1) -> bytes:
    return delta(index, type="input_json_delta", partial_json=text)


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
    "usage": {"input_tokens": 7, "output_tokens": 0},
}
EVENTS = [
    event("message_start", message=MESSAGE),
    start(0, type="text", text=""),
    event("ping"),
    delta(0, type="text_delta", text="Hel"),
    delta(0, type="text_delta", text="lo"),
    event("content_block_stop", index=0),
    start(1, type="tool_use", id="toolu_1", name="send", input={}),
    json_delta('{"to":"b'),
    json_delta('ob\\u002e","n":1}'),
    event("content_block_stop", index=1),
    event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 9}),
    event("message_stop"),
]
STREAM = b"".join(EVENTS)
CONTENT = [
    {"type": "thinking", "thinking": "hm", "signature": "A" * 64},
    {"type": "text", "text": "Hello"},
    {"type": "tool_use", "id": "toolu_1", "name": "send", "input": {"to": ["bob"], "n": 2**70}},
]
DOCUMENT = json.dumps(
    {**MESSAGE, "content": CONTENT, "stop_reason": "end_turn", "usage": {"input_tokens": 3}}
).encode()


def request(*, stream: bool) -> InferenceRequest:
    return InferenceRequest("anthropic", "messages", "POST", "/v1/messages", stream=stream)


def events(*chunks: bytes, stream: bool = True, texts: bool = True) -> list[AnswerEvent]:
    return list(DIALECT.events(request(stream=stream), iter(chunks), texts=texts))


def channels(found: list[AnswerEvent]) -> dict[str, str]:
    """All texts, joined by channel."""
    joined: dict[str, str] = {}
    for one in found:
        for channel, text in one.texts:
            joined[channel] = joined.get(channel, "") + text
    return joined


def changed(found: list[AnswerEvent], old: str, new: str) -> bytes:
    return b"".join(
        DIALECT.with_answer_texts(
            one, [(channel, text.replace(old, new)) for channel, text in one.texts]
        ).raw
        for one in found
    )


def documents(raw: bytes) -> list[Any]:
    """Data of each event, as a client reads it."""
    return [
        json.loads(line.removeprefix(b"data: "))
        for line in raw.splitlines()
        if line.startswith(b"data: ")
    ]


def test_a_stream_becomes_one_event_for_each_of_its_events() -> None:
    found = events(STREAM)
    assert [one.raw for one in found] == EVENTS
    assert channels(found) == {
        "content[0].text": "Hello",
        "content[1].name": "send\n",
        "content[1].partial_json": '{"to":"bob.","n":1}',
    }


def test_every_cut_of_a_stream_gives_the_same_events() -> None:
    expected = events(STREAM)
    for place in range(len(STREAM)):
        assert events(STREAM[:place], STREAM[place:]) == expected


def test_counts_of_a_stream_add_up_as_they_come() -> None:
    found = [one.usage for one in events(STREAM) if one.usage]
    assert found == [Usage(7, 0), Usage(7, 9)]


def test_counts_of_a_stream_that_is_cut_are_those_that_came() -> None:
    assert events(*EVENTS[:5])[0].usage == Usage(7, 0)


def test_a_document_becomes_one_event_however_it_is_cut() -> None:
    (expected,) = events(DOCUMENT, stream=False)
    assert (expected.raw, expected.usage) == (DOCUMENT, Usage(3, None))
    assert channels([expected]) == {
        "content[0].thinking": "hm",
        "content[1].text": "Hello",
        "content[2].name": "send\n",
        "content[2].input.to[]": "bob\n",
        "content[2].input.*": "to\nn\n",
    }
    for place in range(len(DOCUMENT)):
        assert events(DOCUMENT[:place], DOCUMENT[place:], stream=False) == [expected]


OUTPUTS: list[tuple[bytes, str, str]] = [
    (delta(0, type="text_delta", text="bomb"), "content[0].text", "bomb"),
    (delta(3, type="thinking_delta", thinking="bomb"), "content[3].thinking", "bomb"),
    (json_delta('{"a":"\\u0062omb"}'), "content[1].partial_json", '{"a":"bomb"}'),
    (json_delta("bomb"), "content[1].partial_json", "bomb"),
    (
        delta(0, type="citations_delta", citation={"cited_text": "bomb"}),
        "content[0].citation.cited_text",
        "bomb\n",
    ),
    (start(2, type="text", text="bomb"), "content[2].text", "bomb"),
    (start(2, type="thinking", thinking="bomb"), "content[2].thinking", "bomb"),
    (start(2, type="tool_use", id="i", name="bomb"), "content[2].name", "bomb\n"),
    (start(2, type="tool_use", id="i", input={"a": "bomb"}), "content[2].input.a", "bomb\n"),
    (start(2, type="tool_use", id="i", input={"bomb": 1}), "content[2].input.*", "bomb\n"),
    (
        start(2, type="web_search_tool_result", content=[{"title": "bomb"}]),
        "content[2].content[].title",
        "bomb\n",
    ),
    (start(2, type="bomb"), "content[2].type", "bomb\n"),
    (event("message_start", message={"content": [CONTENT[1]]}), "content[0].text", "Hello"),
    (event("message_delta", delta={"stop_sequence": "bomb"}), "delta.stop_sequence", "bomb\n"),
    (event("error", error={"type": "api_error", "message": "bomb"}), "error.message", "bomb\n"),
    (event("novelty", novelty={"deep": ["bomb"]}), "novelty.deep[]", "bomb\n"),
    (b"event: bomb\ndata: {}\n\n", "raw", "bomb"),
    (b"event: ping\ndata: bomb\n\n", "raw", "bomb"),
    (b"<p>bomb</p>\n\n", "raw", "<p>bomb</p>\n"),
    (b'{"type":"error","error":{"message":"b\\u006fmb"}}', "error.message", "bomb\n"),
    (
        b'{"type":"error","error":{"message":"bomb',
        "raw",
        '{"type":"error","error":{"message":"bomb\n',
    ),
]


@pytest.mark.parametrize(("raw", "channel", "text"), OUTPUTS)
def test_every_string_that_a_client_may_show_is_read(raw: bytes, channel: str, text: str) -> None:
    for place in range(len(raw)):
        found = events(raw[:place], raw[place:])
        assert b"".join(one.raw for one in found) == raw
        assert channels(found)[channel] == text


@pytest.mark.parametrize("raw", [raw for raw, _, _ in OUTPUTS if b"omb" in raw])
def test_every_string_that_is_read_can_be_changed(raw: bytes) -> None:
    """Whatever it stood in, the old word is gone, and what follows is read as before."""
    found = events(raw + event("ping"))
    rewritten = changed(found, "bomb", "peace")
    assert b"omb" not in rewritten
    assert all("bomb" not in text for one in events(rewritten) for _, text in one.texts)
    assert rewritten.endswith(event("ping")) or not raw.endswith(b"\n\n")


@pytest.mark.parametrize(
    "raw",
    [
        event("ping"),
        event("message_stop"),
        start(0, type="redacted_thinking", data="A" * 80),
        delta(0, type="signature_delta", signature="A" * 80),
        b"\n\n",
        b"event: ping\n\n",
        b"data: \n\n",
    ],
)
def test_what_holds_no_text_passes_without(raw: bytes) -> None:
    assert events(raw) == [AnswerEvent(raw)]


@pytest.mark.parametrize("raw", [b": bomb\n\n", b": bomb\n" + event("ping"), b"bomb\n\n"])
def test_what_clients_pass_over_is_read_as_well(raw: bytes) -> None:
    found = events(raw)
    assert "bomb" in channels(found)["raw"]
    assert b"bomb" not in changed(found, "bomb", "peace")


ESCAPED = '{"say":"\\u0062o\\ud83d\\ude00\\"mb\\\\","x":["a\\nb",1.50]}'


def test_escapes_are_decoded_wherever_the_pieces_are_cut() -> None:
    expected = channels(events(json_delta(ESCAPED)))
    assert expected["content[1].partial_json"].startswith('{"say":"bo\U0001f600"mb\\"')
    for place in range(len(ESCAPED)):
        raws = [json_delta(ESCAPED[:place]), event("ping"), json_delta(ESCAPED[place:])]
        found = events(*raws)
        assert b"".join(one.raw for one in found) == b"".join(raws)
        assert channels(found) == expected


def test_pieces_of_different_blocks_do_not_mix() -> None:
    raws = [json_delta('{"a":"\\u00', 1), json_delta('{"b":"c', 2), json_delta('62"}', 1)]
    found = channels(events(*raws))
    assert found["content[1].partial_json"] == '{"a":"b"}'
    assert found["content[2].partial_json"] == '{"b":"c'


def test_an_escape_that_the_stream_ends_in_is_read_as_it_stands() -> None:
    raws = [json_delta('{"a":"b\\u00'), event("ping")]
    found = events(*raws)
    assert b"".join(one.raw for one in found) == b"".join(raws)
    assert channels(found)["content[1].partial_json"] == '{"a":"b\\u00'


def test_an_escape_without_end_is_refused() -> None:
    def endless() -> Iterator[bytes]:
        yield json_delta("\\")
        while True:
            yield event("ping")

    with pytest.raises(UpstreamError, match="half an escape"):
        list(AnswerReader().read(endless()))
    assert MAX_CUT_EVENTS == 100


def test_changed_input_is_json_wherever_the_pieces_are_cut() -> None:
    whole = json.dumps({"to": "@", "n": [1, True], "deep": {"@": 'x "@" \n \\'}})
    expected = json.loads(whole.replace("@", '\\"[1]\\\\'))
    for place in range(len(whole)):
        found = events(json_delta(whole[:place]), json_delta(whole[place:]))
        said = documents(changed(found, "@", '"[1]\\'))
        text = "".join(one["delta"]["partial_json"] for one in said)
        assert json.loads(text) == expected


def test_a_value_between_strings_that_is_taken_out_is_null() -> None:
    found = events(json_delta('{"card": 4111, "to": "bob"}'))
    (said,) = documents(changed(found, "4111", "[1]"))
    assert said["delta"]["partial_json"] == '{"card": null, "to": "bob"}'


def test_texts_that_stay_leave_the_bytes_alone() -> None:
    for one in events(STREAM):
        assert with_texts(one, one.texts) is one


def test_only_events_with_changed_texts_are_written_anew() -> None:
    raws = [json_delta('{"a":"x\\u00'), b"event:  ping\ndata: {} \n\n", json_delta('62ob"}')]
    (one,) = events(*raws)
    assert isinstance(one, InputEvent)
    rewritten = changed([one], "bob", "eve")
    assert raws[1] in rewritten
    texts = [said["delta"]["partial_json"] for said in documents(rewritten) if said]
    assert texts == ['{"a":"xeve"}', ""]


def test_a_document_is_changed_and_keeps_its_long_integers() -> None:
    rewritten = json.loads(changed(events(DOCUMENT, stream=False), "bob", "eve"))
    assert rewritten == json.loads(DOCUMENT.replace(b"bob", b"eve"))


def test_other_numbers_of_texts_are_refused() -> None:
    (one,) = events(delta(0, type="text_delta", text="x"))
    with pytest.raises(ValueError, match="1 texts stand in the event, not 0"):
        with_texts(one, [])


@pytest.mark.parametrize("stream", [True, False])
def test_unread_answers_pass_chunk_by_chunk_with_their_usage(stream: bool) -> None:
    whole = STREAM if stream else DOCUMENT
    chunks = [whole[:60], whole[60:300], whole[300:]]
    found = events(*chunks, stream=stream, texts=False)
    assert [one.raw for one in found] == chunks
    assert [one.usage for one in found][-1] == (Usage(7, 9) if stream else Usage(3, None))
    assert all(one.texts == () for one in found)


def test_unread_streams_tell_early_counts_again_with_the_later_ones() -> None:
    found = events(*EVENTS, texts=False)
    assert [one.usage for one in found if one.usage] == [Usage(7, 0), Usage(7, 9)]


@pytest.mark.parametrize(
    "raw", [b"data: _tokens\n\n", b"data: " + b"[" * 200_000 + b'"_tokens"\n\n']
)
def test_nonsense_in_the_place_of_counts_passes(raw: bytes) -> None:
    assert events(raw, texts=False) == [AnswerEvent(raw)]
    assert events(raw)[0].usage is None


def test_a_stream_where_a_document_was_asked_for_is_read() -> None:
    (one,) = events(STREAM, stream=False)
    assert one.raw == STREAM
    assert channels([one])["content[0].text"] == "Hello"


def test_a_broken_upstream_ends_the_events_with_its_error() -> None:
    def chunks() -> Iterator[bytes]:
        yield EVENTS[3] + b"event: con"
        raise UpstreamError("gone")

    found = DIALECT.events(request(stream=True), chunks(), texts=True)
    assert next(found).raw == EVENTS[3]
    with pytest.raises(UpstreamError):
        next(found)


def test_a_document_without_end_is_refused() -> None:
    dialect = AnthropicDialect(LimitSettings(), max_document_bytes=100)
    endless = (b" " * 10 for _ in range(10**9))
    with pytest.raises(UpstreamError):
        list(dialect.events(request(stream=False), endless, texts=True))


PIECES = st.lists(
    st.sampled_from(
        [*EVENTS, b"\n", b"\r\n\r\n", b"{", b"}", b"data: {", b"\xff", b'"\\u00', b": x"]
    ),
    max_size=8,
).map(b"".join)


@given(PIECES | st.binary(max_size=60), st.data(), st.booleans(), st.booleans())
def test_events_joined_are_the_answer_whatever_it_is(
    whole: bytes, data: st.DataObject, stream: bool, texts: bool
) -> None:
    chunks, rest = [], whole
    while rest:
        cut = data.draw(st.integers(1, len(rest)))
        chunks.append(rest[:cut])
        rest = rest[cut:]
    assert b"".join(one.raw for one in events(*chunks, stream=stream, texts=texts)) == whole
