"""OpenAI's official client is told what went wrong by errors of the right class, and by ends."""

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from ogp.demo.script import SSE, Script
from ogp.demo.server import DemoServer
from tests.support.clients import ask_openai, ask_openai_async, last_row
from tests.support.proxy import BANNED, Proxy

ASK: Any = [{"role": "user", "content": "Why is the sky blue?"}]
Call = Callable[[Any], Any]


def chat(model: str = "demo", content: str = "Why?", **more: Any) -> Call:
    messages: Any = [{"role": "user", "content": content}]
    return lambda c: c.chat.completions.create(model=model, messages=messages, **more)


def respond(model: str = "demo", content: str = "Why?", **more: Any) -> Call:
    return lambda c: c.responses.create(model=model, input=content, **more)


ERRORS: dict[str, tuple[Call, type[openai.APIStatusError], str | None]] = {
    "banned": (chat(content=f"a {BANNED}"), openai.PermissionDeniedError, "prompt_blocked"),
    "banned, streamed": (
        chat(content=f"a {BANNED}", stream=True),
        openai.PermissionDeniedError,
        "prompt_blocked",
    ),
    "banned response": (respond(content=BANNED), openai.PermissionDeniedError, "prompt_blocked"),
    "wrong type": (chat(top_p="x"), openai.BadRequestError, "invalid_request"),
    "no role": (
        lambda c: c.chat.completions.create(model="demo", messages=[{}]),
        openai.BadRequestError,
        "invalid_request",
    ),
    "token ids": (
        lambda c: c.embeddings.create(model="demo", input=[1, 2]),
        openai.BadRequestError,
        "invalid_request",
    ),
    "no such model": (chat("nobody"), openai.NotFoundError, None),
    "no such response model": (respond("nobody", stream=True), openai.NotFoundError, None),
    "no such listed model": (lambda c: c.models.retrieve("nobody"), openai.NotFoundError, None),
    "no such route": (lambda c: c.files.list(), openai.NotFoundError, "not_found"),
    "stored response": (lambda c: c.responses.retrieve("r"), openai.NotFoundError, "not_found"),
    "transcription": (
        lambda c: c.audio.transcriptions.create(model="demo", file=("a.wav", b"RIFF")),
        openai.PermissionDeniedError,
        "forbidden",
    ),
    "too long": (chat(content="word " * 30_000), openai.APIStatusError, "too_large"),
    "encoding": (
        chat(extra_headers={"Content-Encoding": "br"}),
        openai.APIStatusError,
        "unsupported_encoding",
    ),
    "server error": (chat("error-500"), openai.InternalServerError, None),
    "server busy": (chat("error-busy"), openai.InternalServerError, None),
}


@pytest.mark.parametrize(("call", "kind", "code"), ERRORS.values(), ids=ERRORS.keys())
def test_errors_are_of_the_right_class(
    call: Call, kind: type[openai.APIStatusError], code: str | None, proxy: Proxy
) -> None:
    with pytest.raises(kind) as raised:
        ask_openai(proxy.url, proxy.token, call)
    assert raised.value.code == code
    assert isinstance(raised.value.body, dict)
    assert raised.value.message
    assert BANNED not in str(raised.value)


def test_sizes_and_encodings_keep_their_status(proxy: Proxy) -> None:
    for name, status in (("too long", 413), ("encoding", 415)):
        with pytest.raises(openai.APIStatusError) as raised:
            ask_openai(proxy.url, proxy.token, ERRORS[name][0])
        assert raised.value.status_code == status


@pytest.mark.parametrize("token", ["ogp_nobody", "sk-1234", "'"])
def test_a_wrong_token_is_an_authentication_error(token: str, proxy: Proxy) -> None:
    with pytest.raises(openai.AuthenticationError) as raised:
        ask_openai(proxy.url, token, chat())
    assert raised.value.code == "unauthorized"


def test_refusals_that_cannot_get_better_are_asked_for_once(proxy: Proxy) -> None:
    before = len(proxy.rows())
    for name in ("banned", "wrong type", "too long", "no such route"):
        with pytest.raises(openai.APIStatusError):
            ask_openai(proxy.url, proxy.token, ERRORS[name][0], max_retries=2)
    assert len(proxy.rows()) == before + 4


def chunk(text: str, *, reason: str | None = None, operation: str = "chat") -> bytes:
    said: dict[str, Any] = {"delta": {"content": text}} if operation == "chat" else {"text": text}
    kind = "chat.completion.chunk" if operation == "chat" else "text_completion"
    document = {
        "id": "c-1",
        "object": kind,
        "created": 1,
        "model": "demo",
        "choices": [{"index": 0, **said, "finish_reason": reason}],
    }
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def saying(*texts: str, operation: str = "chat", **options: Any) -> Script:
    chunks = [chunk(text, operation=operation) for text in texts]
    return Script(chunks=[*chunks, b"data: [DONE]\n\n"], headers={"Content-Type": SSE}, **options)


HARMLESS = ["All is well. "] * 40
FIRST, SECOND = BANNED.split()


