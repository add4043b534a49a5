"""Every refusal is in the words of the dialect that was asked, and never a 5xx for bad input."""

import json
from collections.abc import Iterator
from threading import Event, Thread
from time import monotonic
from typing import Any

import anthropic
import ollama
import openai
import pytest
import requests

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.answered import FORMS
from tests.support.clients import ask_anthropic, ask_openai, asked_of
from tests.support.planted import minimal
from tests.support.proxy import BANNED, WAIT_S, Proxy

ASK: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def narrow(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """One runs, nobody waits, and for no answer longer than a moment."""
    with Proxy(
        tmp_path_factory.mktemp("narrow"),
        shared_upstream.url,
        queue__parallel=1,
        queue__max_queue=0,
        queue__request_timeout_s=1.0,
    ) as proxy:
        yield proxy


@pytest.fixture
def busy(narrow: Proxy, upstream: DemoServer) -> Iterator[Proxy]:
    """A proxy whose one slot of the model is taken."""
    release = Event()
    upstream.script("demo", Script.chat("x", hold_after=(1, release)))
    thread = Thread(target=narrow.post, args=("/api/chat", {"model": "demo", "messages": ASK}))
    thread.start()
    try:
        assert upstream.wait_for(lambda: upstream.active("demo") == 1, WAIT_S)
        yield narrow
    finally:
        release.set()
        thread.join(WAIT_S)


def error_of(path: str, answer: requests.Response) -> dict[str, Any]:
    """The error where clients of the path look for it; its `kind` is what they go by."""
    body = answer.json()
    assert answer.headers["Content-Type"].startswith("application/json")
    dialect = FORMS[path][0]
    if dialect == "ollama":
        assert isinstance(body["error"], str)
        return {"kind": "", **body}
    error = body["error"]
    assert isinstance(error["message"], str)
    if dialect == "anthropic":
        assert body["type"] == "error"
        assert body["request_id"] == answer.headers["X-Request-ID"]
    else:
        assert error["param"] is None
    return {"kind": error["type"], **error}


OPENAI = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    502: "api_error",
    503: "api_error",
}
KINDS = {
    "openai": OPENAI,
    "openai_responses": OPENAI,
    "anthropic": {
        **OPENAI,
        405: "invalid_request_error",
        413: "request_too_large",
        503: "overloaded_error",
    },
}


