"""The clients of npm, `ollama` and `openai`, work through the proxy as they do without it."""

from collections.abc import Iterator
from typing import Any

import pytest

from ogp.demo.server import DemoServer
from tests.support.foreign_client import LEAKS, Compared, compare
from tests.support.proxy import BANNED, Proxy


@pytest.fixture(scope="module")
def twin() -> Iterator[DemoServer]:
    """What a client says to it it says without a proxy."""
    with DemoServer() as server:
        yield server


@pytest.fixture(scope="module")
def ollama(shared_proxy: Proxy, shared_upstream: DemoServer, twin: DemoServer) -> Compared:
    return compare("ollama_calls.mjs", shared_proxy, shared_upstream, twin)


@pytest.fixture(scope="module")
def openai(shared_proxy: Proxy, shared_upstream: DemoServer, twin: DemoServer) -> Compared:
    return compare("openai_calls.mjs", shared_proxy, shared_upstream, twin)


@pytest.fixture(params=["ollama", "openai"])
def both(request: pytest.FixtureRequest) -> Compared:
    compared = request.getfixturevalue(request.param)
    assert isinstance(compared, Compared)
    return compared


def test_every_call_gives_what_the_server_itself_gives(both: Compared) -> None:
    assert both.differing() == {}


def test_the_server_gets_what_the_client_sent(both: Compared) -> None:
    same = both.proxied_requests[: len(both.direct_requests)]
    assert same == both.direct_requests


def test_nothing_that_is_banned_goes_to_the_server(both: Compared) -> None:
    more = both.proxied_requests[len(both.direct_requests) :]
    assert {request[2]["model"] for request in more} <= {"cut", *LEAKS}
    assert BANNED not in str(both.proxied_requests)


POSTED = ("generate", "chat", "embed", "embeddings", "show", "pull", "push", "create", "copy")
OLLAMA_ROUTES = {
    *(("POST", f"/api/{name}") for name in POSTED),
    *(("GET", f"/api/{name}") for name in ("tags", "ps", "version")),
    ("DELETE", "/api/delete"),
}
OPENAI_ROUTES = {
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/responses"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/demo"),
}


def test_ollama_calls_every_route_it_knows(ollama: Compared) -> None:
    assert {request[:2] for request in ollama.proxied_requests} == OLLAMA_ROUTES


def test_openai_calls_every_route_that_is_here(openai: Compared) -> None:
    assert {request[:2] for request in openai.proxied_requests} >= OPENAI_ROUTES


@pytest.mark.parametrize(
    ("call", "error", "status"),
    [
        ("a model that is not there", "ResponseError", 404),
        ("a model that is not there, streamed", "ResponseError", 404),
        ("deleting what is not there", "ResponseError", 404),
        ("a busy server", "ResponseError", 503),
        ("an error in the stream", "Error", None),
        ("an answer that breaks off", "Error", None),
        ("abort of one stream", "AbortError", None),
        ("abort of all streams", "AbortError", None),
        ("a wrong token", "ResponseError", 401),
        ("a wrong token, streamed", "ResponseError", 401),
        ("a user who pulls", "ResponseError", 403),
        ("a user who deletes", "ResponseError", 403),
        ("a banned prompt", "ResponseError", 403),
        ("a banned prompt, streamed", "ResponseError", 403),
        ("a banned text to embed", "ResponseError", 403),
        ("a banned answer", "ResponseError", 403),
        ("a banned answer, streamed", "Error", None),
    ],
)
def test_errors_of_ollama_have_the_right_class(
    ollama: Compared, call: str, error: str, status: int | None
) -> None:
    outcome = ollama.proxied[call]
    assert (outcome["error"], outcome["status"]) == (error, status)


@pytest.mark.parametrize(
    ("call", "error", "code"),
    [
        ("a model that is not there", "NotFoundError", None),
        ("a model that is not there, streamed", "NotFoundError", None),
        ("a model that is not there, looked up", "NotFoundError", None),
        ("a model with a slash, looked up", "NotFoundError", None),
        ("a request without messages", "BadRequestError", None),
        ("a server's error", "InternalServerError", None),
        ("a wrong token", "AuthenticationError", "unauthorized"),
        ("a field of the wrong kind", "BadRequestError", "invalid_request"),
        ("sound, which nobody can scan", "PermissionDeniedError", "forbidden"),
        ("a banned prompt", "PermissionDeniedError", "prompt_blocked"),
        ("a banned prompt, streamed", "PermissionDeniedError", "prompt_blocked"),
        ("a banned prompt, completion", "PermissionDeniedError", "prompt_blocked"),
        ("a banned text to embed", "PermissionDeniedError", "prompt_blocked"),
        ("a banned prompt, response", "PermissionDeniedError", "prompt_blocked"),
        ("a banned answer, whole", "PermissionDeniedError", "response_blocked"),
        ("a banned answer, by the parser", "ContentFilterFinishReasonError", None),
    ],
)
def test_errors_of_openai_have_the_right_class(
    openai: Compared, call: str, error: str, code: str | None
) -> None:
    outcome = openai.proxied[call]
    assert (outcome["error"], outcome["code"]) == (error, code)


def test_no_other_call_fails(ollama: Compared, openai: Compared) -> None:
    failed = [name for side in (ollama, openai) for name in side.failed()]
    tested = [
        mark.args[1]
        for test in (
            test_errors_of_ollama_have_the_right_class,
            test_errors_of_openai_have_the_right_class,
        )
        for mark in test.pytestmark  # type: ignore[attr-defined]
    ]
    assert sorted(failed) == sorted(case[0] for cases in tested for case in cases)


@pytest.mark.parametrize(
    ("call", "ending"),
    [
        ("a banned answer, streamed", {"choices": [{"finish_reason": "content_filter"}]}),
        ("a banned completion, streamed", {"choices": [{"finish_reason": "content_filter"}]}),
        (
            "a banned response, streamed",
            {
                "type": "response.incomplete",
                "response": {"incomplete_details": {"reason": "content_filter"}},
            },
        ),
    ],
)
def test_a_block_in_the_stream_of_openai_is_its_last_part(
    openai: Compared, call: str, ending: Any
) -> None:
    assert holds(openai.proxied[call]["value"][-1], ending)


def holds(value: Any, part: Any) -> bool:
    """Whether a document has at least these entries."""
    if isinstance(part, dict):
        return all(holds(value.get(key), item) for key, item in part.items())
    if isinstance(part, list):
        return len(value) == len(part) and all(map(holds, value, part))
    return bool(value == part)


def test_no_part_of_what_is_banned_is_seen(both: Compared) -> None:
    words = BANNED.split()
    assert [word for word in words if word in str(both.proxied)] == []


def test_an_abort_ends_the_work_of_the_server(ollama: Compared, openai: Compared) -> None:
    left = [(gone.model, gone.path) for side in (ollama, openai) for gone in side.disconnects]
    assert left == [
        ("hang-decode-after-20", path)
        for path in ("/api/chat", "/api/generate", "/v1/chat/completions")
    ]
