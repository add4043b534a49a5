"""Streaming clients that wait for a slot are told so, in a form each of them understands."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from queue import Queue
from threading import Thread
from time import monotonic
from typing import Any

import anthropic
import ollama
import openai
import pytest

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import WAIT_S, Proxy
from tests.support.waiting import held, wait_until

MODEL = "demo-tokens-3-0ms"
KEEPALIVE_S = 0.3
TIMEOUT_S = 1.5
SLACK_S = 2.0
"""What a busy machine may add."""
CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
BODIES: dict[str, dict[str, Any]] = {
    "/api/generate": {"model": MODEL, "prompt": "hi"},
    "/api/chat": CHAT,
    "/v1/generate": {"model": MODEL, "prompt": "hi"},
    "/v1/chat/completions": {**CHAT, "stream": True},
    "/v1/completions": {"model": MODEL, "prompt": "hi", "stream": True},
    "/v1/responses": {"model": MODEL, "input": "hi", "stream": True},
    "/v1/messages": {**CHAT, "max_tokens": 9, "stream": True},
}
SIGNS: dict[str, bytes] = {
    "/v1/chat/completions": b": waiting\n\n",
    "/v1/completions": b": waiting\n\n",
    "/v1/responses": b": waiting\n\n",
    "/v1/messages": b'event: ping\ndata: {"type": "ping"}\n\n',
}
"""Of the others, a line without text."""
ENDS: dict[str, bytes] = {
    "/v1/chat/completions": b"data: [DONE]\n\n",
    "/v1/completions": b"data: [DONE]\n\n",
    "/v1/messages": b'data: {"type":"message_stop"}\n\n',
}


@pytest.fixture(scope="module")
def shared_proxy(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    with Proxy(
        tmp_path_factory.mktemp("proxy"),
        shared_upstream.url,
        queue__parallel=1,
        queue__keepalive_s=KEEPALIVE_S,
        queue__refuse_hopeless=False,
    ) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def hasty(shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The same, and who waits for more than a moment is refused."""
    with Proxy(
        tmp_path_factory.mktemp("proxy"),
        shared_upstream.url,
        queue__parallel=1,
        queue__max_queue=1,
        queue__keepalive_s=KEEPALIVE_S,
        queue__request_timeout_s=TIMEOUT_S,
        queue__refuse_hopeless=False,
    ) as proxy:
        yield proxy


