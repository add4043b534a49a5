"""litellm and langchain-ollama work through the proxy as they do without it.

They run in an environment of their own, as they need other versions than the proxy and its tests.
"""

from collections.abc import Iterator

import pytest

from ogp.demo.server import DemoServer
from tests.support.foreign_client import LEAKS, Compared, compare
from tests.support.proxy import BANNED, Proxy

UNSENT = "/api/show"
"""litellm asks it without a key, and does without an answer."""


@pytest.fixture(scope="module")
def twin() -> Iterator[DemoServer]:
    """What a client says to it it says without a proxy."""
    with DemoServer() as server:
        yield server


@pytest.fixture(scope="module")
def litellm(shared_proxy: Proxy, shared_upstream: DemoServer, twin: DemoServer) -> Compared:
    return compare("litellm_calls.py", shared_proxy, shared_upstream, twin)


@pytest.fixture(scope="module")
def langchain(shared_proxy: Proxy, shared_upstream: DemoServer, twin: DemoServer) -> Compared:
    return compare("langchain_calls.py", shared_proxy, shared_upstream, twin)


@pytest.fixture(params=["litellm", "langchain"])
def both(request: pytest.FixtureRequest) -> Compared:
    compared = request.getfixturevalue(request.param)
    assert isinstance(compared, Compared)
    return compared


def test_every_call_gives_what_the_server_itself_gives(both: Compared) -> None:
    assert both.differing() == {}


def test_the_server_gets_what_the_client_sent(both: Compared) -> None:
    sent = [request for request in both.direct_requests if request[1] != UNSENT]
    assert both.proxied_requests[: len(sent)] == sent
    assert {request[2]["model"] for request in both.proxied_requests[len(sent) :]} <= set(LEAKS)
    assert BANNED not in str(both.proxied_requests)


def test_no_part_of_what_is_banned_is_seen(both: Compared) -> None:
    assert [word for word in BANNED.split() if word in str(both.proxied)] == []


@pytest.mark.parametrize(
    ("call", "error", "status"),
    [
        ("not there", "ResponseError", 404),
        ("wrong token", "ResponseError", 401),
        ("banned prompt", "ResponseError", 403),
        ("banned prompt, streamed", "ResponseError", 403),
        ("banned prompt, completion", "ResponseError", 403),
        ("banned text to embed", "ResponseError", 403),
        ("banned answer", "ResponseError", -1),
    ],
)
def test_errors_of_langchain_are_those_of_ollamas_client(
    langchain: Compared, call: str, error: str, status: int
) -> None:
    outcome = langchain.proxied[call]
    assert (outcome["error"], outcome["status"]) == (error, status)


@pytest.mark.parametrize("provider", ["ollama", "ollama_chat", "openai", "anthropic"])
@pytest.mark.parametrize(
    ("call", "error", "status"),
    [
        ("not there", "NotFoundError", 404),
        ("wrong token", "AuthenticationError", 401),
        ("banned prompt", "PermissionDeniedError", 403),
        ("banned prompt, streamed", "PermissionDeniedError", 403),
    ],
)
def test_errors_of_litellm_are_the_right_ones(
    litellm: Compared, provider: str, call: str, error: str, status: int
) -> None:
    outcome = litellm.proxied[f"{provider}, {call}"]
    if provider == "openai" and status == 403:
        error = "APIError"  # that provider has no class of its own for 403
    assert (outcome["error"], outcome["status"]) == (error, status)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_litellm_knows_an_answer_that_was_cut_off_by_the_guard(
    litellm: Compared, provider: str
) -> None:
    parts = litellm.proxied[f"{provider}, banned answer"]["value"]
    reasons = [part["choices"][0]["finish_reason"] for part in parts if part["choices"]]
    assert reasons[-1] == "content_filter"


def test_litellm_raises_where_ollama_tells_of_a_block_in_the_stream(litellm: Compared) -> None:
    assert litellm.proxied["ollama_chat, banned answer"]["error"] == "MidStreamFallbackError"


def test_litellm_tells_ollama_no_key_where_it_wants_embeddings(litellm: Compared) -> None:
    assert litellm.proxied["ollama, embeddings"]["error"] == "AuthenticationError"


def test_no_other_call_fails(litellm: Compared, langchain: Compared) -> None:
    told = ("not there", "wrong token", "banned", "ollama, embeddings", "error in the stream")
    failed = {*litellm.failed(), *langchain.failed()}
    assert [name for name in failed if not any(part in name for part in told)] == []
