"""From a request to its slot: limits, claims, what is counted, and what is hopeless."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import (
    ClientGoneError,
    ForbiddenError,
    QueueFullError,
    QueueWaitError,
    RequestTimeoutError,
)
from ogp.core.exchange import Cancellation
from ogp.core.ports import SlotQueue
from ogp.core.slots import Claim, Place, SlotCounts, SlotLimits, Tally
from ogp.core.types import InferenceRequest, Pace, Principal, Priority, Role
from ogp.queueing.learned import LearnedParallel
from ogp.queueing.limits import ConfiguredLimits
from ogp.queueing.manager import QueueManager
from ogp.settings.queue_schema import QueueSettings
from ogp.state.memory import MemorySlotTable, MemoryTallyBook

MODEL = "llama3"


class SetClock(SystemClock):
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


class Bench:
    """A manager over real state."""

    def __init__(self, *, default: int = 1, max_waiting_total: int = 100, **settings: Any) -> None:
        queue = QueueSettings.model_validate({"max_queue": 4, **settings})
        self.clock = SetClock()
        self.table = MemorySlotTable(self.clock, batch_patience_s=60)
        self.book = MemoryTallyBook(self.clock)
        configured = ConfiguredLimits(queue, default)
        self.manager = QueueManager(
            queue,
            self.table,
            self.book,
            self.clock,
            configured=configured,
            learned=LearnedParallel(queue, configured, self.table, self.clock),
            max_waiting_total=max_waiting_total,
        )
        self.held = ExitStack()

    def take(
        self,
        model: str = MODEL,
        *,
        user: str = "ann",
        timeout_s: float = 0,
        request_id: str = "r1",
        cancellation: Cancellation | None = None,
        asked: Priority | None = None,
    ) -> float:
        """A slot until the end of the test."""
        queue: SlotQueue = self.manager
        place = queue.turn(
            InferenceRequest("ollama", "chat", "POST", "/api/chat", model=model, priority=asked),
            Principal(user, Role.USER),
            request_id=request_id,
            timeout_s=timeout_s,
            cancellation=cancellation or Cancellation(),
        )
        turn = self.held.enter_context(place)
        assert turn.wait()
        return turn.waited_s

    def measured(self, held_s: float, model: str = MODEL) -> None:
        """Requests held their slot for so long lately."""
        self.book.processed(model, waited_ms=0, held_ms=1e3 * held_s)

    def tally(self, model: str = MODEL) -> Tally:
        tally = self.book.tally(model)
        assert tally is not None
        return tally


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with bench.held:
        yield bench


def test_the_value_of_a_slot_is_the_wait(bench: Bench) -> None:
    assert bench.take() == 0.0


def test_each_model_has_its_own_slots(bench: Bench) -> None:
    bench.take("a")
    bench.take("b")
    with pytest.raises(RequestTimeoutError):
        bench.take("a")


def test_the_limits_are_those_of_the_models_entry() -> None:
    bench = Bench(models=[{"match": "big*", "parallel": 1, "max_queue": 0}], default=2)
    with bench.held:
        bench.take("big-model")
        with pytest.raises(QueueFullError):
            bench.take("big-model")
        bench.take("small")
        bench.take("small")
    assert bench.manager.limits("big-model") == SlotLimits(1, 0)


def test_live_limits_come_before_configured_ones() -> None:
    bench = Bench(models=[{"match": "*", "parallel": 1}])
    bench.table.resize(MODEL, SlotLimits(2, 0))
    with bench.held:
        bench.take()
        bench.take()
    assert bench.manager.limits(MODEL) == SlotLimits(2, 0)


def test_a_live_change_keeps_counting_what_runs() -> None:
    bench = Bench(default=2)
    with bench.held:
        bench.take()
        bench.take()
        bench.table.resize(MODEL, SlotLimits(3, 0))
        bench.take()
        with pytest.raises(QueueFullError):
            bench.take()


def test_a_full_queue_refuses() -> None:
    bench = Bench(max_queue=0)
    with bench.held:
        bench.take()
        with pytest.raises(QueueFullError) as refusal:
            bench.take()
    assert (refusal.value.code, refusal.value.retry_after_s) == ("queue_full", 2.0)


def test_all_who_wait_in_this_process_are_capped_together() -> None:
    bench = Bench(max_waiting_total=0)
    with bench.held:
        bench.take()
        with pytest.raises(QueueFullError):
            bench.take()
        assert bench.table.waiting() == 0


def test_the_class_asked_for_is_checked_before_anything_is_counted() -> None:
    bench = Bench(priority="batch")
    with pytest.raises(ForbiddenError):
        bench.take(asked=Priority.INTERACTIVE)
    assert bench.book.tallies() == {}


class SeenTable(MemorySlotTable):
    """Keeps the claims."""

    def __init__(self) -> None:
        super().__init__(SystemClock(), batch_patience_s=60)
        self.claims: list[Claim] = []

    def enter(self, model: str, ticket: Any, limits: SlotLimits) -> None:
        self.claims.append(ticket.claim)
        super().enter(model, ticket, limits)


def test_the_claim_goes_into_the_table() -> None:
    bench = Bench(weights=[{"weight": 2, "users": ["ann"]}])
    table = SeenTable()
    bench.manager._slots._table = table
    with bench.held:
        bench.take(asked=Priority.BATCH, request_id="r7")
    assert table.claims == [Claim("ann", 2.0, Priority.BATCH, "r7")]


def test_a_request_that_had_its_slot_is_processed(bench: Bench) -> None:
    bench.take()
    bench.clock.now_s += 2.0
    bench.held.close()
    tally = bench.tally()
    assert (tally.processed, tally.rejected) == (1, 0)
    assert (tally.waited_ms, tally.held_ms) == (0.0, 2000.0)


def test_a_request_that_failed_in_its_slot_is_processed(bench: Bench) -> None:
    with pytest.raises(RequestTimeoutError) as ended, bench.held:
        bench.take()
        raise RequestTimeoutError(MODEL)
    assert (bench.tally().processed, bench.tally().rejected) == (1, 0)
    assert ended.value.retry_after_s is None  # the upstream's, not the queue's


def test_a_model_is_known_while_its_first_request_runs(bench: Bench) -> None:
    bench.take()
    assert list(bench.book.tallies()) == [MODEL]


@pytest.mark.parametrize("max_queue", [0, 1])
def test_a_refusal_is_a_rejection(max_queue: int) -> None:
    bench = Bench(max_queue=max_queue)
    with bench.held:
        bench.take()
        with pytest.raises((QueueFullError, RequestTimeoutError)):
            bench.take()
    assert (bench.tally().processed, bench.tally().rejected) == (1, 1)


def test_a_client_that_left_counts_as_neither(bench: Bench) -> None:
    cancellation = Cancellation()
    cancellation.cancel(ClientGoneError("gone"))
    with pytest.raises(ClientGoneError):
        bench.take(cancellation=cancellation)
    assert (bench.tally().processed, bench.tally().rejected) == (0, 0)


def test_nothing_is_hopeless_before_anything_was_measured(bench: Bench) -> None:
    bench.take()
    with pytest.raises(RequestTimeoutError):
        bench.take()


def test_a_wait_that_ends_after_the_deadline_is_refused_at_once(bench: Bench) -> None:
    bench.measured(30.0)
    bench.take()
    with pytest.raises(QueueWaitError) as refusal:
        bench.take(timeout_s=20)
    error = refusal.value
    assert (error.status, error.code) == (503, "queue_wait_too_long")
    assert error.facts == {
        "model": MODEL,
        "predicted_wait_s": 30.0,
        "deadline_s": 20.0,
        "position": 1,
    }
    assert error.retry_after_s == 10.0  # by then it would be in time
    assert bench.table.counts(MODEL).waiting == 0
    assert bench.tally().rejected == 1


def test_a_wait_that_ends_in_time_is_begun(bench: Bench) -> None:
    bench.measured(0.001)
    bench.take()
    with pytest.raises(RequestTimeoutError):
        bench.take(timeout_s=0.01)


def test_a_free_slot_is_never_hopeless(bench: Bench) -> None:
    bench.measured(1000.0)
    assert bench.take(timeout_s=1) == 0.0


def test_hopeless_requests_may_wait_where_the_operator_wants_it() -> None:
    bench = Bench(refuse_hopeless=False)
    bench.measured(1000.0)
    with bench.held:
        bench.take()
        with pytest.raises(RequestTimeoutError):
            bench.take(timeout_s=0.01)


def test_the_place_that_counts_is_the_one_among_the_turns(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many wait, but of another user: this one would come up next, and in time."""
    bench.measured(10.0)
    bench.take()
    claim = Claim("bob", request_id="r2")
    next_up = Place(MODEL, claim, ahead=0, waiting=200, waited_s=0.0)
    monkeypatch.setattr(bench.table, "place", lambda request_id: next_up)
    monkeypatch.setattr(bench.table, "counts", lambda model: SlotCounts(1, 200))
    bench.manager._check_hope(MODEL, claim, timeout_s=15.0)
    with pytest.raises(QueueWaitError):
        bench.manager._check_hope(MODEL, claim, timeout_s=5.0)


