"""The /v1 routes over HTTP."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ogp.demo.server import DemoServer
from ogp.demo.v1 import text_in

USER = {"role": "user", "content": "hi there"}
TOOL = {"type": "function", "function": {"name": "get_weather"}}


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running


def ask(server: DemoServer, path: str, document: Any = None) -> tuple[int, str, bytes]:
    """Status, content type and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        body = None if document is None else json.dumps(document)
        connection.request("GET" if document is None else "POST", f"/v1/{path}", body)
        response = connection.getresponse()
        return response.status, response.headers["content-type"], response.read()
    finally:
        connection.close()


def answer(server: DemoServer, path: str, **fields: Any) -> Any:
    status, content_type, body = ask(server, path, {"model": "demo", **fields})
    assert (status, content_type) == (200, "application/json"), body
    return json.loads(body)


def test_chat_answers_in_one_document_by_default(server: DemoServer) -> None:
    document = answer(server, "chat/completions", messages=[USER])
    assert document["choices"][0]["message"]["content"].startswith("You said: hi there ")


def test_chat_streams_when_asked(server: DemoServer) -> None:
    fields = {
        "model": "demo-tokens-2",
        "messages": [USER],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    status, content_type, body = ask(server, "chat/completions", fields)
    assert (status, content_type) == (200, "text/event-stream")
    assert body.endswith(b"data: [DONE]\n\n")
    assert body.count(b"data: ") == 5
    assert b'"usage":{"prompt_tokens":2' in body


def test_chat_keeps_to_its_wishes(server: DemoServer) -> None:
    def text(**fields: Any) -> str:
        document = answer(server, "chat/completions", messages=[USER], **fields)
        content: str = document["choices"][0]["message"]["content"]
        return content

    assert text(max_tokens=1) == "You"
    assert text(stop=" said") == "You"
    assert text(stop=["hi", 5]) == "You said: "
    assert "answer" in json.loads(text(response_format={"type": "json_object"}))
    schema = {"properties": {"n": {"type": "integer"}}}
    assert json.loads(
        text(response_format={"type": "json_schema", "json_schema": {"schema": schema}})
    ) == {"n": 42}


def test_chat_thinks_when_asked(server: DemoServer) -> None:
    document = answer(server, "chat/completions", messages=[USER], reasoning_effort="low")
    assert document["choices"][0]["message"]["reasoning"].startswith("The user wrote")


def test_chat_gives_choices_and_log_probabilities(server: DemoServer) -> None:
    fields = {"messages": [USER], "n": 2, "logprobs": True, "top_logprobs": 2, "max_tokens": 1}
    choices = answer(server, "chat/completions", **fields)["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]
    assert len(choices[0]["logprobs"]["content"][0]["top_logprobs"]) == 2


def test_chat_calls_a_tool_for_the_user_only(server: DemoServer) -> None:
    messages = [{"role": "user", "content": "weather?"}]
    asked = answer(server, "chat/completions", messages=messages, tools=[TOOL])
    assert asked["choices"][0]["finish_reason"] == "tool_calls"
    messages.append({"role": "tool", "content": "weather is fine"})
    told = answer(server, "chat/completions", messages=messages, tools=[TOOL])
    assert told["choices"][0]["finish_reason"] == "stop"


def test_completion_answers_its_prompt(server: DemoServer) -> None:
    document = answer(server, "completions", prompt="hi", max_tokens=3)
    assert document["choices"][0] == {"text": "You said: hi", "index": 0, "finish_reason": "length"}


@pytest.mark.parametrize(
    "given",
    [
        "hi there",
        [{"role": "user", "content": "hi there"}],
        [{"role": "user", "content": [{"type": "input_text", "text": "hi there"}]}],
        [{"type": "function_call_output", "output": "hi there"}],
    ],
)
def test_responses_answer_the_last_item(server: DemoServer, given: Any) -> None:
    document = answer(server, "responses", input=given, instructions="be kind")
    assert document["output"][0]["content"][0]["text"].startswith("You said: hi there ")
    assert document["usage"]["input_tokens"] == 4


def test_pictures_are_seen(server: DemoServer) -> None:
    content = [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    document = answer(server, "chat/completions", messages=[{"role": "user", "content": content}])
    assert "I see 1 image." in document["choices"][0]["message"]["content"]
    given = [{"role": "user", "content": [{"type": "input_image", "image_url": "data:"}] * 2}]
    document = answer(server, "responses", input=given)
    assert "I see 2 images." in document["output"][0]["content"][0]["text"]


def test_responses_think_call_and_keep_to_a_schema(server: DemoServer) -> None:
    tool = {"type": "function", "name": "get_weather"}
    for tools in ([tool], [{"type": "namespace", "name": "n", "tools": [tool]}]):
        fields = {"input": "weather?", "tools": tools, "reasoning": {"effort": "low"}}
        kinds = [item["type"] for item in answer(server, "responses", **fields)["output"]]
        assert kinds == ["reasoning", "function_call"]
    told = [
        {"role": "user", "content": "weather?"},
        {"type": "function_call_output", "output": "x"},
    ]
    assert answer(server, "responses", input=told, tools=[tool])["output"][0]["type"] == "message"
    schema = {"format": {"type": "json_schema", "schema": {"properties": {"n": {"const": 5}}}}}
    document = answer(server, "responses", input="x", text=schema)
    assert json.loads(document["output"][0]["content"][0]["text"]) == {"n": 5}


def test_responses_of_nothing_answer_all_the_same(server: DemoServer) -> None:
    assert answer(server, "responses", input=[], max_output_tokens=2)["status"] == "completed"


def test_responses_stream_when_asked(server: DemoServer) -> None:
    fields = {"model": "demo-tokens-2", "input": "x", "stream": True}
    body = ask(server, "responses", fields)[2]
    assert body.startswith(b"event: response.created\n")
    assert b"event: response.completed\n" in body


def test_messages_answer_the_last_one(server: DemoServer) -> None:
    document = answer(
        server,
        "messages",
        max_tokens=100,
        system=[{"type": "text", "text": "be kind"}],
        messages=[USER],
        stop_sequences=[" This"],
    )
    assert document["content"] == [{"type": "text", "text": "You said: hi there"}]
    assert document["usage"]["input_tokens"] == 4


def test_messages_stream_when_asked(server: DemoServer) -> None:
    fields = {"model": "demo", "max_tokens": 2, "messages": [USER], "stream": True}
    body = ask(server, "messages", fields)[2]
    assert body.startswith(b"event: message_start\n")
    assert body.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_embeddings_are_floats_or_base64(server: DemoServer) -> None:
    floats = answer(server, "embeddings", input=["a", "b"], dimensions=4)
    assert [len(entry["embedding"]) for entry in floats["data"]] == [4, 4]
    encoded = answer(server, "embeddings", input="a", encoding_format="base64")
    assert isinstance(encoded["data"][0]["embedding"], str)
    assert encoded["usage"] == {"prompt_tokens": 1, "total_tokens": 1}


def test_models_are_listed_and_found(server: DemoServer) -> None:
    entries = json.loads(ask(server, "models")[2])["data"]
    assert "demo:latest" in {entry["id"] for entry in entries}
    assert json.loads(ask(server, "models/demo")[2])["id"] == "demo"
    assert ask(server, "models/nope")[0] == 404


@pytest.mark.parametrize(
    ("path", "document", "status"),
    [
        ("chat/completions", {"messages": [USER]}, 400),
        ("chat/completions", {"model": "demo", "messages": []}, 400),
        ("chat/completions", {"model": "nope", "messages": [USER]}, 404),
        ("completions", {}, 400),
        ("embeddings", {"input": "x"}, 400),
        ("embeddings", {"model": "demo"}, 400),
        ("messages", {"model": "demo", "messages": [USER]}, 400),
        ("messages", {"model": "demo", "max_tokens": 5}, 400),
        ("chat/completions", {"model": "error-503", "messages": [USER]}, 503),
        ("embeddings", {"model": "error-503", "input": "x"}, 503),
        ("messages", {"model": "error-503", "max_tokens": 5, "messages": [USER]}, 503),
    ],
)
def test_refusals_have_an_error_object(
    server: DemoServer, path: str, document: Any, status: int
) -> None:
    found, _, body = ask(server, path, document)
    assert found == status
    assert set(json.loads(body)["error"]) >= {"type", "message"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        ([{"text": "a"}, {"text": "b"}, 5], "ab"),
        ([{"content": [{"text": "a"}]}], "a"),
        (None, ""),
    ],
)
def test_text_of_parts_is_joined(content: Any, text: str) -> None:
    assert text_in(content) == text
