from typing import Any

import falcon
import pytest

from ogp.core.errors import (
    ClientGoneError,
    GatewayError,
    NoUpstreamError,
    QueueFullError,
    UpstreamError,
)
from ogp.core.types import Outcome
from ogp.http.errors import from_falcon
from tests.support.edge import ALICE, Edge
from tests.support.stages import Stages

CHAT = {"model": "demo", "messages": [{"role": "user", "content": "hi"}]}


def refuse(error: Exception) -> Edge:
    return Edge(Stages(refuse={"candidates": error}))


def test_a_refusal_is_answered_in_the_callers_dialect() -> None:
    answer = refuse(NoUpstreamError("none", model="demo")).post("/api/chat", CHAT)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json["code"] == "no_upstream"
    assert answer.json["model"] == "demo"


def test_refusals_that_time_may_mend_say_when_to_come_back() -> None:
    answer = refuse(QueueFullError("demo")).post("/api/chat", CHAT)
    assert answer.headers["Retry-After"] == "2"
    assert answer.json["error"] == "queue_full"


def test_refusals_that_time_will_not_mend_do_not() -> None:
    assert "Retry-After" not in Edge().post("/api/chat", {"model": 7}).headers


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UpstreamError("down"), Outcome.UPSTREAM_FAILED),
        (ClientGoneError("gone"), Outcome.CLIENT_CLOSED),
        (GatewayError("odd"), Outcome.COMPLETE),
    ],
)
def test_the_record_tells_refusals_apart(error: GatewayError, outcome: Outcome) -> None:
    edge = refuse(error)
    edge.post("/api/chat", CHAT)
    ((record, _),) = edge.audit.finished
    assert record.outcome is outcome
    assert (record.error_code, record.error_message) == (error.code, error.message)
    assert record.response_status == error.status


def test_a_path_that_does_not_exist_is_404_and_recorded() -> None:
    edge = Edge()
    answer = edge.get("/api/unknown", ALICE)
    assert answer.status_code == 404
    assert answer.json["code"] == "not_found"
    assert edge.audit.finished[0][0].path == "/api/unknown"


def test_a_wrong_method_is_405_and_says_which_are_right() -> None:
    answer = Edge().get("/api/chat", ALICE)
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert "POST" in answer.json["message"]


def test_a_bug_is_500_and_tells_the_client_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Edge().get("/bug")
    assert answer.status_code == 500
    assert answer.json["message"] == "Internal server error"
    assert "the whole prompt" not in answer.text


def test_falcons_own_refusals_take_our_form() -> None:
    error = from_falcon(falcon.HTTPInvalidHeader("not a date", "If-Modified-Since"))
    assert (error.status, error.code) == (400, "invalid_request")
    assert "If-Modified-Since" in error.message


def test_a_refusal_of_falcons_without_headers_is_understood() -> None:
    assert from_falcon(falcon.HTTPError(405)).message == "This endpoint takes other methods."
    assert from_falcon(falcon.HTTPError(418)).message == "418 I'm a teapot"


def shape_of(body: Any) -> str:
    """Whose clients read it."""
    if body.get("type") == "error":
        return "anthropic"
    return "openai" if isinstance(body["error"], dict) else "ollama"


@pytest.mark.parametrize(
    ("path", "status", "shape"),
    [
        ("/api/chat", 401, "ollama"),
        ("/v1/generate", 401, "ollama"),
        ("/v1/systemone", 401, "ollama"),
        ("/v1/chat/completions", 401, "openai"),
        ("/v1/models/a/b", 401, "openai"),
        ("/v1/responses", 401, "openai"),
        ("/v1/messages", 401, "anthropic"),
        ("/v1/nothing", 404, "openai"),
        ("/v1/messages/nothing", 404, "anthropic"),
        ("/api/nothing", 404, "ollama"),
        ("/nothing", 404, "ollama"),
        ("//v1/messages", 404, "anthropic"),
    ],
)
def test_who_is_refused_before_the_resource_is_answered_in_his_dialect(
    path: str, status: int, shape: str
) -> None:
    answer = Edge().post(path, {}, headers={})
    assert (answer.status_code, shape_of(answer.json)) == (status, shape)


@pytest.mark.parametrize(
    ("path", "shape"),
    [("/api/chat", "ollama"), ("/v1/generate", "ollama"), ("/v1/messages", "anthropic"),
     ("/v1/embeddings", "openai"), ("/v1/unknown", "openai")],
)  # fmt: skip
def test_addresses_kept_out_are_told_in_their_dialect(path: str, shape: str) -> None:
    answer = Edge(access={"ip_filter_enabled": True, "ip_deny": "127.0.0.0/8"}).post(path, {})
    assert (answer.status_code, shape_of(answer.json)) == (403, shape)


def test_anthropics_errors_repeat_the_requests_id() -> None:
    answer = Edge().post("/v1/messages", {}, headers={**ALICE, "X-Request-ID": "r-7"})
    assert (answer.json["request_id"], answer.headers["X-Request-ID"]) == ("r-7", "r-7")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_clients_that_repeat_by_themselves_are_told_where_it_is_useless(path: str) -> None:
    edge = Edge()
    assert edge.post(path, {"model": 7}).headers["x-should-retry"] == "false"
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
    answer = refuse(QueueFullError("m")).post(path, {**body, "input": "x"})
    assert (answer.status_code, "x-should-retry" in answer.headers) == (503, False)
    assert answer.headers["Retry-After"] == "2"


def test_ollamas_clients_need_no_such_word() -> None:
    assert "x-should-retry" not in Edge().post("/api/chat", {"model": 7}).headers