@pytest.mark.parametrize("found", [None, Place(MODEL, Claim("mallory"), 500, 501, 0.0)])
def test_somebody_elses_request_of_the_same_name_makes_nothing_hopeless(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, found: Place | None
) -> None:
    bench.measured(30.0)
    bench.take()
    monkeypatch.setattr(bench.table, "place", lambda request_id: found)
    with pytest.raises(RequestTimeoutError):
        bench.take(timeout_s=0.01)


def test_a_full_queue_says_when_the_next_place_comes_free() -> None:
    bench = Bench(max_queue=0, default=4)
    bench.measured(20.0)
    with bench.held:
        for _ in range(4):
            bench.take()
        with pytest.raises(QueueFullError) as refusal:
            bench.take()
    assert refusal.value.retry_after_s == 5.0


def test_a_timeout_in_the_queue_says_when_it_will_have_been_served() -> None:
    bench = Bench(refuse_hopeless=False)
    bench.measured(20.0)
    with bench.held:
        bench.take()
        with pytest.raises(RequestTimeoutError) as refusal:
            bench.take()
    assert refusal.value.retry_after_s == 20.0


@pytest.mark.parametrize(("held_s", "told"), [(0.01, 1.0), (50_000.0, 600.0)])
def test_a_retry_is_told_between_a_second_and_ten_minutes(held_s: float, told: float) -> None:
    bench = Bench(max_queue=0)
    bench.measured(held_s)
    with bench.held:
        bench.take()
        with pytest.raises(QueueFullError) as refusal:
            bench.take()
    assert refusal.value.retry_after_s == told


