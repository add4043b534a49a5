import pytest

from ogp.core.clock import SystemClock
from ogp.routing import knowledge
from ogp.routing.catalog import Catalog
from ogp.routing.health import HealthMonitor
from ogp.routing.knowledge import Knowledge, Sources, need_of
from ogp.routing.plan import Need, Plan, ServerState
from ogp.routing.server import Server
from ogp.routing.states import ServerStates
from ogp.settings.routing_schema import RoutingSettings
from ogp.state.server_states import MemoryServerBook
from tests.support.fleet import listing, request_for

SERVERS = [Server("a", "http://a"), Server("b", "http://b", place=1)]


class Lab:
    """Two servers, neither of them asked; tests say what is known."""

    def __init__(self, **rules: object) -> None:
        clock = SystemClock()
        self.catalog = Catalog(["a", "b"], clock, ttl_s=60)
        routes = [server.route for server in SERVERS]
        self.monitor = HealthMonitor(routes, interval_s=60, clock=clock)
        self.states = ServerStates(SERVERS, MemoryServerBook())
        sources = Sources(SERVERS, self.catalog, self.monitor, self.states)
        self.knowledge = Knowledge(sources, RoutingSettings.model_validate(rules))

    def plan(self, **facts: object) -> Plan:
        return self.knowledge.plan(request_for(**facts))  # type: ignore[arg-type]  # any field


def names(plan: Plan) -> list[str]:
    return [candidate.server.name for candidate in plan.candidates]


def test_a_plan_is_made_once_and_anew_after_each_kind_of_change() -> None:
    lab = Lab()
    first = lab.plan()
    assert lab.plan() is first
    lab.catalog.put("a", listing({"m": 1}))
    assert names(lab.plan()) == ["a"]
    lab.monitor.failed("a", is_certain=True)
    assert names(lab.plan()) == ["b"]
    lab.states.change("b", ServerState.DISABLED, set_by="root")
    assert names(lab.plan()) == []


def test_plans_of_endless_names_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowledge, "MAX_PLANS", 3)
    lab = Lab()
    first = lab.plan(model="0")
    for number in range(1, 4):
        lab.plan(model=str(number))
    assert lab.plan(model="0") is not first


def test_assignments_are_for_what_uses_or_installs_a_model() -> None:
    lab = Lab(assignments={"m": "b"})
    assert lab.plan().rule == "assigned"
    assert lab.plan(operation="pull", queued=False, managed=True, scanned=False).rule == "assigned"
    assert lab.plan(operation="show", queued=False, scanned=False).rule is None


def test_a_server_on_trial_and_a_slow_one_are_seen() -> None:
    lab = Lab()
    assert not any(k.is_trial or k.is_slow for k in lab.knowledge.known())
    lab.monitor.failed("b", is_certain=True)
    assert [(k.server.name, k.is_up, k.error) for k in lab.knowledge.known()] == [
        ("a", True, None),
        ("b", False, "connection_failed"),
    ]


@pytest.mark.parametrize(
    ("facts", "need"),
    [
        ({}, Need.MODEL),
        ({"operation": "count_tokens", "queued": False}, Need.MODEL),
        ({"operation": "show", "queued": False, "scanned": False}, Need.HOLDER),
        ({"operation": "delete", "queued": False, "scanned": False}, Need.HOLDER),
        ({"operation": "pull", "queued": False, "scanned": False}, Need.INSTALL),
        ({"operation": "create", "queued": False, "scanned": False}, Need.BASE),
        ({"operation": "blob", "model": "", "queued": False, "scanned": False}, Need.BASE),
        ({"operation": "tags", "model": "", "queued": False, "scanned": False}, Need.ANY),
    ],
)
def test_what_each_operation_wants(facts: dict[str, object], need: Need) -> None:
    assert need_of(request_for(**facts)) is need  # type: ignore[arg-type]  # any field
