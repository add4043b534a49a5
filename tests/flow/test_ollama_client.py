"""The official Python client works through the proxy as it does without it."""

import asyncio
import base64
import zlib
from collections.abc import Callable
from typing import Any

import ollama
import pytest
from pydantic import BaseModel

from ogp.demo.server import DemoServer
from tests.support.proxy import Proxy

PIXEL = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
    + zlib.crc32(b"x").to_bytes(4, "big")
).decode()
ASK = [{"role": "user", "content": "Why is the sky blue?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
TIMES = {"created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration"}
TIMES |= {"expires_at", "modified_at"}


def without_times(value: Any) -> Any:
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value


CALLS: dict[str, Callable[[ollama.Client], Any]] = {
    "generate": lambda c: c.generate("demo", "Why is the sky blue?"),
    "generate, streamed": lambda c: list(c.generate("demo", "Why?", stream=True)),
    "generate with system, suffix, options, keep_alive": lambda c: c.generate(
        "demo", "a", suffix="b", system="be brief", options={"seed": 1}, keep_alive="5m"
    ),
    "load a model": lambda c: c.generate("demo"),
    "unload a model": lambda c: c.generate("demo", keep_alive=0),
    "generate as JSON of a schema": lambda c: c.generate(
        "demo", "x", format={"type": "object", "properties": {"age": {"type": "integer"}}}
    ),
    "chat": lambda c: c.chat("demo", ASK),
    "chat, streamed": lambda c: list(c.chat("demo", ASK, stream=True)),
    "chat with tools": lambda c: c.chat(
        "demo", [{"role": "user", "content": "Use the tool for Paris"}], tools=[WEATHER]
    ),
    "chat with tools, streamed": lambda c: list(
        c.chat(
            "demo",
            [{"role": "user", "content": "Use the tool for Paris"}],
            tools=[WEATHER],
            stream=True,
        )
    ),
    "a tool's result": lambda c: c.chat(
        "demo",
        [
            *ASK,
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}
                ],
            },
            {"role": "tool", "tool_name": "get_weather", "content": "22 degrees"},
        ],
    ),
    "thinking": lambda c: c.chat("demo", ASK, think=True),
    "thinking, streamed": lambda c: list(c.chat("demo", ASK, think=True, stream=True)),
    "images": lambda c: c.chat(
        "demo", [{"role": "user", "content": "What is this?", "images": [PIXEL]}]
    ),
    "images in generate": lambda c: c.generate("demo", "What is this?", images=[PIXEL]),
    "logprobs": lambda c: c.chat("demo", ASK, logprobs=True, top_logprobs=2),
    "embed one": lambda c: c.embed("demo", "hello"),
    "embed several": lambda c: c.embed("demo", ["hello", "world"]),
    "embeddings, old form": lambda c: c.embeddings("demo", "hello"),
    "list": lambda c: c.list(),
    "show": lambda c: c.show("demo"),
    "ps": lambda c: c.ps(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_every_call_gives_what_the_server_itself_gives(
    call: Callable[[ollama.Client], Any], proxy: Proxy, upstream: DemoServer
) -> None:
    with ollama.Client(upstream.url) as client:
        direct = call(client)
    upstream.reset()
    with ollama.Client(proxy.url, headers=proxy.headers()) as client:
        proxied = call(client)
    assert without_times(proxied) == without_times(direct)
    assert upstream.requests


async def stream_async(url: str, headers: dict[str, str]) -> str:
    async with ollama.AsyncClient(url, headers=headers) as client:
        parts = await client.chat("demo", ASK, stream=True)
        return "".join([part.message.content or "" async for part in parts])


def test_the_asynchronous_client_streams_as_well(proxy: Proxy, upstream: DemoServer) -> None:
    direct = asyncio.run(stream_async(upstream.url, {}))
    proxied = asyncio.run(stream_async(proxy.url, proxy.headers()))
    assert proxied == direct != ""


@pytest.mark.parametrize("stream", [False, True])
def test_errors_of_the_server_reach_the_client_as_they_are(
    proxy: Proxy, upstream: DemoServer, stream: bool
) -> None:
    seen = []
    for url, headers in ((upstream.url, {}), (proxy.url, proxy.headers())):
        with (
            ollama.Client(url, headers=headers) as client,
            pytest.raises(ollama.ResponseError) as raised,
        ):
            list(client.chat("nobody", ASK, stream=stream))
        seen.append((raised.value.status_code, raised.value.error))
    assert seen[0] == seen[1]
    assert seen[0][0] == 404


def test_a_wrong_token_is_an_error_the_client_understands(proxy: Proxy) -> None:
    with ollama.Client(proxy.url) as client, pytest.raises(ollama.ResponseError) as raised:
        client.chat("demo", ASK)
    assert raised.value.status_code == 401
    assert "Authorization: Bearer" in raised.value.error