def test_what_requests_measured_is_learned_from() -> None:
    bench = Bench(parallel="learned")
    for _ in range(200):
        with bench.held:
            bench.take()
            bench.clock.now_s += 1.0
            bench.manager.observe(MODEL, Pace(5, 900, 50))
            bench.manager.observe(MODEL, None)
    assert bench.manager.limits(MODEL).parallel == 2


def test_who_is_refused_at_the_end_of_the_process_is_counted_and_told_when_to_come_back() -> None:
    bench = Bench()
    bench.measured(30)
    bench.take()
    request = InferenceRequest("ollama", "chat", "POST", "/api/chat", model=MODEL)
    place = bench.manager.turn(
        request,
        Principal("bob", Role.USER),
        request_id="r2",
        timeout_s=600,
        cancellation=Cancellation(),
    )
    with pytest.raises(QueueFullError) as caught, place as turn:
        bench.manager.close()
        turn.wait()
    assert caught.value.retry_after_s == 30
    assert bench.tally().rejected == 1
    bench.held.close()


def test_what_the_body_raises_once_it_has_its_slot_is_no_refusal_of_ours() -> None:
    bench = Bench()
    with pytest.raises(QueueFullError), bench.held:
        bench.take()
        raise QueueFullError(MODEL)
    assert (bench.tally().rejected, bench.tally().processed) == (0, 1)
