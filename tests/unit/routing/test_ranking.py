"""Examples of every rule, and properties of all of them over made-up fleets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ogp.routing.plan import Candidate, Known, ServerState, Wish, make_plan
from ogp.routing.ranking import (
    BUSY,
    CRITERIA,
    CROWDED,
    EVICTING,
    FREE,
    LOADED,
    ON_TRIAL,
    ORDERS,
    ROOM,
    Load,
    availability,
    nearness,
)
from ogp.routing.server import Server
from ogp.routing.sizes import SizeRules
from ogp.settings.routing_schema import RoutingSettings
from tests.support.fleet import listing

A, B = Server("a", "http://a"), Server("b", "http://b", place=1)
Pair = tuple[Candidate, Load]


def best(strategy: str, *pairs: Pair) -> str:
    order = ORDERS[strategy]
    return min(pairs, key=lambda pair: order(pair[0], pair[1], "m", 0.0))[0].server.name


@pytest.mark.parametrize(
    ("candidate", "load", "expected"),
    [
        (Candidate(A), Load(), FREE),
        (Candidate(A, is_slow=True), Load(), BUSY),
        (Candidate(A), Load(busy_until=1.0), BUSY),
        (Candidate(Server("a", "", parallel=2)), Load(active=1), FREE),
        (Candidate(Server("a", "", parallel=2)), Load(active=2), BUSY),
        (Candidate(A, is_trial=True), Load(), FREE),
        (Candidate(A, is_trial=True), Load(active=1), ON_TRIAL),
    ],
)
def test_whether_a_server_can_begin_at_once(
    candidate: Candidate, load: Load, expected: int
) -> None:
    assert availability(candidate, load, 0.5) == expected


@pytest.mark.parametrize(
    ("candidate", "load", "expected"),
    [
        (Candidate(A, is_resident=True), Load(), LOADED),
        (Candidate(A), Load(active=1, models={"m": 1}), LOADED),
        (Candidate(A), Load(active=1, models={"n": 1}), ROOM),
        (Candidate(A, is_crowded=True), Load(), CROWDED),
        (Candidate(A, is_crowded=True), Load(active=1, models={"n": 1}), EVICTING),
    ],
)
def test_how_near_the_model_is(candidate: Candidate, load: Load, expected: int) -> None:
    assert nearness(candidate, load, "m") == expected


@pytest.mark.parametrize(
    ("strategy", "first", "second", "winner"),
    [
        ("priority_with_memory", (Candidate(A), Load(active=9)), (Candidate(B), Load()), "b"),
        (
            "priority_with_memory",
            (Candidate(A), Load()),
            (Candidate(Server("b", "", priority=2), is_resident=True), Load()),
            "a",
        ),
        (
            "resident_first",
            (Candidate(A), Load()),
            (Candidate(Server("b", "", priority=2), is_resident=True), Load()),
            "b",
        ),
        (
            "priority_with_memory",
            (Candidate(A), Load()),
            (Candidate(B, is_resident=True), Load(active=3)),
            "b",
        ),
        (
            "least_loaded",
            (Candidate(A, is_resident=True), Load(active=1)),
            (Candidate(Server("b", "", priority=9)), Load()),
            "b",
        ),
        (
            "least_loaded",
            (Candidate(Server("a", "", weight=4)), Load(active=3)),
            (Candidate(B), Load(active=1)),
            "a",
        ),
        ("round_robin", (Candidate(A), Load(turn=2)), (Candidate(B), Load(turn=1)), "b"),
        (
            "priority_with_memory",
            (Candidate(A), Load(paces={"m": 9})),
            (Candidate(B), Load(paces={"m": 5})),
            "b",
        ),
    ],
)
def test_examples_of_the_rules(strategy: str, first: Pair, second: Pair, winner: str) -> None:
    assert best(strategy, first, second) == winner


@pytest.mark.parametrize("strategy", list(ORDERS))
def test_among_equals_the_first_of_the_configuration_wins(strategy: str) -> None:
    assert best(strategy, (Candidate(B), Load()), (Candidate(A), Load())) == "a"


@pytest.mark.parametrize("strategy", list(ORDERS))
def test_every_number_of_an_order_has_a_name(strategy: str) -> None:
    assert len(ORDERS[strategy](Candidate(A), Load(), "m", 0.0)) == len(CRITERIA[strategy])


SIZE_GB = st.sampled_from([1.0, 4.0, 8.0, 40.0])


@st.composite
def fleets(draw: st.DrawFn) -> list[tuple[Known, Load]]:
    found = []
    for place in range(draw(st.integers(2, 6))):
        installed = draw(st.dictionaries(st.sampled_from("mno"), SIZE_GB))
        resident = draw(st.lists(st.sampled_from(sorted(installed) or ["-"]), max_size=2))
        server = Server(
            f"s{place}",
            f"http://s{place}",
            priority=draw(st.integers(0, 2)),
            max_memory_gb=draw(st.none() | SIZE_GB),
            weight=draw(st.sampled_from([1.0, 2.0])),
            parallel=draw(st.none() | st.integers(1, 3)),
            place=place,
        )
        known = Known(
            server,
            state=draw(st.sampled_from(list(ServerState))),
            is_up=draw(st.booleans()),
            is_trial=draw(st.booleans()),
            is_slow=draw(st.booleans()),
            listing=draw(st.just(listing(installed, *set(resident) & set(installed))) | st.none()),
        )
        load = Load(active=draw(st.integers(0, 4)), turn=float(draw(st.integers(0, 4))))
        found.append((known, load))
    return found


@given(fleet=fleets(), strategy=st.sampled_from(list(ORDERS)))
@settings(max_examples=300, deadline=None)
def test_the_choice_never_breaks_a_rule(fleet: list[tuple[Known, Load]], strategy: str) -> None:
    servers = [known for known, _ in fleet]
    by_name = {known.server.name: (known, load) for known, load in fleet}
    plan = make_plan(Wish("m"), servers, SizeRules(RoutingSettings()))
    order = ORDERS[strategy]
    keyed = [(order(c, by_name[c.server.name][1], "m", 0.0), c) for c in plan.candidates]
    # Everybody is either a candidate or refused with a reason, never both.
    told = [c.server.name for c in plan.candidates] + [name for name, _ in plan.refused]
    assert sorted(told) == sorted(by_name)
    for candidate in plan.candidates:
        known, _ = by_name[candidate.server.name]
        assert known.state is ServerState.ENABLED
        assert known.is_up
        limit_gb = known.server.max_memory_gb
        assert limit_gb is None or plan.size.gb <= limit_gb
        has = known.listing is not None and "m" in known.listing.installed
        assert has or known.listing is None
    if not keyed:
        return
    winner = min(keyed, key=lambda pair: pair[0])[1]
    assert min(reversed(keyed), key=lambda pair: pair[0])[1] is winner  # whatever the order
    if strategy == "priority_with_memory":
        _, load = by_name[winner.server.name]
        mine = availability(winner, load, 0.0)
        for candidate in plan.candidates:
            other = availability(candidate, by_name[candidate.server.name][1], 0.0)
            assert (mine, winner.server.priority) <= (other, candidate.server.priority)
