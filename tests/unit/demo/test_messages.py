"""`/v1/messages` over HTTP."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ogp.demo.server import DemoServer

USER = {"role": "user", "content": "hi there"}
TOOL = {"name": "get_weather", "input_schema": {"properties": {"city": {"type": "string"}}}}
PICTURE = {"type": "image", "source": {"type": "base64", "data": "aGkh"}}


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running


def ask(server: DemoServer, path: str = "messages", **fields: Any) -> tuple[int, bytes]:
    body = {"model": "demo", "max_tokens": 99, "messages": [USER], **fields}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("POST", f"/v1/{path}", json.dumps(body))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def answer(server: DemoServer, **fields: Any) -> Any:
    status, body = ask(server, **fields)
    assert status == 200, body
    return json.loads(body)


def blocks(*content: Any) -> list[Any]:
    return [{"role": "user", "content": list(content)}]


def text(said: str) -> dict[str, str]:
    return {"type": "text", "text": said}


def quoted(server: DemoServer, **fields: Any) -> str:
    said: str = answer(server, **fields)["content"][-1]["text"]
    return said.removeprefix("You said: ").partition(" This is the demo")[0]


def test_a_message_is_answered(server: DemoServer) -> None:
    document = answer(server)
    assert document["content"][0]["text"].startswith("You said: hi there ")
    assert (document["role"], document["stop_reason"]) == ("assistant", "end_turn")


def test_a_message_is_streamed_when_asked(server: DemoServer) -> None:
    status, body = ask(server, stream=True)
    assert status == 200
    assert body.startswith(b"event: message_start\ndata: ")
    assert body.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_blocks_are_joined_without_a_separator_and_others_left_out(server: DemoServer) -> None:
    thought = {"type": "thinking", "thinking": "junk"}
    assert quoted(server, messages=blocks(text("for"), thought, text("bidden"))) == "forbidden"


def test_results_of_tools_come_before_the_text(server: DemoServer) -> None:
    result = {"type": "tool_result", "content": [text("su"), PICTURE, text("nny")]}
    plain = {"type": "tool_result", "content": "warm"}
    found = {"type": "web_search_tool_result", "content": "news"}
    listed = {"type": "web_search_tool_result", "content": [{"title": "t"}]}
    said = quoted(server, messages=blocks(text("x"), result, plain, found, listed))
    assert said == 'sunny warm news [{"title":"t"}] x I see 1 image.'
    assert quoted(server, messages=blocks(text("x"), {"type": "tool_result"})) == "x"


def test_system_is_a_string_or_blocks_and_counts(server: DemoServer) -> None:
    for system in ("three more words", [text("three more"), 5, text(" words")]):
        assert answer(server, system=system)["usage"]["input_tokens"] == 5


def test_it_thinks_when_asked(server: DemoServer) -> None:
    document = answer(server, thinking={"type": "enabled", "budget_tokens": 5})
    assert [block["type"] for block in document["content"]] == ["thinking", "text"]


def test_a_tool_is_called_for_the_user_only(server: DemoServer) -> None:
    asked = [{"role": "user", "content": "the weather please"}]
    (call,) = answer(server, messages=asked, tools=[TOOL])["content"]
    assert (call["type"], call["name"], call["input"]) == (
        "tool_use",
        "get_weather",
        {"city": "demo"},
    )
    told = blocks({"type": "tool_result", "content": "weather"})
    assert answer(server, messages=told, tools=[TOOL])["content"][0]["type"] == "text"
    search = [{"type": "web_search_20250305", "name": "x"}]
    asked = [{"role": "user", "content": "search the news"}]
    (call,) = answer(server, messages=asked, tools=search)["content"]
    assert (call["name"], call["input"]) == ("web_search", {"query": "demo"})


def test_a_message_keeps_to_its_limits(server: DemoServer) -> None:
    assert answer(server, max_tokens=1)["stop_reason"] == "max_tokens"
    assert quoted(server, stop_sequences=[" there"]) == "hi"


def test_keys_are_read_as_go_reads_them(server: DemoServer) -> None:
    assert (
        quoted(server, messages=[{"ROLE": "user", "Content": [{"TYPE": "text", "TEXT": "x"}]}])
        == "x"
    )
    assert quoted(server, messages=[{"role": "user", "content": None}, USER]) == "hi there"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": ""}, "model is required"),
        ({"max_tokens": 0}, "max_tokens is required and must be positive"),
        ({"messages": []}, "messages is required"),
        (
            {"messages": blocks({"type": "tool_use", "name": "x"})},
            "tool_use block missing required 'id' field",
        ),
        (
            {"messages": blocks({"type": "tool_use", "id": "x"})},
            "tool_use block missing required 'name' field",
        ),
        ({"messages": blocks({"type": "image"})}, "invalid image source"),
        (
            {"messages": blocks({"type": "image", "source": {"type": "url", "url": "http://x"}})},
            "invalid image source type: url. Only base64 images are supported.",
        ),
        (
            {"messages": blocks({"type": "tool_result", "content": [{**PICTURE, "source": {}}]})},
            "invalid image source type: . Only base64 images are supported.",
        ),
        (
            {"messages": blocks({"type": "image", "source": {"type": "base64", "data": "!"}})},
            "invalid base64 image data: illegal base64 data",
        ),
    ],
)
def test_what_ollama_refuses_is_refused(
    server: DemoServer, fields: dict[str, Any], message: str
) -> None:
    status, body = ask(server, **fields)
    document = json.loads(body)
    assert status == 400
    assert document["error"] == {"type": "invalid_request_error", "message": message}


def test_content_of_another_kind_is_refused(server: DemoServer) -> None:
    assert ask(server, messages=[{"role": "user", "content": 5}])[0] == 400


def test_tokens_are_not_counted_here(server: DemoServer) -> None:
    assert ask(server, path="messages/count_tokens")[0] == 404