@pytest.mark.parametrize("n", [1, 3])
def test_a_chat_that_says_what_is_forbidden_is_finished_by_the_filter(
    n: int, proxy: Proxy, upstream: DemoServer
) -> None:
    upstream.script("demo", saying(*HARMLESS, FIRST, f" {SECOND}", "!"))
    *parts, last = ask_openai(proxy.url, proxy.token, chat(stream=True, n=n))
    assert [choice.finish_reason for choice in last.choices] == ["content_filter"] * n
    assert [choice.index for choice in last.choices] == list(range(n))
    assert (last.id, last.model) == ("c-1", "demo")
    assert last.model_extra["guard"]["code"] == "response_blocked"
    said = "".join(part.choices[0].delta.content for part in parts)
    assert "".join(HARMLESS).startswith(said.removesuffix(FIRST))
    assert last_row(proxy)["outcome"] == "blocked_mid_stream"


def test_the_helper_says_that_the_filter_ended_a_chat(proxy: Proxy, upstream: DemoServer) -> None:
    upstream.script("demo", saying(*HARMLESS, BANNED))

    def last_of(client: openai.OpenAI) -> Any:
        with client.chat.completions.stream(model="demo", messages=ASK) as stream:
            return stream.get_final_completion()

    with pytest.raises(openai.ContentFilterFinishReasonError):
        ask_openai(proxy.url, proxy.token, last_of)


def test_a_completion_is_finished_by_the_filter(proxy: Proxy, upstream: DemoServer) -> None:
    upstream.script("demo", saying(*HARMLESS, BANNED, operation="completions"))
    parts = ask_openai(
        proxy.url,
        proxy.token,
        lambda c: c.completions.create(model="demo", prompt="x", stream=True),
    )
    assert parts[-1].choices[0].finish_reason == "content_filter"
    assert FIRST not in "".join(part.choices[0].text for part in parts)


def typed(kind: str, **members: Any) -> bytes:
    document = json.dumps({"type": kind, "sequence_number": 1, **members})
    return f"event: {kind}\ndata: {document}\n\n".encode()


def response_saying(*texts: str, **options: Any) -> Script:
    begun = {
        "id": "resp_7",
        "object": "response",
        "created_at": 1,
        "model": "demo",
        "status": "in_progress",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    item = {"id": "m", "type": "message", "role": "assistant", "status": "in_progress"}
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"item_id": "m", "output_index": 0, "content_index": 0}
    chunks = [
        typed("response.created", response=begun),
        typed("response.output_item.added", output_index=0, item={**item, "content": []}),
        typed("response.content_part.added", **place, part=part),
        *(typed("response.output_text.delta", **place, delta=t, logprobs=[]) for t in texts),
    ]
    return Script(chunks=chunks, headers={"Content-Type": SSE}, **options)


def test_a_response_that_says_what_is_forbidden_is_incomplete(
    proxy: Proxy, upstream: DemoServer
) -> None:
    upstream.script("demo", response_saying(*HARMLESS, FIRST, f" {SECOND}"))
    last = ask_openai(proxy.url, proxy.token, respond(stream=True))[-1]
    assert last.type == "response.incomplete"
    assert last.response.id == "resp_7"
    assert last.response.incomplete_details.reason == "content_filter"

    def run(client: openai.OpenAI) -> Any:
        with client.responses.stream(model="demo", input="x") as stream:
            return [event.type for event in stream]

    assert ask_openai(proxy.url, proxy.token, run)[-1] == "response.incomplete"


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_blocked_before_its_first_byte_is_a_refusal(
    proxy: Proxy, upstream: DemoServer, stream: bool
) -> None:
    whole = {"id": "c", "choices": [{"index": 0, "message": {"content": f"a {BANNED}"}}]}
    upstream.script("demo", saying(f"a {BANNED}") if stream else Script.document(whole))
    with pytest.raises(openai.PermissionDeniedError) as raised:
        ask_openai(proxy.url, proxy.token, chat(stream=stream))
    assert raised.value.code == "response_blocked"
    assert BANNED not in raised.value.response.text


BROKEN: dict[str, tuple[Call, Script]] = {
    "chat": (chat(stream=True), saying(*HARMLESS, end="close")),
    "response": (respond(stream=True), response_saying(*HARMLESS, end="close")),
    "chat, reset": (chat(stream=True), saying(*HARMLESS, end="reset")),
}


@pytest.mark.parametrize(("call", "script"), BROKEN.values(), ids=BROKEN.keys())
def test_a_stream_that_breaks_raises(
    call: Call, script: Script, proxy: Proxy, upstream: DemoServer
) -> None:
    # A chat that has said [DONE] was whole; it breaks before that.
    chunks = [piece for piece in script.chunks if b"[DONE]" not in piece]
    upstream.script("demo", Script(chunks=chunks, headers=script.headers, end=script.end))
    for run in (ask_openai, ask_openai_async):
        with pytest.raises(openai.APIError) as raised:
            run(proxy.url, proxy.token, call)
        assert raised.value.code == "upstream_error"
    assert last_row(proxy)["outcome"] == "upstream_failed"


def test_a_server_that_breaks_before_its_answer_is_a_server_error(
    proxy: Proxy, upstream: DemoServer
) -> None:
    upstream.script("demo", Script(framing="raw", end="close"))
    with pytest.raises(openai.InternalServerError) as raised:
        ask_openai(proxy.url, proxy.token, chat())
    assert raised.value.status_code == 502
    assert raised.value.code == "upstream_error"
