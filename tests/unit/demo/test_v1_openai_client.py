"""The official `openai` client against the look-alike: its types read every answer."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from ogp.demo.script import Script
from ogp.demo.server import DemoServer

USER: Any = {"role": "user", "content": "hi there"}
ASKING: Any = {"role": "user", "content": "weather?"}
TOOL: Any = {"type": "function", "function": {"name": "get_weather"}}
FLAT_TOOL: Any = {"type": "function", "name": "get_weather", "parameters": {}, "strict": True}


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running


@pytest.fixture
def client(server: DemoServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0) as opened:
        yield opened


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="demo", messages=[USER], n=2, logprobs=True)
    assert [choice.index for choice in answer.choices] == [0, 1]
    content = answer.choices[1].message.content
    assert content is not None
    assert content.startswith("You said: hi there")
    assert answer.choices[0].logprobs is not None


def test_the_stream_helper_puts_a_chat_together(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="demo",
        messages=[ASKING],
        tools=[TOOL],
        reasoning_effort="low",
        stream_options={"include_usage": True},
    ) as stream:
        answer = stream.get_final_completion()
    (call,) = answer.choices[0].message.tool_calls or ()
    assert (call.function.name, answer.choices[0].finish_reason) == ("get_weather", "tool_calls")
    assert answer.usage is not None


def test_completions(client: openai.OpenAI) -> None:
    chunks = client.completions.create(model="demo-tokens-2", prompt="hi", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "You said:"


def test_embeddings(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="demo", input=["a", "b"], dimensions=4)
    assert [len(entry.embedding) for entry in answer.data] == [4, 4]


def test_models(client: openai.OpenAI) -> None:
    assert "demo:latest" in {model.id for model in client.models.list()}
    assert client.models.retrieve("demo").id == "demo"


@pytest.mark.parametrize("tools", [[], [FLAT_TOOL]])
def test_the_stream_helper_puts_a_response_together(client: openai.OpenAI, tools: Any) -> None:
    with client.responses.stream(
        model="demo", input="weather?", tools=tools, reasoning={"effort": "low"}
    ) as stream:
        answer = stream.get_final_response()
    kinds = [item.type for item in answer.output]
    assert kinds == ["reasoning", "function_call" if tools else "message"]
    assert answer.output_text.startswith("" if tools else "You said: weather?")


def test_a_response(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="demo", input=[USER], instructions="be kind")
    assert (answer.status, answer.instructions) == ("completed", "be kind")


def test_a_stream_may_be_cut_anywhere(server: DemoServer, client: openai.OpenAI) -> None:
    events = b'data: {"choices":[{"index":0,"text":"a"}]}\n\ndata: [DONE]\n\n'
    server.script("/v1/completions", Script.events(events, *range(1, len(events))))
    chunks = client.completions.create(model="demo", prompt="hi", stream=True)
    assert [chunk.choices[0].text for chunk in chunks] == ["a"]
