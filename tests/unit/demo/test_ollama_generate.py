"""Generate, chat and embed as the official Ollama client and a bare one see them."""

import base64
import http.client
import json
from collections.abc import Iterator
from typing import Any

import ollama
import pytest

from ogp.demo.ollama_generate import texts_of
from ogp.demo.server import DemoServer

IMAGE = base64.b64encode(b"not really an image").decode()
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "required": ["city"],
            "properties": {"city": {"type": "string"}},
        },
    },
}


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running


@pytest.fixture
def client(server: DemoServer) -> Iterator[ollama.Client]:
    with ollama.Client(server.url) as made:
        yield made


def post(server: DemoServer, path: str, document: Any) -> tuple[int, str, Any]:
    """Status, content type and document."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("POST", path, json.dumps(document))
        response = connection.getresponse()
        return response.status, response.headers["content-type"], json.loads(response.read())
    finally:
        connection.close()


def test_generate_answers_in_one_document(client: ollama.Client) -> None:
    answer = client.generate("demo", "why is it blue", system="be kind")
    assert answer.response.startswith("You said: why is it blue ")
    assert (answer.done, answer.done_reason, answer.prompt_eval_count) == (True, "stop", 6)
    assert answer.eval_count == len(answer.response.split())
    assert answer.total_duration
    assert answer.eval_duration


def test_generate_streams_the_same_text(client: ollama.Client) -> None:
    parts = list(client.generate("demo", "why", stream=True))
    whole = client.generate("demo", "why")
    assert "".join(part.response for part in parts) == whole.response
    assert [part.done for part in parts[-2:]] == [False, True]
    assert parts[-1].eval_count == len(parts) - 1
    assert parts[-1].context == whole.context


def test_generate_streams_by_default(server: DemoServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("POST", "/api/generate", b'{"model":"demo-tokens-2","prompt":"x"}')
    response = connection.getresponse()
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.headers["transfer-encoding"] == "chunked"
    assert len(response.read().splitlines()) == 3
    connection.close()


def test_generate_thinks_when_asked_to(client: ollama.Client) -> None:
    parts = list(client.generate("demo", "x", think=True, stream=True))
    assert "".join(part.thinking or "" for part in parts).startswith("The user wrote")
    assert client.generate("demo", "x").thinking is None
    assert (client.generate("demo", "x", think="high").thinking or "").startswith("The user")


def test_generate_sees_images(client: ollama.Client) -> None:
    assert "I see 1 image." in client.generate("demo", "x", images=[IMAGE]).response


def test_generate_answers_in_the_format(client: ollama.Client) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}}
    assert json.loads(client.generate("demo", "x", format=schema).response) == {"age": 42}
    assert "answer" in json.loads(client.generate("demo", "x", format="json").response)


def test_generate_keeps_to_options(client: ollama.Client) -> None:
    answer = client.generate("demo", "x", options={"num_predict": 2})
    assert (answer.response, answer.done_reason) == ("You said:", "length")
    assert client.generate("demo", "x", options={"stop": [" said"]}).response == "You"
    assert client.generate("demo", "x", options={"num_predict": -1}).done_reason == "stop"


def test_generate_gives_log_probabilities(client: ollama.Client) -> None:
    answer = client.generate("demo-tokens-2", "x", logprobs=True, top_logprobs=2)
    assert answer.logprobs is not None
    assert [entry.token for entry in answer.logprobs] == ["You", " said:"]
    assert [len(entry.top_logprobs or []) for entry in answer.logprobs] == [2, 2]


def test_raw_answer_has_no_context(client: ollama.Client) -> None:
    assert client.generate("demo", "x", raw=True).context is None


def test_empty_prompt_loads_and_keep_alive_zero_unloads(
    server: DemoServer, client: ollama.Client
) -> None:
    assert client.generate("demo").done_reason == "load"
    assert [model.model for model in client.ps().models] == ["demo:latest"]
    for keep_alive in (0, "0s", "0", "0m0s"):
        assert client.generate("demo", "", keep_alive=keep_alive).done_reason == "unload"
        assert client.ps().models == []
    assert client.generate("demo", "", keep_alive="5m").done_reason == "load"
    assert server.max_active() == 0


def test_load_is_one_document_even_for_a_stream(server: DemoServer) -> None:
    _, content_type, document = post(server, "/api/generate", {"model": "demo", "stream": True})
    assert content_type == "application/json; charset=utf-8"
    assert document["response"] == ""


@pytest.mark.parametrize(
    ("path", "fields", "status", "error"),
    [
        ("generate", {"raw": True, "system": "s", "prompt": "x"}, 400, "raw mode does not"),
        ("generate", {"top_logprobs": 21}, 400, "top_logprobs must be between 0 and 20"),
        ("generate", {"prompt": "x", "format": "xml"}, 500, 'invalid format: "xml"; expected'),
        ("generate", {"model": ""}, 404, "model '' not found"),
        ("chat", {"model": ""}, 400, "model is required"),
        ("chat", {"model": "nope"}, 404, "model 'nope' not found"),
        ("embed", {"model": ""}, 404, "model '' not found"),
        ("embed", {"input": 5}, 400, "invalid input type"),
        ("embed", {"input": ["a", 5]}, 400, "invalid input type"),
        ("embed", {"model": "nope"}, 404, 'model "nope" not found, try pulling it first'),
        ("embeddings", {"model": ""}, 400, "model is required"),
        ("embeddings", {"model": "nope"}, 404, 'model "nope" not found, try pulling it first'),
    ],
)
def test_refusals_are_ollamas(
    server: DemoServer, path: str, fields: dict[str, Any], status: int, error: str
) -> None:
    found, _, document = post(server, f"/api/{path}", {"model": "demo", **fields})
    assert found == status
    assert document["error"].startswith(error)


def test_rendered_template_is_shown_to_whom_asks(server: DemoServer) -> None:
    fields = {"model": "demo", "_debug_render_only": True}
    _, _, generated = post(
        server, "/api/generate", {**fields, "prompt": "x", "system": "s", "images": [IMAGE]}
    )
    assert generated["_debug_info"] == {"rendered_template": "s x", "image_count": 1}
    _, _, chatted = post(server, "/api/chat", {**fields, "messages": [{"content": "y"}]})
    assert chatted["_debug_info"] == {"rendered_template": "y"}


def test_chat_answers_the_last_message(client: ollama.Client) -> None:
    messages = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
    answer = client.chat("demo", messages)
    assert (answer.message.role, answer.done_reason) == ("assistant", "stop")
    assert (answer.message.content or "").startswith("You said: hi ")
    assert answer.prompt_eval_count == 3


def test_chat_streams_the_same_text(client: ollama.Client) -> None:
    messages = [{"role": "user", "content": "hi"}]
    parts = list(client.chat("demo", messages, stream=True, think=True))
    whole = client.chat("demo", messages, think=True)
    for field in ("content", "thinking"):
        streamed = "".join(getattr(part.message, field) or "" for part in parts)
        assert streamed == getattr(whole.message, field)
    assert parts[-1].done


@pytest.mark.parametrize("stream", [False, True])
def test_chat_calls_a_tool_and_then_answers_with_its_result(
    client: ollama.Client, stream: bool
) -> None:
    messages: list[Any] = [{"role": "user", "content": "How is the weather in Bonn?"}]
    answer = client.chat("demo", messages, tools=[WEATHER], stream=stream)
    parts = list(answer) if stream else [answer]
    (message,) = [part.message for part in parts if part.message.tool_calls]
    (call,) = message.tool_calls or []
    assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "demo"})
    messages += [message, {"role": "tool", "content": "sunny weather", "tool_name": "get_weather"}]
    final = client.chat("demo", messages, tools=[WEATHER])
    assert final.message.tool_calls is None
    assert "sunny weather" in (final.message.content or "")


def test_chat_sees_images(client: ollama.Client) -> None:
    messages = [{"role": "user", "content": "x", "images": [IMAGE, IMAGE]}]
    assert "I see 2 images." in (client.chat("demo", messages).message.content or "")


def test_chat_gives_log_probabilities(client: ollama.Client) -> None:
    messages = [{"role": "user", "content": "x"}]
    parts = list(client.chat("demo-tokens-2", messages, logprobs=True, stream=True))
    assert [len(part.logprobs or []) for part in parts] == [1, 1, 0]


def test_chat_without_messages_loads_and_unloads(client: ollama.Client) -> None:
    assert client.chat("demo").done_reason == "load"
    assert client.chat("demo", keep_alive=0).done_reason == "unload"
    assert client.ps().models == []


def test_embed_gives_a_vector_per_text(client: ollama.Client) -> None:
    answer = client.embed("demo", ["a b", "c"])
    assert len(answer.embeddings) == 2
    assert answer.prompt_eval_count == 3
    assert client.embed("demo", "c").embeddings[0] == answer.embeddings[1]
    assert len(client.embed("demo", "c", dimensions=8).embeddings[0]) == 8


@pytest.mark.parametrize("value", [None, "", []])
def test_embed_of_nothing_loads(server: DemoServer, value: Any) -> None:
    _, _, document = post(server, "/api/embed", {"model": "demo", "input": value})
    assert document == {"model": "demo", "embeddings": []}


def test_old_embeddings_give_one_vector(server: DemoServer, client: ollama.Client) -> None:
    assert client.embeddings("demo", "c").embedding == client.embed("demo", "c").embeddings[0]
    assert post(server, "/api/embeddings", {"model": "demo"})[2] == {"embedding": []}


def test_embed_counts_as_a_generation_and_has_faults(
    server: DemoServer, client: ollama.Client
) -> None:
    client.embed("demo", "x")
    assert server.max_active("demo") == 1
    with pytest.raises(ollama.ResponseError, match="demo error 418"):
        client.embed("error-418", "x")


def test_errors_reach_the_client_as_its_own_error(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="model 'nope' not found") as refused:
        client.generate("nope", "x")
    assert refused.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="demo error in the stream"):
        list(client.generate("error-in-stream", "x", stream=True))


def test_input_is_a_text_or_a_list_of_them() -> None:
    assert (texts_of("a"), texts_of(["a", ""]), texts_of(None)) == (["a"], ["a", ""], [])
