"""Tokens are recorded as the server counted them, whatever the dialect and however it ended."""

import json
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from ogp.demo.script import NDJSON, SSE, Script
from ogp.demo.server import DemoServer
from tests.support.answered import FORMS, framed
from tests.support.clients import last_row
from tests.support.planted import minimal
from tests.support.proxy import BANNED, WAIT_S, Proxy

Counts = tuple[int | None, int | None]
NONE: Counts = (None, None)
OPENAI = {"usage": {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}}
RESPONSES = {"usage": {"input_tokens": 7, "output_tokens": 9}}
DOCUMENTS: dict[str, tuple[dict[str, Any], Counts]] = {
    "/api/generate": ({"response": "x", "prompt_eval_count": 7, "eval_count": 9}, (7, 9)),
    "/v1/generate": ({"done": True, "prompt_eval_count": 7, "eval_count": 9}, (7, 9)),
    "/api/chat": ({"message": {}, "prompt_eval_count": 7, "eval_count": 9}, (7, 9)),
    "/api/embed": ({"embeddings": [[0.5]], "prompt_eval_count": 7}, (7, None)),
    "/api/embeddings": ({"embedding": [0.5]}, NONE),
    "/v1/chat/completions": ({"choices": [], **OPENAI}, (7, 9)),
    "/v1/completions": ({"choices": [], **OPENAI}, (7, 9)),
    "/v1/embeddings": ({"data": [], "usage": {"prompt_tokens": 7, "total_tokens": 7}}, (7, None)),
    "/v1/responses": ({"object": "response", **RESPONSES}, (7, 9)),
    "/v1/messages": (
        {
            "type": "message",
            "usage": {
                "input_tokens": 2,
                "cache_read_input_tokens": 4,
                "cache_creation_input_tokens": 1,
                "output_tokens": 9,
            },
        },
        (7, 9),
    ),
    "/v1/messages/count_tokens": ({"input_tokens": 7}, NONE),
}
"""By path: an answer, and what is recorded."""


def chat(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}}]}


def delta(text: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "output_index": 0, "delta": text}


def block(text: str) -> dict[str, Any]:
    return {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": text},
    }


LONG = "all is well with us, as it always was and ever will be; " * 8
"""More than the guard holds back."""
BEGUN = {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}}
STREAMS: dict[str, tuple[str, list[dict[str, Any]], Counts, Counts]] = {
    "ollama": (
        "/api/chat",
        [
            *[{"message": {"content": LONG}, "done": False}] * 2,
            {"message": {"content": ""}, "done": True, "prompt_eval_count": 7, "eval_count": 9},
        ],
        NONE,
        (7, 9),
    ),
    "openai": (
        "/v1/chat/completions",
        [*[chat(LONG)] * 2, {"choices": [], **OPENAI}],
        NONE,
        (7, 9),
    ),
    "openai, counts in each chunk": (
        "/v1/chat/completions",
        [
            *[{**chat(LONG), "usage": {"prompt_tokens": 7, "completion_tokens": 1}}] * 2,
            {"choices": [], **OPENAI},
        ],
        (7, 1),
        (7, 9),
    ),
    "openai, not counted": ("/v1/completions", [*[chat(LONG)] * 2, chat("x")], NONE, NONE),
    "responses": (
        "/v1/responses",
        [*[delta(LONG)] * 2, {"type": "response.completed", "response": RESPONSES}],
        NONE,
        (7, 9),
    ),
    "responses, incomplete": (
        "/v1/responses",
        [*[delta(LONG)] * 2, {"type": "response.incomplete", "response": RESPONSES}],
        NONE,
        (7, 9),
    ),
    "anthropic": (
        "/v1/messages",
        [
            BEGUN,
            *[block(LONG)] * 2,
            {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9}},
        ],
        (7, 1),
        (7, 9),
    ),
}
"""Path, events, what is known before the last one, and with it."""


@pytest.fixture(scope="module")
def unguarded(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    with Proxy(
        tmp_path_factory.mktemp("unguarded"),
        shared_upstream.url,
        guard__input_enabled="false",
        guard__output_enabled="false",
    ) as proxy:
        yield proxy


@pytest.fixture(params=["guarded", "unguarded"])
def either(request: pytest.FixtureRequest, proxy: Proxy, unguarded: Proxy) -> Proxy:
    return proxy if request.param == "guarded" else unguarded


def script(path: str, events: list[dict[str, Any]], **options: Any) -> Script:
    kind = NDJSON if FORMS[path][0] == "ollama" else SSE
    chunks = [framed(FORMS[path][0], event) for event in events]
    return Script(chunks, headers={"Content-Type": kind}, **options)


def ask(proxy: Proxy, path: str, **options: Any) -> Any:
    return proxy.post(path, {**minimal(FORMS[path][1]), "stream": True}, **options)


def recorded(proxy: Proxy) -> Counts:
    row = last_row(proxy)
    return row["prompt_tokens"], row["completion_tokens"]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_tells_its_tokens(path: str, either: Proxy, upstream: DemoServer) -> None:
    document, counts = DOCUMENTS[path]
    upstream.script(FORMS[path][1].upstream_path, Script.document(document))
    body = minimal(FORMS[path][1])
    assert either.post(path, {**body, "stream": False}).status_code == 200
    assert recorded(either) == counts


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_tells_its_tokens(name: str, either: Proxy, upstream: DemoServer) -> None:
    path, events, _, counts = STREAMS[name]
    upstream.script("demo", script(path, events))
    assert ask(either, path).status_code == 200
    assert recorded(either) == counts


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_breaks_tells_what_came(
    name: str, either: Proxy, upstream: DemoServer
) -> None:
    path, events, before, _ = STREAMS[name]
    upstream.script("demo", script(path, events[:-1], end="close"))
    ask(either, path)
    assert last_row(either)["outcome"] == "upstream_failed"
    assert recorded(either) == before


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_is_blocked_tells_what_came(
    name: str, proxy: Proxy, upstream: DemoServer
) -> None:
    path, events, before, _ = STREAMS[name]
    bad = json.loads(json.dumps(events[-2]).replace(LONG, BANNED))
    upstream.script("demo", script(path, [*events[:-1], bad, events[-1]]))
    ask(proxy, path)
    assert last_row(proxy)["outcome"] == "blocked_mid_stream"
    assert recorded(proxy) == before


@pytest.mark.parametrize("name", STREAMS)
def test_a_client_that_leaves_leaves_what_came(
    name: str, either: Proxy, upstream: DemoServer
) -> None:
    path, events, before, _ = STREAMS[name]
    upstream.script("demo", script(path, events, hold_after=(len(events) - 1, Event())))
    with ask(either, path, stream=True) as answer:
        seen, pieces = b"", answer.iter_content(None)
        while LONG.encode() not in seen:
            seen += next(pieces)
    assert upstream.wait_for(lambda: upstream.disconnects, WAIT_S)
    assert last_row(either)["outcome"] == "client_closed"
    assert recorded(either) == before


@pytest.mark.parametrize("count", [-1, 2**60, "9", 1.5, True, None])
def test_nonsense_is_no_count(count: Any, either: Proxy, upstream: DemoServer) -> None:
    usage = {"prompt_tokens": count, "completion_tokens": 9}
    upstream.script("demo", script("/v1/chat/completions", [{"choices": [], "usage": usage}]))
    assert ask(either, "/v1/chat/completions").status_code == 200
    assert recorded(either) == (None, 9)
