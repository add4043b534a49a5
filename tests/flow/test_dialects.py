"""OpenAI's and Anthropic's official clients through the real proxy, over the look-alike."""

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
import requests

from ogp.demo.script import NDJSON, Script
from ogp.demo.server import DemoServer
from tests.support.proxy import BANNED, WAIT_S, Proxy

ASK: Any = [{"role": "user", "content": "Why is the sky blue?"}]
BAD: Any = [{"role": "user", "content": f"the {BANNED}"}]


@pytest.fixture
def oai(proxy: Proxy) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.token, timeout=WAIT_S) as client:
        yield client


@pytest.fixture(params=["bearer", "x-api-key"])
def claude(proxy: Proxy, request: pytest.FixtureRequest) -> Iterator[anthropic.Anthropic]:
    key: Any = {"api_key" if request.param == "x-api-key" else "auth_token": proxy.token}
    with anthropic.Anthropic(base_url=proxy.url, timeout=WAIT_S, **key) as client:
        yield client


def test_chat_completions_answer_whole_and_streamed(oai: openai.OpenAI) -> None:
    whole = oai.chat.completions.create(model="demo", messages=ASK)
    parts = oai.chat.completions.create(model="demo", messages=ASK, stream=True)
    text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
    assert text == whole.choices[0].message.content
    assert whole.usage is not None


def test_completions_embeddings_and_models_answer(oai: openai.OpenAI) -> None:
    assert oai.completions.create(model="demo", prompt="Why?").choices[0].text
    assert len(oai.embeddings.create(model="demo", input=["a", "b"]).data) == 2
    assert "demo:latest" in [model.id for model in oai.models.list()]
    assert oai.models.retrieve("demo").id.startswith("demo")


def test_a_model_with_slashes_in_its_name_is_asked_for(
    oai: openai.OpenAI, proxy: Proxy, upstream: DemoServer
) -> None:
    upstream.script("/v1/models/user/demo:7b", Script.document({"id": "user/demo:7b"}))
    assert oai.models.retrieve("user/demo:7b").id == "user/demo:7b"
    assert proxy.get("/v1/models/user/demo:7b").json() == {"id": "user/demo:7b"}
    assert [seen.target for seen in upstream.requests] == ["/v1/models/user%2Fdemo:7b"] * 2


def test_responses_answer_whole_and_streamed(oai: openai.OpenAI) -> None:
    whole = oai.responses.create(model="demo", input="Why is the sky blue?")
    assert whole.output_text
    events = list(oai.responses.create(model="demo", input="Why is the sky blue?", stream=True))
    assert events[-1].type == "response.completed"


def test_messages_answer_whole_and_streamed(claude: anthropic.Anthropic) -> None:
    whole = claude.messages.create(model="demo", messages=ASK, max_tokens=99)
    with claude.messages.stream(model="demo", messages=ASK, max_tokens=99) as stream:
        assert stream.get_final_text() == whole.content[0].text  # type: ignore[union-attr]  # a text
        assert stream.get_final_message().stop_reason == whole.stop_reason


PROMPTS: dict[str, Callable[[openai.OpenAI], Any]] = {
    "chat": lambda c: c.chat.completions.create(model="demo", messages=BAD),
    "chat, streamed": lambda c: c.chat.completions.create(model="demo", messages=BAD, stream=True),
    "completions": lambda c: c.completions.create(model="demo", prompt=BANNED),
    "embeddings": lambda c: c.embeddings.create(model="demo", input=BANNED),
    "responses": lambda c: c.responses.create(model="demo", input=BANNED),
}


@pytest.mark.parametrize("ask", PROMPTS.values(), ids=PROMPTS.keys())
def test_a_blocked_prompt_is_a_refusal_that_is_not_repeated(
    ask: Callable[[openai.OpenAI], Any], oai: openai.OpenAI, upstream: DemoServer, proxy: Proxy
) -> None:
    before = len(proxy.rows())
    with pytest.raises(openai.PermissionDeniedError) as raised:
        ask(oai)
    assert raised.value.code == "prompt_blocked"
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(proxy.rows()) == before + 1
    assert upstream.requests == []


