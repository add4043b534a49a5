"""Who may run in one process: limits, hand-over, resizing, nothing left behind."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from ogp.core.errors import QueueFullError
from ogp.core.ports import SlotCounts, SlotLimits, SlotTable
from ogp.state.memory import MemorySlotTable

MODEL = "llama3"


class Place:
    """A ticket that remembers its grants."""

    def __init__(self, user: str = "ann") -> None:
        self.user = user
        self.grants = 0

    def grant(self) -> None:
        self.grants += 1


def limits(parallel: int = 1, max_queue: int = 10) -> SlotLimits:
    return SlotLimits(parallel=parallel, max_queue=max_queue)


def entered(table: SlotTable, count: int, given: SlotLimits, user: str = "ann") -> list[Place]:
    places = [Place(user) for _ in range(count)]
    for place in places:
        table.enter(MODEL, place, given)
    return places


def granted(places: list[Place]) -> list[int]:
    return [place.grants for place in places]


def test_a_free_slot_is_granted_before_enter_returns() -> None:
    (place,) = entered(MemorySlotTable(), 1, limits())
    assert place.grants == 1


def test_no_more_run_than_the_limit_says() -> None:
    table = MemorySlotTable()
    places = entered(table, 5, limits(parallel=2))
    assert granted(places) == [1, 1, 0, 0, 0]
    assert table.counts(MODEL) == SlotCounts(active=2, waiting=3)


def test_five_at_once_on_two_slots_and_one_place_refuses_two() -> None:
    table, refused = MemorySlotTable(), 0
    for _ in range(5):
        try:
            table.enter(MODEL, Place(), limits(parallel=2, max_queue=1))
        except QueueFullError:
            refused += 1
    assert (refused, table.counts(MODEL)) == (2, SlotCounts(active=2, waiting=1))


def test_a_refusal_names_the_model() -> None:
    table = MemorySlotTable()
    entered(table, 1, limits(max_queue=0))
    with pytest.raises(QueueFullError) as refusal:
        table.enter(MODEL, Place(), limits(max_queue=0))
    assert refusal.value.facts == {"model": MODEL}


def test_a_slot_given_back_goes_to_the_longest_waiting() -> None:
    table = MemorySlotTable()
    places = entered(table, 3, limits())
    table.leave(MODEL, places[0])
    assert granted(places) == [1, 1, 0]


def test_a_newcomer_cannot_overtake_a_waiter() -> None:
    table = MemorySlotTable()
    first, waiter = entered(table, 2, limits())
    table.leave(MODEL, first)
    (newcomer,) = entered(table, 1, limits())
    assert (waiter.grants, newcomer.grants) == (1, 0)


def test_users_take_turns() -> None:
    table = MemorySlotTable()
    running, *busy = entered(table, 4, limits(), user="busy")
    (other,) = entered(table, 1, limits(), user="other")
    table.leave(MODEL, running)
    table.leave(MODEL, busy[0])
    assert (granted(busy), other.grants) == ([1, 0, 0], 1)


def test_a_waiter_who_leaves_frees_its_place() -> None:
    table = MemorySlotTable()
    _, waiter = entered(table, 2, limits(max_queue=1))
    table.leave(MODEL, waiter)
    entered(table, 1, limits(max_queue=1))
    assert table.counts(MODEL) == SlotCounts(active=1, waiting=1)


def test_a_waiter_who_left_is_never_granted() -> None:
    table = MemorySlotTable()
    first, waiter, last = entered(table, 3, limits())
    table.leave(MODEL, waiter)
    table.leave(MODEL, first)
    assert (waiter.grants, last.grants) == (0, 1)


def test_leaving_twice_gives_back_once() -> None:
    table = MemorySlotTable()
    places = entered(table, 3, limits())
    table.leave(MODEL, places[0])
    table.leave(MODEL, places[0])
    assert granted(places) == [1, 1, 0]


def test_leaving_a_model_nobody_uses_changes_nothing() -> None:
    table = MemorySlotTable()
    table.leave(MODEL, Place())
    assert table.counts(MODEL) == SlotCounts(active=0, waiting=0)


def test_models_do_not_share_slots() -> None:
    table, place = MemorySlotTable(), Place()
    entered(table, 1, limits())
    table.enter("mistral", place, limits())
    assert place.grants == 1


def test_a_raised_limit_grants_waiters_at_once() -> None:
    table = MemorySlotTable()
    places = entered(table, 4, limits())
    table.resize(MODEL, limits(parallel=3))
    assert granted(places) == [1, 1, 1, 0]


def test_a_lowered_limit_lets_run_what_runs_and_drains() -> None:
    table = MemorySlotTable()
    places = entered(table, 4, limits(parallel=3))
    table.resize(MODEL, limits(parallel=1))
    table.leave(MODEL, places[0])
    table.leave(MODEL, places[1])
    assert table.counts(MODEL) == SlotCounts(active=1, waiting=1)
    table.leave(MODEL, places[2])
    assert granted(places) == [1, 1, 1, 1]


def test_a_shorter_queue_keeps_those_who_wait_and_refuses_the_next() -> None:
    table = MemorySlotTable()
    entered(table, 3, limits())
    table.resize(MODEL, limits(max_queue=1))
    with pytest.raises(QueueFullError):
        entered(table, 1, limits())
    assert table.counts(MODEL).waiting == 2


def test_limits_given_later_do_not_undo_a_resize() -> None:
    table = MemorySlotTable()
    entered(table, 1, limits())
    table.resize(MODEL, limits(parallel=2))
    entered(table, 1, limits())
    assert table.counts(MODEL).active == 2


def test_resizing_an_idle_model_remembers_nothing() -> None:
    table = MemorySlotTable()
    table.resize(MODEL, limits(parallel=5))
    entered(table, 2, limits())
    assert table.counts(MODEL) == SlotCounts(active=1, waiting=1)


def test_idle_models_hold_no_memory() -> None:
    table = MemorySlotTable()
    for number in range(100):
        place = Place()
        table.enter(f"invented-{number}", place, limits())
        table.leave(f"invented-{number}", place)
    assert table._lines == {}


def test_a_refused_request_for_an_idle_model_holds_no_memory() -> None:
    table = MemorySlotTable()
    with pytest.raises(QueueFullError):
        table.enter(MODEL, Place(), limits(parallel=0, max_queue=0))
    assert table._lines == {}


class SlotTableMachine(RuleBasedStateMachine):
    """Random arrivals, departures and resizes against the rules every table has to keep."""

    places = Bundle("places")

    def __init__(self) -> None:
        super().__init__()
        self.table = MemorySlotTable()
        self.limits = limits(parallel=1, max_queue=4)
        self.running: list[Place] = []
        self.waiting: list[Place] = []
        self.bypassed: dict[Place, Counter[str]] = {}
        self.bound: dict[Place, int] = {}

    @rule(target=places, user=st.sampled_from("abc"))
    def arrive(self, user: str) -> Place:
        place = Place(user)
        free = len(self.running) < self.limits.parallel
        room = len(self.waiting) < self.limits.max_queue
        try:
            self.table.enter(MODEL, place, self.limits)
        except QueueFullError:
            assert not free
            assert not room
            return place
        if free:
            assert place.grants == 1
            self.running.append(place)
        else:
            assert room
            self.bound[place] = 1 + sum(other.user == user for other in self.waiting)
            self.bypassed[place] = Counter()
            self.waiting.append(place)
        return place

    @rule(place=consumes(places))
    def leave(self, place: Place) -> None:
        for held in (self.running, self.waiting):
            if place in held:
                held.remove(place)
        self.table.leave(MODEL, place)
        self.notice_grants()
        self.end_if_idle()

    @rule(parallel=st.integers(1, 4), max_queue=st.integers(0, 6))
    def resize(self, parallel: int, max_queue: int) -> None:
        self.limits = limits(parallel, max_queue)
        self.table.resize(MODEL, self.limits)
        self.notice_grants()

    def notice_grants(self) -> None:
        fresh = [place for place in self.waiting if place.grants]
        for place in fresh:
            self.waiting.remove(place)
            self.running.append(place)
        assert not fresh or len(self.running) <= self.limits.parallel
        for place in self.waiting:
            for other in fresh:
                assert other.user != place.user or self.came_before(other, place)
                self.bypassed[place][other.user] += 1

    def came_before(self, other: Place, place: Place) -> bool:
        order = list(self.bound)
        return order.index(other) < order.index(place)

    def end_if_idle(self) -> None:
        if not self.running and not self.waiting:
            assert self.table._lines == {}

    @invariant()
    def counts_are_exact(self) -> None:
        expected = SlotCounts(active=len(self.running), waiting=len(self.waiting))
        assert self.table.counts(MODEL) == expected

    @invariant()
    def no_slot_is_lost(self) -> None:
        assert not self.waiting or len(self.running) >= self.limits.parallel

    @invariant()
    def everybody_is_granted_at_most_once(self) -> None:
        assert all(place.grants == 1 for place in self.running)
        assert not any(place.grants for place in self.waiting)

    @invariant()
    def bypassing_is_bounded(self) -> None:
        for place in self.waiting:
            for user, count in self.bypassed[place].items():
                if user != place.user:
                    assert count <= self.bound[place]


SlotTableMachine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=60, deadline=None
)
TestSlotTableRules = SlotTableMachine.TestCase
