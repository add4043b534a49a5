"""Memory and local give the same grants in the same order for the same sequence of calls."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from ogp.core.slots import SlotTable
from ogp.core.types import Priority
from tests.support.state_tables import (
    MODEL,
    Asking,
    HandClock,
    admitted,
    limits,
    local_table,
    memory_table,
)

Step = Callable[["Side"], object]


class Side:
    """One table and what happened to the tickets that it got, by number."""

    def __init__(self, table: SlotTable, clock: HandClock) -> None:
        self.table, self.clock = table, clock
        self.limits = limits(parallel=2, max_queue=12)
        self.inside: list[Asking] = []
        self.granted: list[str] = []
        self.arrivals = 0

    def enter(self, user: str, weight: float, priority: Priority) -> bool:
        self.arrivals += 1
        request_id = f"r{self.arrivals}"
        ticket = Asking(user, weight, priority, request_id, noted=self.note)
        is_in = admitted(self.table, ticket, self.limits)
        if is_in:
            self.inside.append(ticket)
        return is_in

    def note(self, ticket: Asking) -> None:
        self.granted.append(ticket.claim.request_id)

    def leave(self, index: int) -> None:
        if self.inside:
            self.table.leave(MODEL, self.inside.pop(index % len(self.inside)))

    def finish(self) -> None:
        running = [ticket for ticket in self.inside if ticket.grants]
        if running:
            self.inside.remove(running[0])
            self.table.leave(MODEL, running[0])

    def resize(self, parallel: int, max_per_user: int | None) -> None:
        self.table.resize(MODEL, limits(parallel, 12, max_per_user))

    def pass_time(self, seconds: float) -> None:
        self.clock.time += seconds

    def seen(self) -> object:
        places = [self.table.place(ticket.claim.request_id) for ticket in self.inside]
        return self.granted, self.table.counts(MODEL), places


def arriving(user: str, weight: float, priority: Priority) -> Step:
    return lambda side: side.enter(user, weight, priority)


def leaving(index: int) -> Step:
    return lambda side: side.leave(index)


def finishing(_: None) -> Step:
    return lambda side: side.finish()


def resizing(parallel: int, max_per_user: int | None) -> Step:
    return lambda side: side.resize(parallel, max_per_user)


def passing(seconds: float) -> Step:
    return lambda side: side.pass_time(seconds)


ARRIVALS = st.builds(
    arriving,
    st.sampled_from("abcd"),
    st.sampled_from((0.5, 1.0, 2.0, 4.0)),  # whose sums of inverses are exact
    st.sampled_from(Priority),
)
STEPS = st.one_of(
    ARRIVALS,
    ARRIVALS,
    st.builds(finishing, st.none()),
    st.builds(leaving, st.integers(0, 20)),
    st.builds(resizing, st.integers(1, 4), st.none() | st.integers(1, 5)),
    st.builds(passing, st.sampled_from((1.0, 30.0, 60.0))),
)


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(STEPS, max_size=80))
def test_both_grant_the_same_requests_in_the_same_order(steps: list[Step]) -> None:
    here, there = HandClock(), HandClock()
    with memory_table(here) as memory, local_table(there) as local:
        sides = Side(memory, here), Side(local, there)
        for step in steps:
            assert step(sides[0]) == step(sides[1])
            assert sides[0].seen() == sides[1].seen()