def test_a_blocked_message_is_a_refusal(claude: anthropic.Anthropic, upstream: DemoServer) -> None:
    for ask in (claude.messages.create, claude.messages.count_tokens):
        options: Any = {"max_tokens": 9} if ask == claude.messages.create else {}
        with pytest.raises(anthropic.PermissionDeniedError):
            ask(model="demo", messages=BAD, **options)
    assert upstream.requests == []


def chat_chunk(text: str) -> bytes:
    return (
        b'data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"demo",'
        b'"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}\n\n'
        % text.encode()
    )


def test_a_stream_that_says_what_is_forbidden_is_finished_by_the_filter(
    oai: openai.OpenAI, upstream: DemoServer
) -> None:
    first, second = BANNED.split(" ")
    said = [chat_chunk(text) for text in (*["All is well. "] * 50, first, f" {second}", "!")]
    headers = {"Content-Type": "text/event-stream"}
    upstream.script("demo", Script(chunks=[*said, b"data: [DONE]\n\n"], headers=headers))
    parts = list(oai.chat.completions.create(model="demo", messages=ASK, stream=True))
    assert parts[-1].choices[0].finish_reason == "content_filter"
    assert parts[-1].id == "c-1"
    assert BANNED not in "".join(part.choices[0].delta.content or "" for part in parts)


@pytest.mark.parametrize(
    ("path", "broken"),
    [
        ("/v1/chat/completions", b'data: {"error":{'),
        ("/v1/responses", b"event: error\n"),
        ("/v1/messages", b"event: error\n"),
        ("/api/chat", b'{"error":"upstream_error'),
    ],
)
def test_a_stream_that_breaks_says_so_in_its_dialect(
    path: str, broken: bytes, proxy: Proxy, upstream: DemoServer
) -> None:
    kind = NDJSON if path == "/api/chat" else "text/event-stream"
    line = b'{"message":{"content":"x"}}\n' if kind == NDJSON else b'data: {"x":"y"}\n\n'
    upstream.script("demo", Script(chunks=[line] * 3, headers={"Content-Type": kind}, end="close"))
    document = {"model": "demo", "messages": ASK, "input": "x", "stream": True, "max_tokens": 9}
    answer = proxy.post(path, document)
    assert answer.status_code == 200
    assert broken in answer.content
    assert b"[DONE]" not in answer.content


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("/v1/chat/completions", lambda body: body["error"]["type"] == "authentication_error"),
        ("/v1/messages", lambda body: body["error"]["type"] == "authentication_error"),
        ("/v1/generate", lambda body: body["code"] == "unauthorized"),
        ("/api/chat", lambda body: body["code"] == "unauthorized"),
    ],
)
def test_without_a_token_everybody_is_told_in_his_dialect(
    path: str, read: Callable[[Any], bool], proxy: Proxy
) -> None:
    answer = requests.post(proxy.url + path, json={}, timeout=WAIT_S)
    assert answer.status_code == 401
    assert read(answer.json())


def test_errors_of_the_server_pass_in_its_words(
    oai: openai.OpenAI, claude: anthropic.Anthropic
) -> None:
    with pytest.raises(openai.NotFoundError):
        oai.chat.completions.create(model="nobody", messages=ASK)
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(model="nobody", messages=ASK, max_tokens=9)


def test_sound_is_refused_and_pictures_pass(oai: openai.OpenAI, upstream: DemoServer) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    sound = {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}

    def ask(part: Any) -> Any:
        messages: Any = [{"role": "user", "content": [{"type": "text", "text": "x"}, part]}]
        return oai.chat.completions.create(model="demo", messages=messages)

    with pytest.raises(openai.PermissionDeniedError, match="audio cannot be scanned"):
        ask(sound)
    assert upstream.requests == []
    assert ask(picture).choices
