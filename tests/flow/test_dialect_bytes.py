"""What the guard has no reason to touch passes as it is: requests in meaning, answers in bytes."""

import json
from collections.abc import Iterator
from itertools import pairwise
from threading import Event
from typing import Any

import pytest

from ogp.demo.script import NDJSON, SSE, Script
from ogp.demo.server import DemoServer
from tests.support.clients import asked_of, last_row
from tests.support.planted import model_forms
from tests.support.proxy import BANNED, Proxy
from tests.support.rich_requests import BIG, RICH

ROUTES = {form.path: form for _, form in model_forms()}
OWN_TEXT = "gr\\u00fc\u00dfe \\ud83d\\ude00 \U0001f469 \\u2028 <&> \u4f60\u597d\\n"
"""Escaped and not, as no serialiser would mix it."""
UNKNOWN = f'"zulu" : [1.50, {BIG}, -0, 1E3, {{"b":null,"a":"\\/"}}], "alpha":true'

TEXT = f'"content":"{OWN_TEXT}"'
LINES = [
    f'{{"model":"m",  "message":{{"role":"assistant",{TEXT}}},{UNKNOWN}}}\n',
    f'{{"response":"{OWN_TEXT}","thinking":"hm","model":"m","done":false}}\r\n',
    '{"message":{"tool_calls":[{"function":{"name":"f","arguments":'
    f'{{"z":1,"a":{BIG}}}}}}}]}}}}\n',
    '{"done":true, "prompt_eval_count":7,"eval_count":9,"context":[1,2]}\n',
]
CHUNKS = [
    ": a comment\n\n",
    f'data: {{"id":"c",  "choices":[{{"index":0,"delta":{{{TEXT}}}}}],{UNKNOWN}}}\n\n',
    'data:{"choices":[{"text":"no space","index":0,"finish_reason":null}]}\r\n\r\n',
    'data: {"choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"function":{"name":"f",'
    '"arguments":"{\\"a\\": \\"\\\\u00fc"}}]}}]}\n\n',
    'data: {"choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\\"}"'
    "}}]}}]}\n\n",
    'data: {"choices":[],\ndata: "usage":{"prompt_tokens":7,"completion_tokens":9}}\n\n',
    "data: [DONE]\n\n",
]
TYPED = [
    'event: response.created\ndata: {"type":"response.created",\ndata: "response":{"id":"r"}}\n\n',
    "event: response.output_text.delta\n"
    f'data: {{"type":"response.output_text.delta","delta":"{OWN_TEXT}",{UNKNOWN}}}\n\n',
    'data: {"type":"response.reasoning_summary_text.delta","delta":"hm"}\r\n\r\n',
    ": ping\n\n",
    'event: response.completed\ndata: {"type":"response.completed","response":{"usage":'
    '{"input_tokens":7,"output_tokens":9}}}\n\n',
]
DELTA = 'event: content_block_delta\ndata: {"type":"content_block_delta","index":'
BLOCKS = [
    'event: message_start\ndata: {"type":"message_start","message":{"id":"msg","content":[],'
    '"usage":{"input_tokens":7,"output_tokens":1}}}\n\n',
    'event: ping\ndata: {"type": "ping"}\n\n',
    'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    '"content_block":{"type":"text","text":""}}\n\n',
    f'{DELTA}0,"delta":{{"type":"text_delta","text":"{OWN_TEXT}"}},{UNKNOWN}}}\n\n',
    DELTA + '1,"delta":{"type":"input_json_delta","partial_json":"{\\"a\\": \\"\\\\u00"}}\r\n\r\n',
    DELTA + '1,"delta":{"type":"input_json_delta","partial_json":"fc\\"}"}}\n\n',
    'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    '"usage":{"output_tokens":9}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
]
STREAMS = {
    "/api/generate": (NDJSON, LINES),
    "/v1/generate": (NDJSON, LINES),
    "/api/chat": (NDJSON, LINES),
    "/v1/chat/completions": (SSE, CHUNKS),
    "/v1/completions": (SSE, CHUNKS),
    "/v1/responses": (SSE, TYPED),
    "/v1/messages": (SSE, BLOCKS),
}
"""By path: type and events."""
DOCUMENT = (
    f' {{"id":"x",\n"choices":[{{"index":0,"message":{{"content":"{OWN_TEXT}"}}}}],\r\n'
    f'"usage":{{"prompt_tokens":7}},"embeddings":[[0.10,-1e-05]],{UNKNOWN}}}\n'
).encode()
ODD_ANSWERS = {
    "a document": Script([DOCUMENT], headers={"Content-Type": "application/json"}),
    "with a length": Script(
        [DOCUMENT], headers={"Content-Type": "application/json"}, framing="length"
    ),
    "until it closes": Script(
        [DOCUMENT[:9], DOCUMENT[9:]], headers={"Content-Type": "application/json"}, framing="close"
    ),
    "an error": Script(
        [b'{ "error" : "no such thing" }'],
        status=404,
        headers={"Content-Type": "application/json"},
        framing="length",
    ),
    "a page": Script(
        [b"<html>\xff\xfe broken</html>"],
        status=500,
        headers={"Content-Type": "text/html"},
        framing="length",
    ),
    "nothing": Script([], headers={"Content-Type": "application/json"}, framing="length"),
}


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
    """A proxy whose guard finds nothing, and one without."""
    return proxy if request.param == "guarded" else unguarded


