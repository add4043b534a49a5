"""OpenAI's official client works through the proxy as it does without it."""

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from ogp.demo.server import DemoServer
from tests.support.clients import ask_openai, ask_openai_async, asked_of
from tests.support.proxy import Proxy

ASK: Any = [{"role": "user", "content": "Why is the sky blue?"}]
TO_CALL: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Any = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Of a city", "parameters": PARAMETERS},
}
FLAT_TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": PARAMETERS,
    "strict": True,
}
PICTURE: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
LOOK: Any = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, PICTURE]}]
LOOK_IN: Any = [
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "What is this?"},
            {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,aGk="},
        ],
    }
]
SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {"name": "age", "schema": {"properties": {"age": {"type": "integer"}}}},
}
ROUND_TRIP: Any = [
    *TO_CALL,
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "22 degrees"},
]
ITEMS: Any = [
    {"role": "user", "content": "weather in Paris?"},
    {
        "type": "function_call",
        "call_id": "call_1",
        "name": "get_weather",
        "arguments": '{"city":"Paris"}',
    },
    {"type": "function_call_output", "call_id": "call_1", "output": "22 degrees"},
]
TIMES = {"created", "created_at", "completed_at"}
Call = Callable[[Any], Any]

CALLS: dict[str, Call] = {
    "chat": lambda c: c.chat.completions.create(model="demo", messages=ASK),
    "chat, streamed": lambda c: c.chat.completions.create(model="demo", messages=ASK, stream=True),
    "chat, streamed with usage": lambda c: c.chat.completions.create(
        model="demo", messages=ASK, stream=True, stream_options={"include_usage": True}
    ),
    "chat with every setting": lambda c: c.chat.completions.create(
        model="demo",
        messages=[{"role": "system", "content": "be brief"}, *ASK],
        max_tokens=5,
        temperature=0.1,
        top_p=0.9,
        seed=1,
        stop=["never"],
        frequency_penalty=0.5,
        presence_penalty=0.5,
        logit_bias={"5": -1},
        user="somebody",
        extra_body={"keep_alive": "5m"},
    ),
    "tools": lambda c: c.chat.completions.create(model="demo", messages=TO_CALL, tools=[TOOL]),
    "tools, streamed": lambda c: c.chat.completions.create(
        model="demo", messages=TO_CALL, tools=[TOOL], tool_choice="auto", stream=True
    ),
    "a tool's result": lambda c: c.chat.completions.create(
        model="demo", messages=ROUND_TRIP, tools=[TOOL]
    ),
    "a schema": lambda c: c.chat.completions.create(
        model="demo", messages=ASK, response_format=SCHEMA
    ),
    "JSON": lambda c: c.chat.completions.create(
        model="demo", messages=ASK, response_format={"type": "json_object"}
    ),
    "two choices": lambda c: c.chat.completions.create(model="demo", messages=ASK, n=2),
    "two choices, streamed": lambda c: c.chat.completions.create(
        model="demo", messages=ASK, n=2, stream=True
    ),
    "log probabilities": lambda c: c.chat.completions.create(
        model="demo", messages=ASK, logprobs=True, top_logprobs=2
    ),
    "log probabilities, streamed": lambda c: c.chat.completions.create(
        model="demo", messages=ASK, logprobs=True, top_logprobs=2, stream=True
    ),
    "reasoning": lambda c: c.chat.completions.create(
        model="demo", messages=ASK, reasoning_effort="low"
    ),
    "a picture": lambda c: c.chat.completions.create(model="demo", messages=LOOK),
    "completions": lambda c: c.completions.create(model="demo", prompt="Why?", suffix="!"),
    "completions, streamed": lambda c: c.completions.create(
        model="demo", prompt="Why?", stream=True, stream_options={"include_usage": True}
    ),
    "embeddings": lambda c: c.embeddings.create(model="demo", input="hello"),
    "embeddings of several": lambda c: c.embeddings.create(model="demo", input=["a", "b"]),
    "embeddings as numbers": lambda c: c.embeddings.create(
        model="demo", input="a", encoding_format="float", dimensions=4
    ),
    "a list of models": lambda c: c.models.list(),
    "a model": lambda c: c.models.retrieve("demo"),
    "a response": lambda c: c.responses.create(
        model="demo", input="Why?", instructions="be brief", max_output_tokens=5
    ),
    "a response, streamed": lambda c: c.responses.create(model="demo", input=ASK, stream=True),
    "a response with tools": lambda c: c.responses.create(
        model="demo", input="weather?", tools=[FLAT_TOOL]
    ),
    "a response with tools, streamed": lambda c: c.responses.create(
        model="demo", input="weather?", tools=[FLAT_TOOL], stream=True
    ),
    "a response to a tool's result": lambda c: c.responses.create(
        model="demo", input=ITEMS, tools=[FLAT_TOOL]
    ),
    "a response with reasoning, streamed": lambda c: c.responses.create(
        model="demo", input="Why?", reasoning={"effort": "low"}, stream=True
    ),
    "a response to a picture": lambda c: c.responses.create(model="demo", input=LOOK_IN),
}


