from collections.abc import Iterator
from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import (
    ClientGoneError,
    GatewayError,
    InvalidRequestError,
    ModelNotFoundError,
    NoUpstreamError,
    Refused,
    RequestTimeoutError,
    UpstreamError,
)
from ogp.core.types import Upload
from ogp.routing.breaker import BreakerState
from ogp.routing.catalog import Catalog
from ogp.routing.health import HealthMonitor
from ogp.routing.knowledge import Sources
from ogp.routing.plan import ServerState
from ogp.routing.router import UpstreamRouter
from ogp.routing.server import Server
from ogp.routing.states import ServerStates
from ogp.settings.routing_schema import RoutingSettings
from ogp.state.server_states import MemoryServerBook
from tests.support.fleet import listing, request_for

AWAY = UpstreamError("away", refused=Refused.AWAY)
BUSY = UpstreamError("busy", refused=Refused.BUSY)
CUT = UpstreamError("cut")


class Lab:
    """A router over servers that nobody asks; tests say what is known of them."""

    def __init__(self, *servers: Server, **rules: Any) -> None:
        clock = SystemClock()
        names = [server.name for server in servers]
        self.catalog = Catalog(names, clock, ttl_s=60)
        routes = [server.route for server in servers]
        self.monitor = HealthMonitor(routes, interval_s=60, clock=clock)
        self.states = ServerStates(servers, MemoryServerBook())
        sources = Sources(servers, self.catalog, self.monitor, self.states)
        self.router = UpstreamRouter(sources, RoutingSettings.model_validate(rules), clock)


def four(**facts: Any) -> tuple[Server, ...]:
    return tuple(
        Server(name, f"http://{name}", place=place, **facts) for place, name in enumerate("abcd")
    )


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab(*four())
    for name in "abcd":
        lab.catalog.put(name, listing({"m": 1}))
    yield lab
    assert sum(lab.router.active().values()) == 0


def test_everybody_who_can_take_a_request_is_a_candidate(lab: Lab) -> None:
    assert [route.name for route in lab.router.candidates(request_for())] == list("abcd")


def test_a_lease_counts_until_it_ends_even_in_an_error(lab: Lab) -> None:
    with pytest.raises(RuntimeError), lab.router.lease(request_for()) as lease:
        assert lease.route.name == "a"
        assert lab.router.active()["a"] == 1
        raise RuntimeError("upstream broke")
    assert lab.router.active()["a"] == 0


@pytest.mark.parametrize("error", [AWAY, BUSY])
def test_what_nobody_has_begun_goes_on_to_the_next(lab: Lab, error: GatewayError) -> None:
    with lab.router.lease(request_for()) as lease:
        lease.failed(error)
        assert lease.route.name == "b"
        assert lab.router.active() == {"a": 0, "b": 1, "c": 0, "d": 0}
        assert "tries=2" in lease.told


@pytest.mark.parametrize("error", [CUT, RequestTimeoutError("m"), ClientGoneError("gone")])
def test_what_may_have_begun_is_never_sent_again(lab: Lab, error: GatewayError) -> None:
    with lab.router.lease(request_for()) as lease, pytest.raises(type(error)):
        lease.failed(error)


def test_only_so_many_servers_are_tried(lab: Lab) -> None:
    with lab.router.lease(request_for()) as lease:
        assert lease.has_spare
        lease.failed(AWAY)
        lease.failed(AWAY)
        assert not lease.has_spare
        with pytest.raises(UpstreamError, match="away"):
            lease.failed(AWAY)


def test_a_file_is_sent_once(lab: Lab) -> None:
    upload = Upload(iter([b"x"]), 1)
    request = request_for("", operation="blob", queued=False, upload=upload)
    with lab.router.lease(request) as lease:
        assert not lease.has_spare
        with pytest.raises(UpstreamError):
            lease.failed(AWAY)


