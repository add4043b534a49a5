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
