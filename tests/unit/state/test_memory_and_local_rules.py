"""Random arrivals, departures, resizes and time against the rules that every table keeps."""

from collections import Counter
from contextlib import ExitStack
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from ogp.core.slots import SlotCounts
from ogp.core.types import Priority
from tests.support.state_tables import (
    MODEL,
    PATIENCE_S,
    TABLES,
    Asking,
    HandClock,
    admitted,
    limits,
)


class Rules(RuleBasedStateMachine):
    """What is promised, whatever happens. `kind` names the table."""

    kind: ClassVar[str]
    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.stack = HandClock(), ExitStack()
        self.table = self.stack.enter_context(TABLES[self.kind](self.clock))
        self.limits = limits(parallel=1, max_queue=6)
        self.running: list[Asking] = []
        self.waiting: list[Asking] = []
        self.bound: dict[Asking, int] = {}
        self.bypassed: dict[Asking, Counter[str]] = {}

    def teardown(self) -> None:
        for ticket in [*self.waiting, *self.running]:
            self.table.leave(MODEL, ticket)
        assert self.table.counts(MODEL) == SlotCounts(0, 0)
        self.stack.close()

    @rule(target=tickets, user=st.sampled_from("abc"), priority=st.sampled_from(Priority))
    def arrive(self, user: str, priority: Priority) -> Asking:
        ticket = Asking(user, priority=priority)
        own = sum(other.claim.user == user for other in self.waiting)
        free = len(self.running) < self.limits.parallel
        cap = self.limits.max_per_user
        room = len(self.waiting) < self.limits.max_queue and (cap is None or own < cap)
        assert admitted(self.table, ticket, self.limits) == (free or room)
        if free:
            assert ticket.grants == 1
            self.running.append(ticket)
        elif room:
            self.waiting.append(ticket)
            self.bound[ticket], self.bypassed[ticket] = own + 1, Counter()
        return ticket

    @rule(ticket=consumes(tickets))
    def leave(self, ticket: Asking) -> None:
        for held in (self.running, self.waiting):
            if ticket in held:
                held.remove(ticket)
        self.table.leave(MODEL, ticket)
        self.notice_grants()

    @precondition(lambda self: self.running)
    @rule()
    def finish(self) -> None:
        self.table.leave(MODEL, self.running.pop(0))
        self.notice_grants()

    @rule(
        parallel=st.integers(1, 4),
        max_queue=st.integers(0, 8),
        max_per_user=st.none() | st.integers(1, 4),
    )
    def resize(self, parallel: int, max_queue: int, max_per_user: int | None) -> None:
        self.limits = limits(parallel, max_queue, max_per_user)
        self.table.resize(MODEL, self.limits)
        self.notice_grants()

    @rule(seconds=st.sampled_from((1.0, PATIENCE_S / 2, PATIENCE_S)))
    def pass_time(self, seconds: float) -> None:
        self.clock.time += seconds

    def notice_grants(self) -> None:
        fresh = [ticket for ticket in self.waiting if ticket.grants]
        self.waiting = [ticket for ticket in self.waiting if not ticket.grants]
        self.running += fresh
        assert not fresh or len(self.running) <= self.limits.parallel
        order = list(self.bound)
        for ticket in self.waiting:
            for other in fresh:
                self.bypassed[ticket][other.claim.user] += 1
                if other.claim == ticket.claim:
                    assert order.index(other) < order.index(ticket)

    @invariant()
    def counts_are_exact(self) -> None:
        expected = SlotCounts(active=len(self.running), waiting=len(self.waiting))
        assert self.table.counts(MODEL) == expected

    @invariant()
    def no_slot_is_free_while_somebody_waits(self) -> None:
        assert not self.waiting or len(self.running) >= self.limits.parallel

    @invariant()
    def everybody_is_granted_at_most_once(self) -> None:
        assert all(ticket.grants == 1 for ticket in self.running)
        assert not any(ticket.grants for ticket in self.waiting)

    @invariant()
    def bypassing_is_bounded(self) -> None:
        for ticket in self.waiting:
            if ticket.claim.priority is Priority.INTERACTIVE:
                for user, count in self.bypassed[ticket].items():
                    assert user == ticket.claim.user or count <= self.bound[ticket]


class MemoryRules(Rules):
    kind = "memory"


class LocalRules(Rules):
    kind = "local"


MemoryRules.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
LocalRules.TestCase.settings = settings(max_examples=40, stateful_step_count=60, deadline=None)
TestMemoryRules = MemoryRules.TestCase
TestLocalRules = LocalRules.TestCase