def check(path: str, answer: requests.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    error = error_of(path, answer)
    assert error["code"] == code
    dialect = FORMS[path][0]
    if dialect != "ollama" and not code.endswith("_blocked"):
        assert error["kind"] == KINDS[dialect][status]
    told = answer.headers.get("x-should-retry")
    can_get_better = status >= 502 or dialect == "ollama"
    assert told == (None if can_get_better else "false")


@pytest.mark.parametrize("path", FORMS)
def test_refusals_before_the_body_is_read(path: str, proxy: Proxy, upstream: DemoServer) -> None:
    url = proxy.url + path
    check(path, requests.post(url, json={}, timeout=WAIT_S), 401, "unauthorized")
    check(path, proxy.get(path), 405, "method_not_allowed")
    answer = proxy.post(path, {}, headers={"Content-Encoding": "br"})
    check(path, answer, 415, "unsupported_encoding")
    assert asked_of(upstream) == []


BAD_BODIES = {
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "null": b"null",
    "no model": b"{}",
    "NaN": b'{"model":"demo","options":NaN}',
    "twice": b'{"model":"demo","MODEL":"x"}',
    "bytes": b'{"model":"\xff"}',
    "deep": b'{"model":"demo","x":' + b"[" * 200 + b"]" * 200 + b"}",
    "half a character": b'{"model":"demo","x":"\\ud800"}',
    "wrong types": b'{"model":"demo","messages":5,"prompt":5,"input":5}',
    "strange model": b'{"model":"../../etc"}',
    "a page": b"<html>",
    "huge number": b'{"model":"demo","x":1' + b"0" * 5000 + b"}",
}


@pytest.mark.parametrize("name", BAD_BODIES)
@pytest.mark.parametrize("path", FORMS)
def test_bad_input_is_a_400(path: str, name: str, proxy: Proxy, upstream: DemoServer) -> None:
    check(path, proxy.post(path, data=BAD_BODIES[name]), 400, "invalid_request")
    assert asked_of(upstream) == []


@pytest.mark.parametrize("path", FORMS)
def test_a_long_prompt_is_a_413(path: str, proxy: Proxy) -> None:
    body = json.dumps(minimal(FORMS[path][1])).replace('"hi"', json.dumps("word " * 30_000))
    check(path, proxy.post(path, data=body.encode()), 413, "too_large")


@pytest.mark.parametrize("path", FORMS)
def test_a_block_is_a_403(path: str, proxy: Proxy) -> None:
    body = json.dumps(minimal(FORMS[path][1])).replace('"hi"', json.dumps(BANNED))
    answer = proxy.post(path, data=body.encode())
    check(path, answer, 403, "prompt_blocked")
    error = error_of(path, answer)
    assert error["details"]["scanners"]["ban_substrings"]["passed"] is False


@pytest.mark.parametrize("path", FORMS)
def test_a_server_that_breaks_is_a_502(path: str, proxy: Proxy, upstream: DemoServer) -> None:
    upstream.script(FORMS[path][1].upstream_path, Script(framing="raw", end="close"))
    check(path, proxy.post(path, minimal(FORMS[path][1])), 502, "upstream_error")


@pytest.mark.parametrize("path", [path for path in FORMS if FORMS[path][1].queued])
def test_a_full_queue_is_a_503(path: str, busy: Proxy) -> None:
    answer = busy.post(path, minimal(FORMS[path][1]))
    check(path, answer, 503, "queue_full")
    assert int(answer.headers["Retry-After"]) >= 1
    assert error_of(path, answer)["model"] == "demo"


def test_a_full_queue_as_the_official_clients_see_it(busy: Proxy) -> None:
    rows = len(busy.rows())
    started = monotonic()
    with pytest.raises(openai.InternalServerError) as one:
        ask_openai(
            busy.url,
            busy.token,
            lambda c: c.chat.completions.create(model="demo", messages=ASK),
            max_retries=1,
        )
    assert one.value.code == "queue_full"
    # It comes back once, when it was told to.
    assert 0.9 < monotonic() - started < WAIT_S
    assert len(busy.rows()) == rows + 2
    with pytest.raises(anthropic.InternalServerError) as other:
        ask_anthropic(
            busy.url,
            busy.token,
            lambda c: c.messages.create(model="demo", messages=ASK, max_tokens=9),
        )
    assert other.value.status_code == 503
    with (
        ollama.Client(busy.url, headers=busy.headers()) as client,
        pytest.raises(ollama.ResponseError, match="queue_full"),
    ):
        client.chat("demo", ASK)


def test_a_server_that_stays_silent_is_asked_once(narrow: Proxy, upstream: DemoServer) -> None:
    upstream.script("demo", Script(hold_before_head=Event()))
    calls: Any = (
        (ask_openai, lambda c: c.chat.completions.create(model="demo", messages=ASK)),
        (ask_anthropic, lambda c: c.messages.create(model="demo", messages=ASK, max_tokens=9)),
    )
    for ask, call in calls:
        with pytest.raises((openai.InternalServerError, anthropic.InternalServerError)) as raised:
            ask(narrow.url, narrow.token, call, max_retries=2)
        error: Any = raised.value
        assert error.status_code == 504
    assert len(asked_of(upstream)) == 2


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/messages/batches", "anthropic"),
        ("/v1/files", "openai"),
        ("/v1/responses/resp_1", "openai"),
        ("/api/me", "ollama"),
        ("/nothing", "ollama"),
    ],
)
def test_a_path_that_does_not_exist_is_answered_in_the_nearest_dialect(
    path: str, kind: str, proxy: Proxy, upstream: DemoServer
) -> None:
    answer = proxy.post(path, {})
    assert answer.status_code in (403, 404)
    body = answer.json()
    found = "ollama" if isinstance(body["error"], str) else body.get("type", "openai")
    assert found.replace("error", "anthropic") == kind
    assert asked_of(upstream) == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 429, 500, 503, 529])
@pytest.mark.parametrize("path", FORMS)
def test_errors_of_the_server_pass_as_they_are(
    path: str, status: int, proxy: Proxy, upstream: DemoServer
) -> None:
    document = {"type": "error", "error": {"type": "odd", "message": "so it is"}}
    headers = {"Content-Type": "application/json", "Retry-After": "7"}
    script = Script.document(document, status=status, headers=headers)
    upstream.script(FORMS[path][1].upstream_path, script)
    answer = proxy.post(path, {**minimal(FORMS[path][1]), "stream": False})
    assert (answer.status_code, answer.content) == (status, script.chunks[0])
    assert answer.headers["Retry-After"] == "7"