def plain(value: Any) -> Any:
    """With its types, without its times; a page of the other kind of client is the same page."""
    if isinstance(value, BaseModel):
        return type(value).__name__.removeprefix("Async"), plain(value.model_dump())
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key not in TIMES}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_every_call_gives_what_the_server_itself_gives(
    call: Call, proxy: Proxy, upstream: DemoServer
) -> None:
    direct = plain(ask_openai(upstream.url, "any", call))
    upstream.reset()
    assert plain(ask_openai(proxy.url, proxy.token, call)) == direct
    assert len(asked_of(upstream)) == 1
    assert proxy.token not in str(asked_of(upstream)[0].header_list)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_the_asynchronous_client_gets_the_same(
    call: Call, proxy: Proxy, upstream: DemoServer
) -> None:
    direct = plain(ask_openai_async(upstream.url, "any", call))
    answer = plain(ask_openai_async(proxy.url, proxy.token, call))
    if isinstance(direct, list):
        assert direct
        assert answer == direct
    else:
        assert answer[1:] == direct[1:]


class Age(BaseModel):
    """What a model shall answer."""

    age: int


def test_the_helpers_put_streams_together(proxy: Proxy) -> None:
    def chat(client: openai.OpenAI) -> Any:
        with client.chat.completions.stream(
            model="demo", messages=TO_CALL, tools=[TOOL], stream_options={"include_usage": True}
        ) as stream:
            return stream.get_final_completion()

    def response(client: openai.OpenAI) -> Any:
        with client.responses.stream(model="demo", input="Why is it so?") as stream:
            return stream.get_final_response()

    completion = ask_openai(proxy.url, proxy.token, chat)
    (call,) = completion.choices[0].message.tool_calls
    assert (call.function.name, completion.choices[0].finish_reason) == (
        "get_weather",
        "tool_calls",
    )
    assert json.loads(call.function.arguments) == {"city": "demo"}
    assert completion.usage.completion_tokens == 1
    assert ask_openai(proxy.url, proxy.token, response).output_text.startswith(
        "You said: Why is it so?"
    )


def test_the_helpers_parse_schemas(proxy: Proxy) -> None:
    completion = ask_openai(
        proxy.url,
        proxy.token,
        lambda c: c.chat.completions.parse(model="demo", messages=ASK, response_format=Age),
    )
    assert completion.choices[0].message.parsed == Age(age=42)
    response = ask_openai(
        proxy.url,
        proxy.token,
        lambda c: c.responses.parse(model="demo", input="x", text_format=Age),
    )
    assert response.output_parsed == Age(age=42)


def test_values_are_those_of_the_server(proxy: Proxy) -> None:
    floats = ask_openai(proxy.url, proxy.token, CALLS["embeddings as numbers"]).data[0].embedding
    coded = ask_openai(
        proxy.url,
        proxy.token,
        lambda c: c.embeddings.create(model="demo", input="a", dimensions=4),
    )
    assert coded.data[0].embedding == pytest.approx(floats)
    listed = [model.id for model in ask_openai(proxy.url, proxy.token, CALLS["a list of models"])]
    assert "demo:latest" in listed
    seen = ask_openai(proxy.url, proxy.token, CALLS["a picture"]).choices[0].message.content
    assert "I see 1 image." in seen