def test_failures_are_remembered_by_their_kind(lab: Lab) -> None:
    with lab.router.lease(request_for()) as lease:
        lease.failed(AWAY)
    assert lab.monitor.status("a").breaker.state is BreakerState.OPEN
    with lab.router.lease(request_for()) as lease:
        assert lease.route.name == "b"
        lease.failed(BUSY)
    assert lab.monitor.status("b").is_up
    with lab.router.lease(request_for()) as lease:
        assert lease.route.name == "c"
        with pytest.raises(UpstreamError):
            lease.failed(CUT)
    assert lab.monitor.status("c").breaker.failures == 1


def test_only_answers_of_loaded_models_are_timed(lab: Lab) -> None:
    with lab.router.lease(request_for()) as cold:
        cold.answered()
        assert "loaded=no" in cold.told
        with lab.router.lease(request_for()) as warm:
            warm.answered()
            assert warm.route.name == "a"
            assert "loaded=yes" in warm.told
    with lab.router.lease(request_for("x", operation="tags", server="a")) as other:
        other.answered()


def test_what_a_route_says(lab: Lab) -> None:
    with lab.router.lease(request_for(server="c")) as lease:
        assert lease.told == 'server="c", rule="asked", candidates=1, loaded=no, tries=1'


def test_a_model_that_nobody_has_is_not_found_and_each_server_is_named(lab: Lab) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        lab.router.candidates(request_for("nowhere"))
    assert caught.value.facts == {
        "servers": dict.fromkeys("abcd", "does not have the model"),
        "model": "nowhere",
    }


def test_a_model_that_nobody_can_hold_is_refused_with_each_reason() -> None:
    lab = Lab(*four(max_memory_gb=8))
    for name in "abcd":
        lab.catalog.put(name, listing({"m": 9}))
    lab.states.change("d", ServerState.DISABLED, set_by="root")
    with pytest.raises(NoUpstreamError, match="a: the model needs 9 GB") as caught:
        lab.router.candidates(request_for())
    assert caught.value.facts["servers"]["d"] == "disabled"
    assert caught.value.facts["model"] == "m"


def test_an_assigned_server_that_is_away_is_named() -> None:
    lab = Lab(*four(), assignments={"m": "b"})
    lab.monitor.failed("b", is_certain=True)
    with pytest.raises(NoUpstreamError, match="b: assigned, but down"):
        lab.router.candidates(request_for())


def test_without_any_server_for_anything_the_refusal_names_no_model() -> None:
    lab = Lab(*four())
    for name in "abcd":
        lab.states.change(name, ServerState.DRAINING, set_by="root")
    with pytest.raises(NoUpstreamError) as caught:
        lab.router.candidates(request_for("", operation="version", queued=False))
    assert "model" not in caught.value.facts


def test_a_server_that_does_not_exist_cannot_be_asked_for(lab: Lab) -> None:
    with pytest.raises(InvalidRequestError, match="there are a, b, c, d"):
        lab.router.candidates(request_for(server="e"))


def test_listings_of_all_servers_are_nobodys(lab: Lab) -> None:
    request = request_for("", operation="tags", queued=False)
    assert [route.name for route in lab.router.candidates(request)] == ["all"]
    with lab.router.lease(request) as lease:
        assert lease.route.name == "all"
        lease.answered()
        with pytest.raises(UpstreamError):
            lease.failed(AWAY)
    one = request_for("", operation="tags", queued=False, server="b")
    with lab.router.lease(one) as lease:
        assert lease.route.name == "b"


def test_the_only_server_lists_for_itself() -> None:
    only = Lab(Server("ollama", "http://x"))
    with only.router.lease(request_for("", operation="tags", queued=False)) as lease:
        assert lease.route.name == "ollama"


def test_what_was_installed_is_looked_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(lab.monitor, "list_again", asked.append)
    request = request_for("m", operation="delete", queued=False, scanned=False, managed=True)
    with lab.router.lease(request):
        assert asked == []
    assert asked == ["a"]


def test_only_what_deletes_may_ask_for_all_servers(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(lab.monitor, "list_again", asked.append)
    delete = request_for(
        operation="delete", queued=False, scanned=False, managed=True, server="all"
    )
    with lab.router.lease(delete) as lease:
        assert lease.route.name == "all"
    assert sorted(asked) == list("abcd")
    with pytest.raises(InvalidRequestError):
        lab.router.candidates(request_for(server="all"))
