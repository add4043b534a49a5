from contextlib import nullcontext
from typing import Any

import orjson
import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import UpstreamError
from ogp.core.types import Route, UpstreamResponse
from ogp.routing.fleet import Fleet
from ogp.routing.merged import MergedUpstreams, merged
from ogp.routing.plan import Known, ServerState
from ogp.settings.schema import Settings
from ogp.state.server_states import MemoryServerBook
from tests.support.fleet import known, request_for
from tests.support.stages import ROUTE, Stages, make_exchange

SERVERS = [
    known("a", {"m": 1, "n": 2}, "m", priority=2),
    known("b", {"n": 3}, "n", place=1),
    known("away", {"o": 1}, "o", is_up=False, place=2),
    known("off", {"p": 1}, "p", state=ServerState.DISABLED, place=3),
    known("silent", place=4),
]


def names(operation: str, servers: list[Known] | None = None) -> list[str]:
    document = merged(operation, SERVERS if servers is None else servers)
    return [entry["name"] for entry in document["models"]]


def test_every_model_is_listed_once_in_the_words_of_the_preferred_server() -> None:
    document = merged("tags", SERVERS)
    assert [entry["name"] for entry in document["models"]] == ["n", "m", "o"]
    assert document["models"][0] is SERVERS[1].listing.installed["n"].entry  # type: ignore[union-attr]  # listed


def test_models_in_memory_are_those_of_servers_that_are_up() -> None:
    assert names("ps") == ["m", "n"]


def test_openais_listing_has_openais_shape() -> None:
    entry = {"name": "user/m:7b", "modified_at": "2026-01-01T00:00:01.123456789+01:00"}
    server = known("a", {"m": 1})
    assert server.listing is not None
    model = server.listing.installed["m"]
    object.__setattr__(model, "entry", entry)
    assert merged("models", [server]) == {
        "object": "list",
        "data": [{"id": "user/m:7b", "object": "model", "created": 1767222001, "owned_by": "user"}],
    }


@pytest.mark.parametrize("time", ["never", None, 7, "9999-12-31T23:59:59-23:59"])
def test_a_time_that_is_none_is_long_ago(time: Any) -> None:
    server = known("a", {"m": 1})
    assert server.listing is not None
    entry = {"model": "m", "modified_at": time}
    object.__setattr__(server.listing.installed["m"], "entry", entry)
    (found,) = merged("models", [server])["data"]
    assert found["created"] in (0, 253402387139)
    assert found["owned_by"] == "library"


def make_upstreams(stages: Stages) -> MergedUpstreams:
    entries = {"servers": {"a": {"host": "a"}, "b": {"host": "b"}}}
    fleet = Fleet(Settings.model_validate(entries), MemoryServerBook(), SystemClock())
    return MergedUpstreams(stages, fleet.router.knowledge)


@pytest.mark.parametrize(("method", "chunks"), [("GET", [b'{"models":[]}']), ("HEAD", [])])
def test_listings_are_answered_without_asking_anybody(method: str, chunks: list[bytes]) -> None:
    stages = Stages()
    request = request_for("", operation="tags", method=method)
    sending = make_upstreams(stages).send(request, Route("all", ""), make_exchange())
    with sending as response:
        assert response.status == 200
        assert list(response.chunks) == chunks
        assert all(orjson.loads(chunk) for chunk in chunks)
    assert stages.passed == []


def test_everything_else_is_sent() -> None:
    stages = Stages()
    with make_upstreams(stages).send(request_for(), ROUTE, make_exchange()) as response:
        assert list(response.chunks) == [b"answer"]
    assert stages.passed[0] == "send"


class Deleting(Stages):
    """Answers for each server as told."""

    def __init__(self, **answers: int | Exception) -> None:
        super().__init__()
        self.answers, self.asked = answers, []

    def send(self, request: Any, route: Any, exchange: Any, *, has_spare: bool = False) -> Any:
        self.asked.append(route.name)
        answer = self.answers[route.name]
        if isinstance(answer, Exception):
            raise answer
        return nullcontext(UpstreamResponse(answer, {}, iter([b"x"])))


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [(200, 404, 200), (404, 404, 404), (200, UpstreamError("away"), 502), (200, 500, 502)],
)
def test_deleting_everywhere_tells_of_each_server(first: Any, second: Any, status: int) -> None:
    stages = Deleting(a=first, b=second)
    request = request_for("m", operation="delete", method="DELETE", server="all")
    sending = make_upstreams(stages).send(request, Route("all", ""), make_exchange())
    with sending as response:
        document = orjson.loads(b"".join(response.chunks))
    assert response.status == status
    assert list(document["servers"]) == stages.asked == ["a", "b"]
    assert ("error" in document) == (status != 200)
