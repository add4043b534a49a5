"""Events and documents of `/v1/responses`, as the official client types them."""

import json
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from ogp.demo.completion import Completion, Piece, Usage
from ogp.demo.responses_form import ResponsesForm

USAGE = Usage("stop", 3, 2, total_ns=10, prompt_ns=4)
CALL = {"name": "f", "arguments": {"a": "<"}}
SAID = Completion([Piece(thinking="h"), Piece(thinking="m"), Piece(text="Hel"), Piece(text="lo")])
CALLED = Completion([Piece(thinking="hm"), Piece(tool_call=CALL), Piece(tool_call=CALL)])
STATED = {
    "instructions": "be kind",
    "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": None}],
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
    "reasoning": {"effort": "low"},
}


def stream(form: ResponsesForm, completion: Completion) -> list[Any]:
    parts = [form.opening(), *map(form.piece, completion.pieces), form.closing(completion, USAGE)]
    found: list[Any] = []
    for block in b"".join(parts).decode().split("\n\n")[:-1]:
        name, _, text = block.partition("\ndata: ")
        found.append(json.loads(text))
        assert name == f"event: {found[-1]['type']}"
    return found


def names(events: list[Any]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_thinking_then_text() -> None:
    events = stream(ResponsesForm("m"), SAID)
    assert names(events) == [
        *("created", "in_progress", "output_item.added"),
        *["reasoning_summary_text.delta"] * 2,
        *("reasoning_summary_text.done", "output_item.done"),
        *("output_item.added", "content_part.added"),
        *["output_text.delta"] * 2,
        *("output_text.done", "content_part.done", "output_item.done", "completed"),
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event.get("output_index") for event in events[2:-1]] == [0] * 5 + [1] * 7
    reasoning, message = events[-1]["response"]["output"]
    assert (reasoning["encrypted_content"], message["content"][0]["text"]) == ("hm", "Hello")
    assert events[-1]["response"]["usage"]["total_tokens"] == 5


def test_tool_calls_have_a_place_each() -> None:
    events = stream(ResponsesForm("m"), CALLED)
    deltas = [event for event in events if event["type"].endswith("arguments.delta")]
    assert [event["output_index"] for event in deltas] == [1, 2]
    assert [json.loads(event["delta"]) for event in deltas] == [CALL["arguments"]] * 2
    kinds = [item["type"] for item in events[-1]["response"]["output"]]
    assert kinds == ["reasoning", "function_call", "function_call"]


def test_text_after_a_call_is_dropped() -> None:
    form = ResponsesForm("m")
    form.piece(Piece(tool_call=CALL))
    assert form.piece(Piece(text="x")) == b""


def test_an_empty_answer_has_no_text_events() -> None:
    assert names(stream(ResponsesForm("m"), Completion([]))) == [
        *("created", "in_progress", "completed"),
    ]


@pytest.mark.parametrize("asked", [{}, STATED])
@pytest.mark.parametrize("completion", [SAID, CALLED, Completion([])])
def test_the_official_clients_types_take_every_event(
    asked: dict[str, Any], completion: Completion
) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    for event in stream(ResponsesForm("m", asked), completion):
        usage = event.get("response", {}).get("usage")
        if usage:
            usage["input_tokens_details"]["cache_write_tokens"] = 0  # newer than Ollama's form
        adapter.validate_python(event)
    document = ResponsesForm("m", asked).whole(completion, USAGE)
    document["usage"]["input_tokens_details"]["cache_write_tokens"] = 0
    Response.model_validate(document)


def test_what_was_asked_comes_back() -> None:
    document = ResponsesForm("m", STATED).whole(SAID, USAGE)
    assert {name: document[name] for name in STATED} == STATED


def test_a_failed_stream_just_ends() -> None:
    assert ResponsesForm("m").failure("broken") == b""


def test_a_refusal_is_openais() -> None:
    assert ResponsesForm("m").refusal(404, "gone")["error"]["type"] == "not_found_error"
