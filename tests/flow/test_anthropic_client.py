"""Anthropic's official client works through the proxy as it does without it."""

import json
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from ogp.demo.script import SSE, Script
from ogp.demo.server import DemoServer
from tests.support.clients import Call, ask_anthropic, ask_anthropic_async, asked_of, last_row
from tests.support.proxy import BANNED, Proxy

ASK: Any = [{"role": "user", "content": "Why is the sky blue?"}]
TO_CALL: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOL: Any = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
PICTURE: Any = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
}
RESULT: Any = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "22 degrees"}
ROUND_TRIP: Any = [
    *TO_CALL,
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "The tool knows.", "signature": "c2lnbmVk"},
            {
                "type": "tool_use",
                "id": "toolu_1",
                "name": "get_weather",
                "input": {"city": "Paris", "seed": 12345678901234567890},
            },
        ],
    },
    {"role": "user", "content": [RESULT, {"type": "text", "text": "And now?"}]},
]


def message(**options: Any) -> Call:
    settings: Any = {"model": "demo", "max_tokens": 200, "messages": ASK, **options}
    return lambda client: client.messages.create(**settings)


CALLS: dict[str, Call] = {
    "a message": message(),
    "streamed": message(stream=True),
    "a system text and every setting": message(
        system="be brief",
        max_tokens=5,
        stop_sequences=["never"],
        metadata={"user_id": "somebody"},
        extra_body={"temperature": 0.2, "top_p": 0.9, "top_k": 40},
    ),
    "system blocks": message(
        system=[
            {"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "and kind"},
        ]
    ),
    "text blocks": message(
        messages=[{"role": "user", "content": [{"type": "text", "text": "Why?"}]}]
    ),
    "several turns": message(messages=[*ASK, {"role": "assistant", "content": "It"}, *ASK]),
    "thinking": message(thinking={"type": "enabled", "budget_tokens": 1024}),
    "thinking, streamed": message(thinking={"type": "enabled", "budget_tokens": 1024}, stream=True),
    "tools": message(messages=TO_CALL, tools=[TOOL], tool_choice={"type": "auto"}),
    "tools, streamed": message(messages=TO_CALL, tools=[TOOL], stream=True),
    "a tool's result": message(messages=ROUND_TRIP, tools=[TOOL]),
    "a tool's result in blocks": message(
        messages=[
            *ROUND_TRIP[:2],
            {
                "role": "user",
                "content": [{**RESULT, "content": [{"type": "text", "text": "22"}, PICTURE]}],
            },
        ]
    ),
    "a picture": message(
        messages=[{"role": "user", "content": [PICTURE, {"type": "text", "text": "What is it?"}]}]
    ),
    "cut by max_tokens": message(max_tokens=2),
    "models": lambda client: client.models.list(),
}


def plain(value: Any) -> Any:
    """With its types; a page of the other kind of client is the same page."""
    if isinstance(value, BaseModel):
        return type(value).__name__.removeprefix("Async"), plain(value.model_dump())
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_every_call_gives_what_the_server_itself_gives(
    call: Call, proxy: Proxy, upstream: DemoServer
) -> None:
    direct = plain(ask_anthropic(upstream.url, "any", call))
    upstream.reset()
    assert plain(ask_anthropic(proxy.url, proxy.token, call)) == direct
    assert len(asked_of(upstream)) == 1
    assert proxy.token not in str(asked_of(upstream)[0].header_list)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_the_asynchronous_client_gets_the_same(
    call: Call, proxy: Proxy, upstream: DemoServer
) -> None:
    direct = plain(ask_anthropic_async(upstream.url, "any", call))
    assert direct
    assert plain(ask_anthropic_async(proxy.url, proxy.token, call)) == direct


def test_the_helper_streams_text_and_puts_the_message_together(proxy: Proxy) -> None:
    def run(client: anthropic.Anthropic) -> tuple[str, anthropic.types.Message]:
        with client.messages.stream(model="demo", max_tokens=99, messages=ASK) as stream:
            return "".join(stream.text_stream), stream.get_final_message()

    text, final = ask_anthropic(proxy.url, proxy.token, run)
    assert text.startswith("You said: Why is the sky blue?")
    assert [block.text for block in final.content] == [text]
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", len(text.split()))


def test_the_asynchronous_helper_does_too(proxy: Proxy) -> None:
    async def run(client: anthropic.AsyncAnthropic) -> tuple[str, str]:
        async with client.messages.stream(model="demo", max_tokens=99, messages=ASK) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            return text, await stream.get_final_text()

    text, final = ask_anthropic_async(proxy.url, proxy.token, run)
    assert text == final != ""


def test_a_tool_is_called_and_told_its_result(proxy: Proxy, upstream: DemoServer) -> None:
    def run(client: anthropic.Anthropic) -> tuple[Any, Any]:
        options: Any = {"model": "demo", "max_tokens": 99, "tools": [TOOL]}
        with client.messages.stream(messages=TO_CALL, **options) as stream:
            asked = stream.get_final_message()
        (use,) = [block for block in asked.content if block.type == "tool_use"]
        result: Any = {"type": "tool_result", "tool_use_id": use.id, "content": "22 degrees"}
        messages: Any = [
            *TO_CALL,
            {"role": "assistant", "content": asked.content},
            {"role": "user", "content": [result]},
        ]
        return asked, client.messages.create(messages=messages, **options)

    asked, told = ask_anthropic(proxy.url, proxy.token, run)
    (use,) = asked.content
    assert (asked.stop_reason, use.name, use.input) == ("tool_use", "get_weather", {"city": "demo"})
    assert told.content[0].text.startswith("You said: 22 degrees")
    sent = json.loads(asked_of(upstream)[-1].body)
    assert sent["messages"][1]["content"][0]["id"] == use.id


def test_thinking_comes_in_blocks_of_its_own(proxy: Proxy) -> None:
    thought, said = ask_anthropic(proxy.url, proxy.token, CALLS["thinking"]).content
    assert (thought.type, said.type) == ("thinking", "text")
    assert thought.thinking.startswith("The user wrote 5 words.")


@pytest.mark.parametrize("options", [{"auth_token": None}, {"api_key": None}])
def test_the_token_may_be_a_key_or_a_bearer_token(options: Any, proxy: Proxy) -> None:
    if "api_key" in options:
        options = {**options, "auth_token": proxy.token}
    answer = ask_anthropic(proxy.url, proxy.token, CALLS["a message"], **options)
    assert answer.stop_reason == "end_turn"


BAD: Any = [{"role": "user", "content": f"the {BANNED}"}]
ERRORS: dict[str, tuple[Call, type[anthropic.APIStatusError], str]] = {
    "banned": (message(messages=BAD), anthropic.PermissionDeniedError, "permission_error"),
    "banned, streamed": (
        message(messages=BAD, stream=True),
        anthropic.PermissionDeniedError,
        "permission_error",
    ),
    "banned count": (
        lambda c: c.messages.count_tokens(model="demo", messages=BAD),
        anthropic.PermissionDeniedError,
        "permission_error",
    ),
    "count": (
        lambda c: c.messages.count_tokens(model="demo", messages=ASK),
        anthropic.NotFoundError,
        "",
    ),
    "wrong type": (
        message(extra_body={"top_k": "x"}),
        anthropic.BadRequestError,
        "invalid_request_error",
    ),
    "no tokens": (message(max_tokens=0), anthropic.BadRequestError, "invalid_request_error"),
    "no such model": (message(model="nobody"), anthropic.NotFoundError, "not_found_error"),
    "no such route": (
        lambda c: c.messages.batches.list(),
        anthropic.NotFoundError,
        "not_found_error",
    ),
    "too long": (
        message(messages=[{"role": "user", "content": "word " * 30_000}]),
        anthropic.RequestTooLargeError,
        "request_too_large",
    ),
    "a search": (
        message(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
        anthropic.PermissionDeniedError,
        "permission_error",
    ),
    "server error": (message(model="error-500"), anthropic.InternalServerError, "api_error"),
    "server busy": (message(model="error-503"), anthropic.InternalServerError, "overloaded_error"),
}


@pytest.mark.parametrize(("call", "kind", "told"), ERRORS.values(), ids=ERRORS.keys())
def test_errors_are_of_the_right_class(
    call: Call, kind: type[anthropic.APIStatusError], told: str, proxy: Proxy
) -> None:
    with pytest.raises(kind) as raised:
        ask_anthropic(proxy.url, proxy.token, call)
    body: Any = raised.value.body
    assert not told or body["error"]["type"] == told
    assert BANNED not in str(raised.value)


def test_a_block_names_its_code_and_the_request(proxy: Proxy) -> None:
    with pytest.raises(anthropic.PermissionDeniedError) as raised:
        ask_anthropic(proxy.url, proxy.token, ERRORS["banned"][0])
    body: Any = raised.value.body
    assert body["error"]["code"] == "prompt_blocked"
    assert body["request_id"] == raised.value.response.headers["x-request-id"]


def test_refusals_that_cannot_get_better_are_asked_for_once(proxy: Proxy) -> None:
    before = len(proxy.rows())
    for name in ("banned", "wrong type", "too long", "no such route"):
        with pytest.raises(anthropic.APIStatusError):
            ask_anthropic(proxy.url, proxy.token, ERRORS[name][0], max_retries=2)
    assert len(proxy.rows()) == before + 4


def test_a_wrong_token_is_an_authentication_error(proxy: Proxy) -> None:
    for options in ({"api_key": "sk-ant"}, {"api_key": None, "auth_token": "sk-ant"}):
        with pytest.raises(anthropic.AuthenticationError):
            ask_anthropic(proxy.url, "", CALLS["a message"], **options)


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def saying(*texts: str, **options: Any) -> Script:
    begun: dict[str, Any] = {
        "id": "msg_7",
        "type": "message",
        "role": "assistant",
        "model": "demo",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 0},
    }
    chunks = [
        event("message_start", message=begun),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    ]
    for text in texts:
        delta = {"type": "text_delta", "text": text}
        chunks.append(event("content_block_delta", index=0, delta=delta))
    return Script(chunks=chunks, headers={"Content-Type": SSE}, **options)


HARMLESS = ["All is well. "] * 40


def test_a_message_that_says_what_is_forbidden_ends_in_a_refusal(
    proxy: Proxy, upstream: DemoServer
) -> None:
    upstream.script("demo", saying(*HARMLESS, *BANNED))

    def run(client: anthropic.Anthropic) -> tuple[str, anthropic.types.Message]:
        with client.messages.stream(model="demo", max_tokens=99, messages=ASK) as stream:
            return "".join(stream.text_stream), stream.get_final_message()

    text, final = ask_anthropic(proxy.url, proxy.token, run)
    assert (final.id, final.stop_reason) == ("msg_7", "refusal")
    assert "".join([*HARMLESS, BANNED[:1]]).startswith(text)
    row = last_row(proxy)
    assert (row["outcome"], row["guard_output"], row["prompt_tokens"]) == (
        "blocked_mid_stream",
        "blocked:ban_substrings",
        7,
    )


def test_a_whole_message_that_is_forbidden_is_a_refusal(proxy: Proxy, upstream: DemoServer) -> None:
    whole = {"id": "m", "type": "message", "content": [{"type": "text", "text": BANNED}]}
    upstream.script("demo", Script.document(whole))
    with pytest.raises(anthropic.PermissionDeniedError) as raised:
        ask_anthropic(proxy.url, proxy.token, message())
    body: Any = raised.value.body
    assert body["error"]["code"] == "response_blocked"


def test_a_stream_that_breaks_raises(proxy: Proxy, upstream: DemoServer) -> None:
    upstream.script("demo", saying(*HARMLESS, end="close"))
    for ask in (ask_anthropic, ask_anthropic_async):
        with pytest.raises(anthropic.APIError) as raised:
            ask(proxy.url, proxy.token, message(stream=True))
        body: Any = raised.value.body
        assert body["error"]["code"] == "upstream_error"
    assert last_row(proxy)["outcome"] == "upstream_failed"