class Answer:
    """One answer as it comes over a connection of its own, without the framing of HTTP."""

    def __init__(self, proxy: Proxy, path: str, **more: Any) -> None:
        body = json.dumps({**BODIES[path], **more})
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {proxy.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        self.socket = socket.create_connection(("127.0.0.1", proxy.port), WAIT_S)
        self._file = self.socket.makefile("rb")
        self.sent_at = monotonic()
        self.socket.sendall((head + body).encode())

    def head(self) -> str:
        """The status line; the rest of the head is read as well."""
        lines = [line.decode() for line in iter(self._file.readline, b"\r\n")]
        return lines[0].strip()

    def chunk(self) -> bytes:
        """The next piece; empty at the end."""
        size = int(self._file.readline(), 16)
        piece = self._file.read(size)
        self._file.readline()
        return piece

    def rest(self) -> bytes:
        return b"".join(iter(self.chunk, b""))

    def close(self) -> None:
        self._file.close()
        self.socket.close()


def is_sign(path: str, chunk: bytes) -> bool:
    if path in SIGNS:
        return chunk == SIGNS[path]
    document = json.loads(chunk)
    text = document["message"]["content"] if path == "/api/chat" else document["response"]
    return (text, document["done"], document["model"]) == ("", False, MODEL)


@pytest.mark.parametrize("path", BODIES)
def test_signs_of_life_come_in_time_then_the_answer(
    path: str, proxy: Proxy, upstream: DemoServer
) -> None:
    with held(proxy, upstream, MODEL) as crowd, closing(Answer(proxy, path)) as answer:
        assert answer.head() == "HTTP/1.1 200 OK"
        for number in range(1, 4):
            assert is_sign(path, answer.chunk())
            waited_s = monotonic() - answer.sent_at
            assert number * KEEPALIVE_S <= waited_s < number * KEEPALIVE_S + SLACK_S
        crowd.let_go()
        said = answer.rest()
    assert b'"code"' not in said
    assert said.endswith(ENDS.get(path, b"\n"))
    (row,) = proxy.rows(f"path = '{path}' AND queue_wait_ms >= {3e3 * KEEPALIVE_S}")[-1:]
    assert (row["outcome"], row["response_status"]) == ("complete", 200)


class Heard:
    """What a client's iterator gives, as it comes; an exception is the last."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._parts: Queue[Any] = Queue()
        self._thread = Thread(target=self._read, args=(ask,))
        self._thread.start()

    def _read(self, ask: Callable[[], Any]) -> None:
        try:
            for part in ask():
                self._parts.put(part)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self._parts.put(error)
        self._parts.put(None)

    def next(self) -> Any:
        return self._parts.get(timeout=WAIT_S)

    def rest(self) -> list[Any]:
        parts = list(iter(self.next, None))
        self._thread.join(WAIT_S)
        return parts


def generated(proxy: Proxy) -> Iterator[tuple[str, bool]]:
    with ollama.Client(proxy.url, headers=proxy.headers(), timeout=WAIT_S) as client:
        for part in client.generate(MODEL, "hi", stream=True):
            yield part.response, bool(part.done)


def chatted(proxy: Proxy) -> Iterator[tuple[str, bool]]:
    with ollama.Client(proxy.url, headers=proxy.headers(), timeout=WAIT_S) as client:
        for part in client.chat(MODEL, CHAT["messages"], stream=True):
            yield part.message.content or "", bool(part.done)


@pytest.mark.parametrize("ask", [generated, chatted])
def test_the_official_client_takes_signs_for_parts_without_text(
    ask: Callable[[Proxy], Iterator[tuple[str, bool]]], proxy: Proxy, upstream: DemoServer
) -> None:
    with held(proxy, upstream, MODEL) as crowd:
        heard = Heard(partial(ask, proxy))
        assert [heard.next() for _ in range(3)] == [("", False)] * 3
        crowd.let_go()
        parts = [part for part in heard.rest() if part != ("", False)]
    assert [is_done for _, is_done in parts] == [False, False, False, True]
    assert all(text for text, is_done in parts if not is_done)


@pytest.mark.parametrize("path", ["chat", "completions", "responses", "messages"])
def test_official_clients_of_the_other_dialects_see_the_answer_alone(
    path: str, proxy: Proxy, upstream: DemoServer
) -> None:
    with held(proxy, upstream, MODEL) as crowd:
        heard = Heard(partial(ASKS[path], proxy))
        wait_until(proxy, MODEL, queued_requests=1)
        # The client has its head, so that at least one sign of life was sent.
        assert heard.next() == "open"
        crowd.let_go()
        parts = heard.rest()
    assert parts[-1] == "closed", parts[-1]
    assert "".join(parts[:-1]).strip()


def chat_texts(proxy: Proxy) -> Iterator[str]:
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.token, max_retries=0) as client:
        stream = client.chat.completions.create(model=MODEL, messages=CHAT["messages"], stream=True)
        yield "open"
        for part in stream:
            yield (part.choices[0].delta.content or "") if part.choices else ""
    yield "closed"


def completion_texts(proxy: Proxy) -> Iterator[str]:
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.token, max_retries=0) as client:
        stream = client.completions.create(model=MODEL, prompt="hi", stream=True)
        yield "open"
        for part in stream:
            yield part.choices[0].text if part.choices else ""
    yield "closed"


def response_texts(proxy: Proxy) -> Iterator[str]:
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.token, max_retries=0) as client:
        stream = client.responses.create(model=MODEL, input="hi", stream=True)
        yield "open"
        for event in stream:
            yield event.delta if event.type == "response.output_text.delta" else ""
    yield "closed"


def message_texts(proxy: Proxy) -> Iterator[str]:
    with (
        anthropic.Anthropic(base_url=proxy.url, api_key=proxy.token, max_retries=0) as client,
        client.messages.stream(model=MODEL, messages=CHAT["messages"], max_tokens=9) as stream,
    ):
        yield "open"
        yield from stream.text_stream
        assert stream.get_final_message().stop_reason is not None
    yield "closed"


ASKS: dict[str, Callable[[Proxy], Iterator[str]]] = {
    "chat": chat_texts,
    "completions": completion_texts,
    "responses": response_texts,
    "messages": message_texts,
}


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (generated, ollama.ResponseError),
        (chat_texts, openai.APIError),
        (completion_texts, openai.APIError),
        (message_texts, anthropic.APIStatusError),
    ],
)
def test_a_wait_that_is_too_long_ends_in_the_error_of_each_client(
    ask: Callable[[Proxy], Iterator[Any]],
    kind: type[Exception],
    hasty: Proxy,
    upstream: DemoServer,
) -> None:
    with held(hasty, upstream, MODEL):
        error = Heard(partial(ask, hasty)).rest()[-1]
    assert isinstance(error, kind), error
    assert "timed out" in str(error) or "timeout" in str(error)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/api/generate", b'{"error":"timeout","code":"timeout",'),
        ("/api/chat", b'{"error":"timeout","code":"timeout",'),
        ("/v1/chat/completions", b'data: {"error":{"message":"Request timed out.'),
        ("/v1/responses", b'event: error\ndata: {"type":"error",'),
        ("/v1/messages", b'event: error\ndata: {"type":"error","error":{'),
    ],
)
def test_the_last_event_of_a_wait_that_was_too_long(
    path: str, told: bytes, hasty: Proxy, upstream: DemoServer
) -> None:
    with held(hasty, upstream, MODEL), closing(Answer(hasty, path)) as answer:
        assert answer.head() == "HTTP/1.1 200 OK"
        chunks = list(iter(answer.chunk, b""))
        taken_s = monotonic() - answer.sent_at
        wait_until(hasty, MODEL, active_requests=1, queued_requests=0)
    assert TIMEOUT_S <= taken_s < TIMEOUT_S + SLACK_S
    assert len(chunks) >= 3
    assert all(is_sign(path, chunk) for chunk in chunks[:-1])
    assert told in chunks[-1]
    assert b'"code":"timeout"' in chunks[-1]
    (row,) = hasty.rows(f"path = '{path}' AND error_code IS NOT NULL")[-1:]
    assert (row["outcome"], row["error_code"]) == ("upstream_failed", "timeout")


def test_a_client_that_does_not_stream_gets_its_status(hasty: Proxy, upstream: DemoServer) -> None:
    with held(hasty, upstream, MODEL), closing(Answer(hasty, "/api/chat", stream=False)) as answer:
        assert answer.head() == "HTTP/1.1 504 Gateway Timeout"


def test_a_full_line_is_still_refused_with_a_status(hasty: Proxy, upstream: DemoServer) -> None:
    with held(hasty, upstream, MODEL), closing(Answer(hasty, "/api/chat")):
        wait_until(hasty, MODEL, active_requests=1, queued_requests=1)
        with closing(Answer(hasty, "/api/chat")) as refused:
            assert refused.head() == "HTTP/1.1 503 Service Unavailable"


def test_whoever_waits_less_than_one_sign_gets_the_upstream_s_status(
    proxy: Proxy, upstream: DemoServer
) -> None:
    with held(proxy, upstream, MODEL) as crowd:
        upstream.script(MODEL, Script.document({"error": "no"}, status=404))
        with closing(Answer(proxy, "/api/chat")) as answer:
            wait_until(proxy, MODEL, active_requests=1, queued_requests=1)
            crowd.let_go()
            assert answer.head() == "HTTP/1.1 404 Not Found"


def test_an_upstream_that_refuses_after_a_sign_ends_in_an_error_event(
    proxy: Proxy, upstream: DemoServer
) -> None:
    with held(proxy, upstream, MODEL) as crowd:
        upstream.script(MODEL, Script.document({"error": "no"}, status=404))
        with closing(Answer(proxy, "/api/chat")) as answer:
            assert answer.head() == "HTTP/1.1 200 OK"
            assert is_sign("/api/chat", answer.chunk())
            crowd.let_go()
            *signs, last = iter(answer.chunk, b"")
    assert all(is_sign("/api/chat", sign) for sign in signs)
    told = json.loads(last)
    assert told["code"] == "upstream_error"
    assert "refused with status 404" in told["message"]


def test_a_client_that_leaves_between_two_signs_leaves_its_place(
    proxy: Proxy, upstream: DemoServer
) -> None:
    with held(proxy, upstream, MODEL):
        with closing(Answer(proxy, "/api/chat")) as answer:
            answer.head()
            assert is_sign("/api/chat", answer.chunk())
            wait_until(proxy, MODEL, active_requests=1, queued_requests=1)
        wait_until(proxy, MODEL, active_requests=1, queued_requests=0)
    assert upstream.requests_to("/api/chat") == []
