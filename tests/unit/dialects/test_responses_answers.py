"""Answers of `/v1/responses`, cut anywhere: the document and the typed events."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogp.core.types import AnswerEvent, InferenceRequest, Usage
from ogp.dialects.responses import ResponsesDialect
from ogp.dialects.responses_answers import DELTA_TYPES, TYPES
from ogp.settings.schema import LimitSettings

DIALECT = ResponsesDialect(LimitSettings())
PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
PHRASE = "planted phrase"


def events(*chunks: bytes, stream: bool = True, texts: bool = True) -> list[AnswerEvent]:
    asked = InferenceRequest(
        "openai_responses", "responses", "POST", "/v1/responses", stream=stream
    )
    return list(DIALECT.events(asked, iter(chunks), texts=texts))


def event(kind: str, **members: Any) -> bytes:
    document = json.dumps({"type": kind, "sequence_number": 1, **members})
    return f"event: {kind}\ndata: {document}\n\n".encode()


def response(output: list[Any], **members: Any) -> dict[str, Any]:
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m"}
    echoed = {
        "instructions": "asked",
        "tools": [{"type": "function", "name": "asked"}],
        "text": {"format": {"type": "json_schema", "name": "asked"}},
        "metadata": {"asked": "asked"},
        "reasoning": {"effort": "asked"},
        "tool_choice": {"name": "asked"},
    }
    return {**head, "status": "completed", "output": output, **echoed, **members}


def message(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {
        "id": "msg_1",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }


STREAM = (
    event("response.created", response=response([], status="in_progress", usage=None))
    + event("response.output_item.added", output_index=0, item=message(""))
    + event("response.output_text.delta", **PLACE, delta="Hel", logprobs=[])
    + event("response.output_text.delta", **PLACE, delta="lo", logprobs=[])
    + event("response.output_text.done", **PLACE, text="Hello", logprobs=[])
    + event("response.output_item.done", output_index=0, item=message("Hello"))
    + event("response.completed", response=response([message("Hello")], usage=USAGE))
)


def joined(read: list[AnswerEvent]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for one in read:
        for channel, text in one.texts:
            texts[channel] = texts.get(channel, "") + text
    return texts


def test_a_stream_becomes_one_event_each() -> None:
    read = events(STREAM)
    assert b"".join(one.raw for one in read) == STREAM
    assert joined(read) == {
        "response.output_text.delta[0][0].delta": "Hello",
        "response.output_text.done[0][0].text": "Hello\n",
        "response.output_item.done[0].item.content[].text": "Hello\n",
        "response.completed.response.output[].content[].text": "Hello\n",
    }
    assert [one.usage for one in read] == [None] * 6 + [Usage(3, 2)]


def test_every_cut_of_a_stream_gives_the_same_events() -> None:
    expected = events(STREAM)
    for place in range(len(STREAM)):
        assert events(STREAM[:place], STREAM[place:]) == expected


@given(st.lists(st.binary(max_size=20)), st.booleans(), st.booleans())
def test_any_bytes_pass_as_they_came(chunks: list[bytes], stream: bool, texts: bool) -> None:
    read = events(*chunks, stream=stream, texts=texts)
    assert b"".join(one.raw for one in read) == b"".join(chunks)


def test_a_document_becomes_one_event() -> None:
    raw = json.dumps(response([message("Hello")], usage=USAGE)).encode()
    for place in range(0, len(raw), 7):
        (one,) = events(raw[:place], raw[place:], stream=False)
        assert one.texts == (
            ("output[].content[].text", "Hello"),
            ("output[].content[].text", "\n"),
        )
        assert one.usage == Usage(3, 2)


@pytest.mark.parametrize("stream", [True, False])
def test_unread_answers_pass_with_their_usage(stream: bool) -> None:
    whole = STREAM if stream else json.dumps(response([], usage=USAGE)).encode()
    read = events(whole[:40], whole[40:], stream=stream, texts=False)
    assert [one.usage for one in read] == [None, Usage(3, 2)]


def test_counts_of_an_incomplete_response_count() -> None:
    raw = event("response.incomplete", response=response([], status="incomplete", usage=USAGE))
    assert [one.usage for one in events(raw)] == [Usage(3, 2)]


@pytest.mark.parametrize("members", [{"response": 5}, {"response": {"usage": 5}}, {}])
def test_nonsense_in_the_place_of_counts_passes(members: dict[str, Any]) -> None:
    assert [one.usage for one in events(event("response.completed", **members))] == [None]


@pytest.mark.parametrize("kind", sorted(DELTA_TYPES))
def test_deltas_of_each_kind_and_place_grow_in_one_channel(kind: str) -> None:
    for place in range(1, len(PHRASE)):
        stream = b"".join(
            event(kind, **where, delta=part)
            for part in (PHRASE[:place], PHRASE[place:])
            for where in (PLACE, {"output_index": 1, "summary_index": 0})
        )
        texts = joined(events(stream))
        assert texts == {f"{kind}[0][0].delta": PHRASE, f"{kind}[1][0].delta": PHRASE}


def test_deltas_of_a_kind_that_nobody_knows_are_read() -> None:
    read = events(event("response.planted.delta", delta="plan"), event("x", delta="ted"))
    assert joined(read)["*.delta"] == "planted"


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_the_name_of_an_event_is_no_text(kind: str) -> None:
    assert joined(events(event(kind))) == {}


def test_escapes_in_tool_arguments_are_read_across_events() -> None:
    text = r'{"a":"pl\u0061nted"}'
    for place in range(len(text)):
        stream = [
            event("response.function_call_arguments.delta", output_index=0, delta=part)
            for part in (text[:place], text[place:])
        ]
        read = events(*stream)
        assert joined(read) == {
            "response.function_call_arguments.delta[0].delta": '{"a":"planted"}'
        }
        assert b"".join(one.raw for one in read) == b"".join(stream)
    item = {"type": "function_call", "name": "f", "call_id": "c", "arguments": text}
    for raw, stream in (
        (event("response.output_item.done", output_index=0, item=item), True),
        (event("response.function_call_arguments.done", output_index=0, arguments=text), True),
        (json.dumps(response([item])).encode(), False),
    ):
        assert '{"a":"planted"}\n' in joined(events(raw, stream=stream)).values()


WHOLE: list[tuple[str, dict[str, Any]]] = [
    ("response.output_text.done", {"text": PHRASE}),
    ("response.refusal.done", {"refusal": PHRASE}),
    ("response.reasoning_summary_text.done", {"text": PHRASE}),
    ("response.content_part.done", {"part": {"type": "output_text", "text": PHRASE}}),
    ("response.output_item.done", {"item": message(PHRASE)}),
    ("response.output_item.done", {"item": {"type": "reasoning", "encrypted_content": PHRASE}}),
    (
        "response.output_item.done",
        {"item": {"type": "reasoning", "summary": [{"type": "summary_text", "text": PHRASE}]}},
    ),
    ("response.output_item.added", {"item": {"type": "function_call", "name": PHRASE}}),
    ("response.output_item.done", {"item": {"type": PHRASE}}),
    ("response.output_text.annotation.added", {"annotation": {"title": PHRASE}}),
    ("response.completed", {"response": response([message(PHRASE)])}),
    ("response.failed", {"response": response([], error={"message": PHRASE})}),
    ("error", {"message": PHRASE}),
    ("response.later", {"thing": PHRASE}),
    (PHRASE, {}),
    ("response.completed", {PHRASE: 1}),
]


@pytest.mark.parametrize(("kind", "members"), WHOLE)
def test_a_phrase_anywhere_in_an_event_is_read_at_every_cut(
    kind: str, members: dict[str, Any]
) -> None:
    raw = event(kind, **members)
    for place in range(len(raw)):
        read = events(raw[:place], raw[place:])
        assert any(PHRASE in text for text in joined(read).values())


def test_what_was_asked_and_comes_back_is_no_text() -> None:
    raw = json.dumps(response([])).encode()
    assert joined(events(raw, stream=False)) == {}


def test_a_changed_delta_keeps_a_list_of_tokens() -> None:
    tokens = [{"token": "secret", "logprob": -1, "bytes": [115]}]
    raw = event("response.output_text.delta", **PLACE, delta="secret", logprobs=tokens)
    (one,) = events(raw)
    texts = [(channel, text.replace("secret", "x")) for channel, text in one.texts]
    after = DIALECT.with_answer_texts(one, texts).raw
    assert after.startswith(b"event: response.output_text.delta\ndata: {")
    assert json.loads(after.split(b"data: ")[1]) == {
        "type": "response.output_text.delta",
        "sequence_number": 1,
        **PLACE,
        "delta": "x",
        "logprobs": [],
    }


def test_the_repeated_text_is_changed_as_well() -> None:
    raw = event("response.completed", response=response([message("a secret")], usage=USAGE))
    (one,) = events(raw)
    texts = [(channel, text.replace("secret", "x")) for channel, text in one.texts]
    after = DIALECT.with_answer_texts(one, texts)
    document = json.loads(after.raw.split(b"data: ")[1])
    assert document["response"]["output"][0]["content"][0]["text"] == "a x"
    assert after.usage == Usage(3, 2)
