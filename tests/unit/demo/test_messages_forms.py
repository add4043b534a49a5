"""Messages as Ollama's converter writes them."""

import json
from typing import Any

import pytest

from ogp.demo.completion import Completion, Piece, Usage
from ogp.demo.messages_forms import MessagesForm

USAGE = Usage("stop", 3, 2, total_ns=10, prompt_ns=4)
CALL = {"name": "f", "arguments": {"a": "<"}}
TEXT = Completion([Piece(text="Hel"), Piece(text="lo")])
ALL = Completion([Piece(thinking="hm"), *TEXT.pieces, Piece(tool_call=CALL), Piece(tool_call=CALL)])


def stream(completion: Completion, usage: Usage = USAGE) -> list[Any]:
    form = MessagesForm("m", 7)
    raw = form.opening() + b"".join(map(form.piece, completion.pieces))
    return read(raw + form.closing(completion, usage))


def read(raw: bytes) -> list[Any]:
    """Documents of the events, each named by its type."""
    found: list[Any] = []
    for block in raw.decode().split("\n\n")[:-1]:
        name, _, text = block.partition("\ndata: ")
        found.append(json.loads(text))
        assert name == f"event: {found[-1]['type']}"
    return found


def steps(found: list[Any]) -> list[tuple[str, int | None]]:
    return [(event["type"].removeprefix("content_block_"), event.get("index")) for event in found]


def test_a_text_is_one_block_between_the_message_and_its_end() -> None:
    found = stream(TEXT)
    assert steps(found) == [
        ("message_start", None),
        ("start", 0),
        ("delta", 0),
        ("delta", 0),
        ("stop", 0),
        ("message_delta", None),
        ("message_stop", None),
    ]
    assert found[0]["message"]["usage"] == {"input_tokens": 7, "output_tokens": 0}
    assert [event["delta"]["text"] for event in found[2:4]] == ["Hel", "lo"]
    assert found[-2]["delta"] == {"stop_reason": "end_turn"}
    assert found[-2]["usage"] == {"input_tokens": 3, "output_tokens": 2}


def test_thinking_text_and_each_call_are_blocks_of_their_own() -> None:
    found = stream(ALL)
    starts = [event for event in found if event["type"] == "content_block_start"]
    assert [(event["index"], event["content_block"]["type"]) for event in starts] == [
        (0, "thinking"),
        (1, "text"),
        (2, "tool_use"),
        (3, "tool_use"),
    ]
    assert [step for step in steps(found) if step[0] == "stop"] == [
        ("stop", 0),
        ("stop", 1),
        ("stop", 2),
        ("stop", 3),
    ]
    assert found[-2]["delta"] == {"stop_reason": "tool_use"}


def test_arguments_come_as_one_piece_of_json() -> None:
    (start, delta, _) = stream(Completion([Piece(tool_call=CALL)]))[1:4]
    assert start["content_block"]["input"] == {}
    assert json.loads(delta["delta"]["partial_json"]) == {"a": "<"}


def test_a_message_without_pieces_begins_and_ends() -> None:
    found = stream(Completion([]))
    assert [event["type"] for event in found] == ["message_start", "message_delta", "message_stop"]


def test_the_whole_message_has_its_blocks_in_order() -> None:
    document = MessagesForm("m", 7).whole(ALL, USAGE)
    assert [block["type"] for block in document["content"]] == [
        "thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    assert document["content"][1]["text"] == "Hello"
    assert document["content"][2]["input"] == {"a": "<"}
    assert (document["stop_reason"], document["usage"]["output_tokens"]) == ("tool_use", 2)


def test_a_message_that_is_too_long_says_so() -> None:
    usage = Usage("length", 1, 1, 1, 1)
    assert MessagesForm("m", 1).whole(TEXT, usage)["stop_reason"] == "max_tokens"
    assert stream(TEXT, usage)[-2]["delta"]["stop_reason"] == "max_tokens"


def test_a_failed_stream_just_ends() -> None:
    form = MessagesForm("m", 1)
    assert [event["type"] for event in read(form.failure("broken"))] == ["message_start"]
    assert form.failure("broken") == b""


@pytest.mark.parametrize(("status", "kind"), [(404, "not_found_error"), (500, "api_error")])
def test_refusals_name_a_type(status: int, kind: str) -> None:
    assert MessagesForm("m", 1).refusal(status, "x")["error"]["type"] == kind
