"""Events and documents of the /v1 routes."""

import json
from base64 import b64decode
from struct import unpack
from typing import Any

import pytest

from ogp.demo.completion import Completion, Piece, Usage
from ogp.demo.v1_forms import (
    ChatCompletionForm,
    CompletionForm,
    anthropic_refusal,
    encoded_vector,
    openai_refusal,
)

USAGE = Usage("stop", 3, 2, total_ns=10, prompt_ns=4)
CALL = {"name": "f", "arguments": {"a": "<"}}
ANSWER = Completion([Piece(thinking="hm"), Piece(text="Hel"), Piece(text="lo")])


def events(raw: bytes) -> list[Any]:
    """Documents of the events; the end mark as a string."""
    found: list[Any] = []
    for block in raw.decode().split("\n\n")[:-1]:
        name, _, text = block.rpartition("data: ")
        document = text if text == "[DONE]" else json.loads(text)
        if name:
            assert name == f"event: {document['type']}\n"
        found.append(document)
    return found


def stream(form: Any, completion: Completion = ANSWER, usage: Usage = USAGE) -> list[Any]:
    parts = [form.opening(), *map(form.piece, completion.pieces)]
    return events(b"".join(parts) + form.closing(completion, usage))


def test_chat_names_the_role_once_and_ends_with_finish_and_mark() -> None:
    *chunks, mark = stream(ChatCompletionForm("m", include_usage=False))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas == [
        {"role": "assistant", "content": "", "reasoning": "hm"},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, "stop"]
    assert mark == "[DONE]"


def test_chat_gives_usage_in_a_chunk_of_its_own_when_asked() -> None:
    *_, figures, _ = stream(ChatCompletionForm("m", include_usage=True))
    assert figures["choices"] == []
    assert figures["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_chat_calls_tools_with_arguments_in_a_string() -> None:
    form = ChatCompletionForm("m", include_usage=False)
    chunk, finish, _ = stream(form, Completion([Piece(tool_call=CALL)]))
    (call,) = chunk["choices"][0]["delta"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"a": "<"}
    assert finish["choices"][0]["finish_reason"] == "tool_calls"


def test_chat_numbers_its_calls() -> None:
    form = ChatCompletionForm("m", include_usage=False)
    first, second, *_ = stream(form, Completion([Piece(tool_call=CALL), Piece(tool_call=CALL)]))
    calls = [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in (first, second)]
    assert [call["index"] for call in calls] == [0, 1]


def test_chat_gives_as_many_choices_as_asked() -> None:
    form = ChatCompletionForm("m", include_usage=False, choices=2)
    *chunks, _ = stream(form, Completion([Piece(text="a")]))
    assert [chunk["choices"][0]["index"] for chunk in chunks] == [0, 1, 0, 1]
    choices = form.whole(ANSWER, USAGE)["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]


def test_chat_gives_log_probabilities_beside_the_text() -> None:
    entry = {"token": "a", "logprob": -0.1}
    form = ChatCompletionForm("m", include_usage=False)
    completion = Completion([Piece(text="a", logprobs=[entry])])
    chunk, *_ = stream(form, completion)
    assert chunk["choices"][0]["logprobs"] == {"content": [entry]}
    assert form.whole(completion, USAGE)["choices"][0]["logprobs"] == {"content": [entry]}


def test_whole_chat_has_all_in_one_document() -> None:
    completion = Completion([*ANSWER.pieces, Piece(tool_call=CALL)])
    document = ChatCompletionForm("m", include_usage=False).whole(completion, USAGE)
    message = document["choices"][0]["message"]
    assert (message["content"], message["reasoning"]) == ("Hello", "hm")
    assert message["tool_calls"][0]["function"]["name"] == "f"
    assert (document["object"], document["usage"]["total_tokens"]) == ("chat.completion", 5)


@pytest.mark.parametrize("form_class", [ChatCompletionForm, CompletionForm])
def test_failed_openai_stream_has_an_empty_chunk_and_no_mark(form_class: Any) -> None:
    (chunk,) = events(form_class("m", include_usage=False).failure("broken"))
    assert chunk["choices"][0]["finish_reason"] is None


def test_completion_streams_texts_and_a_finish() -> None:
    *chunks, figures, mark = stream(CompletionForm("m", include_usage=True))
    assert [chunk["choices"][0]["text"] for chunk in chunks] == ["", "Hel", "lo", ""]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert (figures["choices"], figures["usage"]["total_tokens"], mark) == ([], 5, "[DONE]")


def test_completion_gives_usage_only_when_asked() -> None:
    finish, mark = stream(CompletionForm("m", include_usage=False), Completion([]))
    assert (finish["choices"][0]["finish_reason"], mark) == ("stop", "[DONE]")


def test_whole_completion() -> None:
    document = CompletionForm("m", include_usage=False).whole(ANSWER, USAGE)
    assert document["choices"] == [{"text": "Hello", "index": 0, "finish_reason": "stop"}]


@pytest.mark.parametrize(
    ("status", "openai", "anthropic"),
    [
        (400, "invalid_request_error", "invalid_request_error"),
        (404, "not_found_error", "not_found_error"),
        (503, "api_error", "overloaded_error"),
        (500, "api_error", "api_error"),
    ],
)
def test_refusals_name_a_type(status: int, openai: str, anthropic: str) -> None:
    assert openai_refusal(status, "x")["error"]["type"] == openai
    assert anthropic_refusal(status, "x")["error"]["type"] == anthropic


def test_vector_in_base64_is_little_endian_floats() -> None:
    assert unpack("<2f", b64decode(encoded_vector([0.5, -1.0]))) == (0.5, -1.0)
