"""What is told of servers over HTTP, and what administrators may change of them."""

from typing import Any

import falcon
import pytest
from falcon.testing import TestClient, create_req

from ogp.core.clock import SystemClock
from ogp.core.errors import ForbiddenError, InvalidRequestError
from ogp.core.types import Principal, Role
from ogp.dialects.ollama import OllamaDialect
from ogp.http.errors import ErrorRenderer
from ogp.http.middleware import Access
from ogp.http.scope import EXCHANGE_KEY
from ogp.http.servers import (
    RouteExplainResource,
    ServersResource,
    ServerStateResource,
    asked_server,
)
from ogp.routing.fleet import Fleet
from ogp.routing.plan import ServerState
from ogp.settings.schema import Settings
from ogp.state.server_states import MemoryServerBook
from tests.support.fleet import request_for
from tests.support.stages import make_exchange

ALICE, ROOT = Principal("alice", Role.USER), Principal("root", Role.ADMIN)
SERVERS = {"big": {"host": "10.0.0.1"}, "small": {"host": "10.0.0.2", "max_memory_gb": 2}}


class Bench:
    """The three endpoints over a fleet that nobody asks."""

    def __init__(self) -> None:
        settings = Settings.model_validate({"servers": SERVERS})
        self.fleet = Fleet(settings, MemoryServerBook(), SystemClock())
        app: falcon.App[Any, Any] = falcon.App()
        ErrorRenderer({"ollama": OllamaDialect(settings.limits)}, "ollama").install(app)
        app.add_route("/admin/servers", ServersResource(self.fleet))
        app.add_route("/admin/servers/{name}", ServerStateResource(self.fleet, settings.limits))
        app.add_route("/admin/route/explain", RouteExplainResource(self.fleet, settings.limits))
        self.client = TestClient(
            lambda environ, start: app({**environ, EXCHANGE_KEY: self._exchange()}, start)
        )

    def _exchange(self) -> Any:
        exchange = make_exchange()
        exchange.principal = ROOT
        return exchange


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("kind", [ServersResource, ServerStateResource, RouteExplainResource])
def test_all_are_for_administrators(kind: Any) -> None:
    assert kind.access is Access.ADMIN


def test_every_server_is_told(bench: Bench) -> None:
    entries = bench.client.simulate_get("/admin/servers").json["servers"]
    assert [entry["name"] for entry in entries] == ["big", "small"]
    assert entries[1]["max_memory_gb"] == 2


@pytest.mark.parametrize(
    ("action", "state"),
    [("drain", "draining"), ("disable", "disabled"), ("enable", "enabled")],
)
def test_a_server_changes_its_state(bench: Bench, action: str, state: str) -> None:
    answer = bench.client.simulate_post("/admin/servers/big", json={"action": action})
    assert answer.json == {"server": "big", "state": state, "before": "enabled"}
    assert bench.fleet.states.states()["big"] is ServerState(state)


@pytest.mark.parametrize("query", ["", "action=sleep", "action=drain&force=1"])
def test_other_actions_are_refused(bench: Bench, query: str) -> None:
    answer = bench.client.simulate_post("/admin/servers/big", query_string=query)
    assert answer.status_code == 400


def test_a_server_that_does_not_exist_is_refused(bench: Bench) -> None:
    answer = bench.client.simulate_post("/admin/servers/huge", query_string="action=drain")
    assert answer.status_code == 400
    assert "there are big, small" in answer.json["message"]


def test_a_route_is_explained(bench: Bench) -> None:
    answer = bench.client.simulate_post("/admin/route/explain", json={"model": "Llama3:latest"})
    assert answer.json["model"] == "llama3"
    assert answer.json["server"] == "big"
    results = {entry["server"]: entry["why"] for entry in answer.json["candidates"]}
    assert results["small"] == "the model needs 4.5 GB (default), it takes up to 2 GB"


def test_a_user_may_be_named_and_changes_nothing(bench: Bench) -> None:
    document = {"model": "m", "user": "alice"}
    answer = bench.client.simulate_post("/admin/route/explain", json=document)
    assert (answer.json["user"], answer.json["server"]) == ("alice", "big")


@pytest.mark.parametrize("document", [{}, {"model": 1}, {"model": "m", "user": 1}])
def test_nonsense_is_not_explained(bench: Bench, document: Any) -> None:
    assert bench.client.simulate_post("/admin/route/explain", json=document).status_code == 400


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({}, "", None),
        ({"X-OGP-Server": "big"}, "", "big"),
        ({}, "server=big", "big"),
        ({"X-OGP-Server": "big"}, "server=big", "big"),
        ({"X-OGP-Server": ""}, "", None),
    ],
)
def test_administrators_may_ask_for_a_server(
    headers: dict[str, str], query: str, expected: str | None
) -> None:
    req = create_req(headers=headers, query_string=query)
    assert asked_server(req, request_for(), ROOT) == expected


def test_two_servers_are_one_too_many() -> None:
    req = create_req(headers={"X-OGP-Server": "big"}, query_string="server=small")
    with pytest.raises(InvalidRequestError):
        asked_server(req, request_for(), ROOT)


def test_users_may_ask_only_for_what_the_policy_lets_them_manage() -> None:
    req = create_req(headers={"X-OGP-Server": "big"})
    with pytest.raises(ForbiddenError):
        asked_server(req, request_for(), ALICE)
    assert asked_server(req, request_for(operation="pull", managed=True), ALICE) == "big"
