"""Answers of OpenAI's dialect, cut anywhere: chat completions, completions, embeddings."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogp.core.errors import UpstreamError
from ogp.core.types import AnswerEvent, InferenceRequest, Usage
from ogp.dialects.openai import OpenAIDialect
from ogp.settings.schema import LimitSettings

DIALECT = OpenAIDialect(LimitSettings())
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
PHRASE = "planted phrase"


def request(operation: str = "chat_completions", *, stream: bool = True) -> InferenceRequest:
    method = "GET" if operation.startswith("model") else "POST"
    return InferenceRequest("openai", operation, method, "/v1/x", stream=stream)


def events(*chunks: bytes, texts: bool = True, **asked: Any) -> list[AnswerEvent]:
    return list(DIALECT.events(request(**asked), iter(chunks), texts=texts))


def data(document: Any) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def chunk(delta: dict[str, Any], index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": None, **more}
    return data({**HEAD, "system_fingerprint": "fp", "choices": [choice]})


FIRST = chunk({"role": "assistant", "content": "Hel"})
STREAM = (
    chunk({"role": "assistant", "content": "Hel"})
    + chunk({"content": "lo"})
    + chunk({}, finish_reason="stop")
    + data({**HEAD, "choices": [], "usage": USAGE})
    + b"data: [DONE]\n\n"
)


def joined(read: list[AnswerEvent]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for event in read:
        for channel, text in event.texts:
            texts[channel] = texts.get(channel, "") + text
    return texts


def test_a_stream_becomes_one_event_per_chunk() -> None:
    read = events(STREAM)
    assert b"".join(event.raw for event in read) == STREAM
    assert [event.texts for event in read] == [
        (("choices[0].delta.content", "Hel"),),
        (("choices[0].delta.content", "lo"),),
        (),
        (),
        (),
    ]
    assert [event.usage for event in read] == [None, None, None, Usage(3, 2), None]


def test_every_cut_of_a_stream_gives_the_same_events() -> None:
    expected = events(STREAM)
    for place in range(len(STREAM)):
        assert events(STREAM[:place], STREAM[place:]) == expected


@given(st.lists(st.integers(0, len(STREAM)), max_size=8), st.booleans())
def test_events_joined_are_the_answer(places: list[int], texts: bool) -> None:
    edges = [0, *sorted(places), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in pairwise(edges)]
    for stream in (True, False):
        read = events(*chunks, texts=texts, stream=stream)
        assert b"".join(event.raw for event in read) == STREAM
        assert not stream or [one.usage for one in read if one.usage] == [Usage(3, 2)]


@given(st.lists(st.binary(max_size=20)), st.booleans(), st.booleans())
def test_any_bytes_pass_as_they_came(chunks: list[bytes], stream: bool, texts: bool) -> None:
    read = events(*chunks, stream=stream, texts=texts)
    assert b"".join(event.raw for event in read) == b"".join(chunks)


def test_choices_are_texts_of_their_own_wherever_they_stand() -> None:
    def both(first: str, second: str) -> bytes:
        choices = [{"index": 1, "delta": {"content": second}}, {"delta": {"content": first}}]
        choices[1]["index"] = 0
        return data({**HEAD, "choices": choices})

    alone = chunk({"content": "c"}, index=1)
    texts = joined(events(both("a", "x"), both("b", "y"), alone))
    assert texts == {"choices[0].delta.content": "ab", "choices[1].delta.content": "xyc"}


def test_tool_calls_grow_by_choice_and_index() -> None:
    def call(index: int, arguments: str, choice: int = 0) -> bytes:
        function = {"arguments": arguments}
        return chunk({"tool_calls": [{"index": index, "function": function}]}, choice)

    first = {"index": 0, "id": "I", "type": "function", "function": {"name": "f", "arguments": ""}}
    stream = chunk({"tool_calls": [first]}) + call(0, '{"a":"pl') + call(1, "{")
    texts = joined(events(stream, call(0, 'anted"}'), call(0, "[]", 1)))
    start = "choices[0].delta.tool_calls"
    assert texts[f"{start}[0].function.arguments"] == '{"a":"planted"}'
    assert texts[f"{start}[0].function.name"] == "f"
    assert texts[f"{start}[0].id"] == "I\n"
    assert texts[f"{start}[1].function.arguments"] == "{"
    assert texts["choices[1].delta.tool_calls[0].function.arguments"] == "[]"


def test_escapes_in_tool_arguments_are_read_across_chunks() -> None:
    text = r'{"a":"pl\u0061nted \"x\""}'
    for place in range(len(text)):
        pieces = [text[:place], text[place:]]
        stream = [
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": p}}]}) for p in pieces
        ]
        texts = joined(events(*stream))
        channel = "choices[0].delta.tool_calls[0].function.arguments"
        assert texts[channel] == '{"a":"planted "x""}'


def test_arguments_of_a_document_are_read_decoded() -> None:
    call = {"id": "I", "type": "function", "function": {"name": "f", "arguments": r'"\u0061"'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    read = events(
        json.dumps({"choices": [{"index": 0, "message": message}]}).encode(), stream=False
    )
    channel = "choices[0].message.tool_calls[0].function.arguments"
    assert joined(read)[channel] == '"a"\n'


STREAMED = [
    ({"delta": {"content": PHRASE}}, "choices[0].delta.content"),
    ({"delta": {"content": [{"type": "text", "text": PHRASE}]}}, "choices[0].delta.content[].text"),
    ({"delta": {"reasoning": PHRASE}}, "choices[0].delta.reasoning"),
    ({"delta": {"reasoning_content": PHRASE}}, "choices[0].delta.reasoning_content"),
    ({"delta": {"refusal": PHRASE}}, "choices[0].delta.refusal"),
    (
        {"delta": {"function_call": {"arguments": PHRASE}}},
        "choices[0].delta.function_call.arguments",
    ),
    ({"text": PHRASE}, "choices[0].text"),
    ({"logprobs": {"content": [{"token": PHRASE}]}}, "choices[0].logprobs.content[].token"),
    ({"logprobs": {"tokens": [PHRASE]}}, "choices[0].logprobs.tokens[]"),
]


@pytest.mark.parametrize(("choice", "channel"), STREAMED)
def test_a_text_split_over_chunks_grows_in_one_channel(
    choice: dict[str, Any], channel: str
) -> None:
    whole = json.dumps({**HEAD, "choices": [{"index": 0, **choice}]})
    for place in range(1, len(PHRASE)):
        stream = b"".join(
            data(json.loads(whole.replace(PHRASE, part)))
            for part in (PHRASE[:place], PHRASE[place:])
        )
        for cut in (1, len(stream) // 2, len(stream) - 1):
            assert joined(events(stream[:cut], stream[cut:]))[channel] == PHRASE


WHOLE = [
    {"choices": [{"index": 0, "message": {"role": "assistant", "content": PHRASE}}]},
    {"choices": [{"message": {"reasoning": PHRASE}}]},
    {"choices": [{"message": {"refusal": PHRASE}}]},
    {"choices": [{"message": {"tool_calls": [{"function": {"name": PHRASE}}]}}]},
    {"choices": [{"message": {"tool_calls": [{"id": PHRASE}]}}]},
    {"choices": [{"message": {"role": PHRASE}}]},
    {"choices": [{"finish_reason": PHRASE}]},
    {"choices": [{"text": PHRASE}]},
    {"choices": [{"logprobs": {"content": [{"top_logprobs": [{"token": PHRASE}]}]}}]},
    {"error": {"message": PHRASE, "type": "api_error"}},
    {"error": PHRASE},
    {"later": {"field": [PHRASE]}},
    {PHRASE: 1},
    {"choices": [{PHRASE: 1}]},
    {"object": PHRASE},
    {"_debug_info": {"rendered_template": PHRASE}},
    [PHRASE],
    PHRASE,
]


@pytest.mark.parametrize("document", WHOLE)
def test_a_phrase_anywhere_in_an_answer_is_read_at_every_cut(document: Any) -> None:
    whole = json.dumps(document).encode()
    for raw, stream in ((whole, False), (b"data: " + whole + b"\n\n", True), (whole, True)):
        for place in range(len(raw)):
            read = events(raw[:place], raw[place:], stream=stream)
            assert any(PHRASE in text for text in joined(read).values()), (raw, place)


def test_vectors_are_no_text() -> None:
    vectors = [{"object": "embedding", "index": 0, "embedding": "AACAPw=="}]
    document = {"object": "list", "data": vectors, "model": "m", "usage": {"prompt_tokens": 4}}
    read = events(json.dumps(document).encode(), operation="embeddings", stream=False)
    assert (read[0].texts, read[0].usage) == ((), Usage(4, None))


def test_the_list_of_models_names_what_it_holds() -> None:
    entry = {"id": "m", "object": "model", "created": 1, "owned_by": "library"}
    raw = json.dumps({"object": "list", "data": [entry]}).encode()
    assert joined(events(raw, operation="models", stream=False)) == {
        "data[].id": "m\n",
        "data[].owned_by": "library\n",
    }


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'data: {"choices": planted phrase\n\n', '{"choices": planted phrase'),
        (b"data: [DONE] planted phrase\n\n", "[DONE] planted phrase"),
        (b": planted phrase\n\n", ": planted phrase\n"),
        (b"event: planted phrase\ndata: {}\n\n", "planted phrase"),
        (b"data: {}\n: planted phrase\n\n", ": planted phrase\n"),
        (b"planted phrase", "planted phrase\n"),
        (b"event: planted phrase\n\n", "planted phrase"),
        (b"data: planted phrase \xff", "planted phrase \ufffd"),
    ],
)
def test_what_is_no_event_of_the_dialect_is_read_as_it_stands(raw: bytes, text: str) -> None:
    assert joined(events(raw))["raw"] == text


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b""])
def test_the_end_mark_is_no_text(end: bytes) -> None:
    assert joined(events(b"data: [DONE]" + end)) == {}


def test_a_document_in_several_data_lines_is_read() -> None:
    raw = b'data: {"choices":[{"index":0,\ndata: "text":"a"}]}\n\n'
    assert joined(events(raw, operation="completions")) == {"choices[0].text": "a"}


@pytest.mark.parametrize("stream", [True, False])
def test_unread_answers_pass_chunk_by_chunk_with_their_usage(stream: bool) -> None:
    whole = STREAM if stream else json.dumps({"choices": [], "usage": USAGE}).encode()
    chunks = [whole[:30], whole[30:60], whole[60:]]
    read = events(*chunks, stream=stream, texts=False)
    assert [event.raw for event in read] == chunks
    assert [event.usage for event in read] == [None, None, Usage(3, 2)]
    assert all(event.texts == () for event in read)


@pytest.mark.parametrize("document", ['"_tokens"', '{"usage":{"prompt_tokens":-1}}', "_tokens"])
def test_nonsense_in_the_place_of_counts_passes(document: str) -> None:
    raw = f"data: {document}\n\n".encode()
    assert events(raw, texts=False) == [AnswerEvent(raw)]
    deep = b"[" * 200_000 + b'"_tokens"'
    assert events(deep, texts=False, stream=False) == [AnswerEvent(deep)]


def test_a_document_without_end_is_refused() -> None:
    dialect = OpenAIDialect(LimitSettings(), max_document_bytes=100)
    endless = (b" " * 10 for _ in range(10**9))
    with pytest.raises(UpstreamError):
        list(dialect.events(request(stream=False), endless, texts=True))


def changed(event: AnswerEvent, old: str, new: str) -> AnswerEvent:
    """The event with one word in place of another, wherever it stands."""
    texts = [(channel, text.replace(old, new)) for channel, text in event.texts]
    return DIALECT.with_answer_texts(event, texts)


def test_a_text_is_changed_where_it_stands_and_all_else_stays() -> None:
    choice = {"index": 0, "delta": {"content": "a secret", "later": 18446744073709551616}}
    raw = b": note\n" + data({**HEAD, "choices": [choice]})
    (event,) = events(raw)
    after = changed(event, "secret", 'x"\u2028')
    assert after.raw == raw.replace(b"secret", b'x\\"\\u2028').replace(b": ", b":").replace(
        b", ", b","
    ).replace(b":note", b": note").replace(b"data:", b"data: ")
    assert ("choices[0].delta.content", 'a x"\u2028') in after.texts


def test_a_changed_text_takes_its_tokens_along() -> None:
    tokens = {"content": [{"token": "secret", "bytes": [115], "top_logprobs": []}]}
    raw = data({**HEAD, "choices": [{"index": 0, "text": "secret", "logprobs": tokens}]})
    (event,) = events(raw)
    choice = json.loads(changed(event, "secret", "x").raw.removeprefix(b"data: "))["choices"][0]
    assert choice == {"index": 0, "text": "x"}


def test_a_document_is_changed_without_any_framing() -> None:
    raw = b'{"choices":[{"message":{"content":"secret"}}],"usage":{"prompt_tokens":3}}'
    (event,) = events(raw, stream=False)
    after = changed(event, "secret", "x")
    assert (after.raw, after.usage) == (raw.replace(b"secret", b"x"), Usage(3, None))


@pytest.mark.parametrize("place", range(len(r'{"a":"pl\u0061nted"}')))
def test_tool_arguments_are_changed_and_stay_json(place: int) -> None:
    text = r'{"a":"pl\u0061nted"}'
    pieces = [text[:place], text[place:]]
    stream = [chunk({"tool_calls": [{"index": 0, "function": {"arguments": p}}]}) for p in pieces]
    read = events(*stream)
    after = b"".join(changed(event, "a", '"\\').raw for event in read)
    arguments = "".join(
        json.loads(line.removeprefix(b"data: "))["choices"][0]["delta"]["tool_calls"][0][
            "function"
        ]["arguments"]
        for line in after.splitlines()
        if line
    )
    assert json.loads(arguments) == {'"\\': 'pl"\\nted'}


def test_a_document_in_the_place_of_a_stream_is_changed() -> None:
    (event,) = events(b'{"error":{"message":"secret"}}')
    assert changed(event, "secret", "x").raw == b'{"error":{"message":"x"}}\n'


@pytest.mark.parametrize(
    "raw",
    [b"data: secret\n\n", b"data: {}\n: secret\n\n", b"event: secret\ndata: {}\n\n", b"secret"],
)
def test_what_is_no_event_of_the_dialect_cannot_be_changed(raw: bytes) -> None:
    (event,) = events(raw)
    with pytest.raises(ValueError, match=r".+"):
        changed(event, "secret", "x")


def test_an_event_of_somebody_else_cannot_be_changed() -> None:
    (event,) = events(FIRST)
    for other in (AnswerEvent(event.raw, event.texts), replace(event, texts=())):
        with pytest.raises(ValueError, match=r"read by this dialect|other texts"):
            DIALECT.with_answer_texts(other, other.texts)


def test_events_whose_texts_are_the_same_stay_as_they_are() -> None:
    for event in events(STREAM):
        assert DIALECT.with_answer_texts(event, event.texts) == event


def test_half_an_escape_without_end_is_refused() -> None:
    half = {"tool_calls": [{"index": 0, "function": {"arguments": "\\u00"}}]}
    stream = [chunk(half), *[chunk({"content": "x"})] * 101]
    with pytest.raises(UpstreamError, match="half an escape"):
        events(*stream)
    assert len(events(*stream[:50])) == 1