def request_of(path: str, *, stream: bool) -> dict[str, Any]:
    document = {key: value for key, value in RICH[path].items() if key != "stream"}
    return {**document, "stream": stream} if "stream" in RICH[path] else document


def bytes_of(document: Any) -> bytes:
    """With spaces, and with some characters escaped and others not."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    return text.replace("\u4f60", "\\u4f60").replace("later", "l\\u0061ter").encode()


def ask(proxy: Proxy, path: str, *, stream: bool, piecewise: bool = False) -> Any:
    body = bytes_of(request_of(path, stream=stream))
    return proxy.post(path, data=body, token=proxy.admin_token, stream=piecewise)


@pytest.mark.parametrize("path", RICH)
def test_a_request_reaches_the_server_as_it_was_meant(
    path: str, either: Proxy, upstream: DemoServer
) -> None:
    ask(either, path, stream=False)
    (request,) = asked_of(upstream)
    assert request.path == ROUTES[path].upstream_path
    sent = json.loads(request.body, object_pairs_hook=list)
    meant = json.loads(bytes_of(request_of(path, stream=False)), object_pairs_hook=list)
    assert sent == meant


def test_figures_of_many_digits_keep_each(either: Proxy, upstream: DemoServer) -> None:
    for path in RICH:
        ask(either, path, stream=False)
        assert str(BIG).encode() in asked_of(upstream)[-1].body


def streamed(path: str, size: int) -> Script:
    """The stream of a path in pieces of some size, which need not end where events do."""
    kind, events = STREAMS[path]
    body = "".join(events).encode()
    places = range(size, len(body), size)
    chunks = [body[start:end] for start, end in pairwise((0, *places, len(body)))]
    return Script(chunks, headers={"Content-Type": kind})


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_keeps_every_byte(
    path: str, size: int, either: Proxy, upstream: DemoServer
) -> None:
    script = streamed(path, size)
    upstream.script("demo", script)
    answer = ask(either, path, stream=True)
    assert answer.content == b"".join(script.chunks)
    assert answer.headers["Content-Type"] == script.headers["Content-Type"]
    row = last_row(either)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (7, 9)
    assert row["response_bytes"] == len(answer.content)
    assert row["outcome"] == "complete"


@pytest.mark.parametrize("sent", [1, 2, 3, 4])
@pytest.mark.parametrize("path", STREAMS)
def test_without_a_guard_no_chunk_waits_for_the_next(
    path: str, sent: int, unguarded: Proxy, upstream: DemoServer
) -> None:
    hold = Event()
    whole = streamed(path, 50)
    upstream.script("demo", Script(whole.chunks, headers=whole.headers, hold_after=(sent, hold)))
    expected = b"".join(whole.chunks[:sent])
    with ask(unguarded, path, stream=True, piecewise=True) as answer:
        got = b""
        for piece in answer.iter_content(None):
            got += piece
            if len(got) >= len(expected) and not hold.is_set():
                assert got == expected
                hold.set()
    assert got == b"".join(whole.chunks)


@pytest.mark.parametrize("name", ODD_ANSWERS)
@pytest.mark.parametrize("path", RICH)
def test_an_answer_in_one_piece_keeps_every_byte(
    path: str, name: str, either: Proxy, upstream: DemoServer
) -> None:
    script = ODD_ANSWERS[name]
    upstream.script(ROUTES[path].upstream_path, script)
    answer = ask(either, path, stream=False)
    assert answer.content == b"".join(script.chunks)
    assert answer.status_code == script.status
    assert BANNED not in answer.text
