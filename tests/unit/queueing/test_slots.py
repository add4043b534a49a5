"""Waiting: grants, deadlines, clients that leave, and races between them. Nothing is ever lost."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from math import inf
from threading import Event, Semaphore

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import ClientGoneError, QueueFullError, RequestTimeoutError
from ogp.core.exchange import Cancellation
from ogp.core.slots import Claim, SlotCounts, SlotLimits, SlotTicket
from ogp.queueing.slots import Slots, Ticket, WaitingRoom
from ogp.state.memory import MemorySlotTable

MODEL = "llama3"
PATIENCE_S = 10.0
IDLE = SlotCounts(active=0, waiting=0)


class SignallingTable(MemorySlotTable):
    """Says when a ticket has entered, and lets a test act at that very moment."""

    def __init__(self) -> None:
        super().__init__(SystemClock(), batch_patience_s=60)
        self.entered = Semaphore(0)
        self.after_enter: Callable[[SlotTicket], None] = lambda ticket: None
        self.before_leave: Callable[[SlotTicket], None] = lambda ticket: None
        self.left: list[SlotTicket] = []

    def enter(self, model: str, ticket: SlotTicket, limits: SlotLimits) -> None:
        super().enter(model, ticket, limits)
        self.after_enter(ticket)
        self.entered.release()

    def leave(self, model: str, ticket: SlotTicket) -> None:
        self.before_leave(ticket)
        self.left.append(ticket)
        super().leave(model, ticket)


class SteppedClock(SystemClock):
    """Advances by one second each time it is read."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def monotonic(self) -> float:
        self._now_s += 1.0
        return self._now_s


class Bench:
    """A table with slots for one model, and threads that ask for them."""

    def __init__(self, parallel: int = 1, max_queue: int = 10, max_waiting: int = 100) -> None:
        self.table = SignallingTable()
        self.limits = SlotLimits(parallel=parallel, max_queue=max_queue)
        self.slots = Slots(self.table, SystemClock(), max_waiting=max_waiting)
        self.pool = ThreadPoolExecutor(16)

    @contextmanager
    def slot(
        self,
        *,
        timeout_s: float = PATIENCE_S,
        cancellation: Cancellation | None = None,
        user: str = "ann",
        model: str = MODEL,
        before_wait: Callable[[], None] = lambda: None,
    ) -> Iterator[float]:
        with self.slots.turn(
            model,
            Claim(user),
            self.limits,
            timeout_s=timeout_s,
            cancellation=cancellation or Cancellation(),
            before_wait=before_wait,
        ) as turn:
            assert turn.wait()
            yield turn.waited_s

    def ask(
        self, timeout_s: float = PATIENCE_S, cancellation: Cancellation | None = None
    ) -> "Future[float]":
        """Ask in a thread of its own; returns once the request is in the line."""

        def body() -> float:
            with self.slot(timeout_s=timeout_s, cancellation=cancellation) as waited_s:
                return waited_s

        future = self.pool.submit(body)
        assert self.table.entered.acquire(timeout=PATIENCE_S)
        return future

    @contextmanager
    def held(self) -> Iterator[None]:
        """A slot that is taken for the body of the `with`."""
        with self.slot(timeout_s=0):
            assert self.table.entered.acquire(timeout=PATIENCE_S)
            yield

    def is_empty(self) -> bool:
        return self.table.counts(MODEL) == IDLE and self.slots.waiting == 0


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.pool.shutdown()
    assert bench.is_empty()


def test_a_free_slot_costs_no_wait(bench: Bench) -> None:
    with bench.slot(timeout_s=0) as waited_s:
        assert waited_s == 0.0


def test_a_slot_is_held_until_the_end_of_the_body(bench: Bench) -> None:
    with bench.slot():
        assert bench.table.counts(MODEL) == SlotCounts(active=1, waiting=0)
    assert bench.table.counts(MODEL) == IDLE


def test_a_waiter_runs_when_the_slot_comes_free(bench: Bench) -> None:
    with bench.held():
        waiter = bench.ask()
        assert bench.table.counts(MODEL) == SlotCounts(active=1, waiting=1)
    assert waiter.result(PATIENCE_S) > 0


class GrantingCancellation(Cancellation):
    """Runs something at the moment the request goes to sleep."""

    def __init__(self, action: Callable[[], None]) -> None:
        super().__init__()
        self._action = action

    @contextmanager
    def interrupt(self, callback: Callable[[], None]) -> Iterator[None]:
        self._action()
        with super().interrupt(callback):
            yield


def test_the_value_is_the_wait_in_seconds() -> None:
    table = MemorySlotTable(SystemClock(), batch_patience_s=60)
    limits = SlotLimits(parallel=1, max_queue=1)
    slots = Slots(table, SteppedClock(), max_waiting=1)
    first = Ticket(Claim("ann"), WaitingRoom(1))
    table.enter(MODEL, first, limits)
    cancellation = GrantingCancellation(lambda: table.leave(MODEL, first))
    with slots.turn(
        MODEL, Claim("bob"), limits, timeout_s=PATIENCE_S, cancellation=cancellation
    ) as turn:
        turn.wait()
        assert turn.waited_s == 2.0  # the clock's second step


def test_no_slot_in_time_is_a_timeout_naming_the_model(bench: Bench) -> None:
    with bench.held(), pytest.raises(RequestTimeoutError) as refusal, bench.slot(timeout_s=0.01):
        pass
    assert refusal.value.facts == {"model": MODEL}


def test_zero_seconds_ask_without_waiting(bench: Bench) -> None:
    with bench.held(), pytest.raises(RequestTimeoutError), bench.slot(timeout_s=0):
        pass


def test_a_wait_without_end_is_allowed(bench: Bench) -> None:
    with bench.held():
        waiter = bench.ask(timeout_s=inf)
    assert waiter.result(PATIENCE_S) > 0


def test_a_timed_out_waiter_leaves_its_place(bench: Bench) -> None:
    with bench.held():
        with pytest.raises(RequestTimeoutError), bench.slot(timeout_s=0.01):
            pass
        assert bench.table.counts(MODEL).waiting == 0
        assert bench.slots.waiting == 0


def test_a_full_queue_refuses_and_leaves_nothing() -> None:
    bench = Bench(max_queue=0)
    with bench.held():
        with pytest.raises(QueueFullError), bench.slot():
            pass
        assert bench.table.counts(MODEL) == SlotCounts(active=1, waiting=0)


def test_a_grant_racing_with_the_deadline_is_passed_on(bench: Bench) -> None:
    """The slot arrives after the waiter has given up and before it leaves the line."""
    holder = bench.slot()
    holder.__enter__()
    assert bench.table.entered.acquire(timeout=PATIENCE_S)
    late = Event()

    def release_first(ticket: SlotTicket) -> None:
        bench.table.before_leave = lambda other: None
        holder.__exit__(None, None, None)
        assert isinstance(ticket, Ticket)
        assert ticket.granted
        late.set()

    bench.table.before_leave = release_first
    with pytest.raises(RequestTimeoutError), bench.slot(timeout_s=0.01):
        pass
    assert late.is_set()
    with bench.slot(timeout_s=0) as waited_s:
        assert waited_s == 0.0


def test_a_grant_that_just_makes_it_is_used(bench: Bench) -> None:
    """Granted between the end of the sleep and the decision: nothing is refused needlessly."""
    with bench.held():
        bench.table.after_enter = lambda ticket: bench.table.resize(
            MODEL, SlotLimits(parallel=2, max_queue=1)
        )
        with bench.slot(timeout_s=0) as waited_s:
            assert waited_s == 0.0


def test_a_client_that_leaves_ends_its_wait(bench: Bench) -> None:
    cancellation = Cancellation()
    with bench.held():
        waiter = bench.ask(cancellation=cancellation)
        cancellation.cancel(ClientGoneError("gone"))
        with pytest.raises(ClientGoneError):
            waiter.result(PATIENCE_S)
        assert bench.table.counts(MODEL).waiting == 0


def test_a_client_that_has_left_already_does_not_wait(bench: Bench) -> None:
    cancellation = Cancellation()
    cancellation.cancel(ClientGoneError("gone"))
    with bench.held(), pytest.raises(ClientGoneError), bench.slot(cancellation=cancellation):
        pass


def test_a_client_that_has_left_already_gets_no_free_slot_either(bench: Bench) -> None:
    cancellation = Cancellation()
    cancellation.cancel(ClientGoneError("gone"))
    with pytest.raises(ClientGoneError), bench.slot(cancellation=cancellation):
        pass


def test_a_slot_granted_to_a_client_that_left_is_passed_on(bench: Bench) -> None:
    cancellation = Cancellation()
    with bench.held():
        waiter = bench.ask(cancellation=cancellation)
        last = bench.ask()
        cancellation.cancel(ClientGoneError("gone"))
    with pytest.raises(ClientGoneError):
        waiter.result(PATIENCE_S)
    assert last.result(PATIENCE_S) > 0


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_slot_is_free_again_after_an_error(bench: Bench, error: type[BaseException]) -> None:
    with pytest.raises(error), bench.slot():
        raise error


def test_a_slot_is_free_again_when_its_context_is_dropped(bench: Bench) -> None:
    slot = bench.slots.turn(
        MODEL, Claim("ann"), bench.limits, timeout_s=0, cancellation=Cancellation()
    )
    slot.__enter__()
    del slot
    assert bench.table.counts(MODEL) == IDLE


def test_an_interrupt_while_waiting_leaves_nothing(bench: Bench) -> None:
    with bench.held():

        def interrupt(ticket: SlotTicket) -> None:
            raise KeyboardInterrupt

        bench.table.after_enter = interrupt
        with pytest.raises(KeyboardInterrupt), bench.slot():
            pass
        assert bench.table.counts(MODEL).waiting == 0


def test_each_ticket_leaves_the_table_once(bench: Bench) -> None:
    with bench.held(), pytest.raises(RequestTimeoutError), bench.slot(timeout_s=0):
        pass
    assert len(bench.table.left) == len(set(bench.table.left)) == 2


def test_who_has_a_slot_at_once_is_not_asked_about_waiting(bench: Bench) -> None:
    asked: list[str] = []
    with bench.slot(before_wait=lambda: asked.append("wait")):
        pass
    assert asked == []


def test_what_is_raised_before_the_wait_ends_the_request(bench: Bench) -> None:
    def refuse() -> None:
        raise QueueFullError(MODEL)

    with bench.held():
        with pytest.raises(QueueFullError), bench.slot(before_wait=refuse):
            pass
        assert bench.table.counts(MODEL).waiting == 0


def test_a_request_that_is_not_refused_before_the_wait_has_its_place(bench: Bench) -> None:
    places: list[SlotCounts] = []
    with (
        bench.held(),
        pytest.raises(RequestTimeoutError),
        bench.slot(timeout_s=0, before_wait=lambda: places.append(bench.table.counts(MODEL))),
    ):
        pass
    assert places == [SlotCounts(active=1, waiting=1)]


def test_all_models_together_may_not_wait_more_than_the_room_seats() -> None:
    bench = Bench(max_waiting=1)
    with bench.held(), bench.slot(model="mistral"):
        waiter = bench.ask()
        with pytest.raises(QueueFullError), bench.slot(model="mistral"):
            pass
        assert bench.slots.waiting == 1
    assert waiter.result(PATIENCE_S) > 0
    assert bench.is_empty()


def test_a_free_slot_is_given_though_nobody_may_wait() -> None:
    bench = Bench(max_waiting=0)
    with bench.slot() as waited_s:
        assert waited_s == 0.0


def test_a_seat_is_free_as_soon_as_its_ticket_is_granted() -> None:
    room = WaitingRoom(1)
    ticket = Ticket(Claim("ann"), room)
    assert room.seat(ticket)
    ticket.grant()
    assert room.taken == 0
    assert room.seat(Ticket(Claim("bob"), room))


def test_a_granted_ticket_takes_no_seat() -> None:
    room = WaitingRoom(1)
    ticket = Ticket(Claim("ann"), room)
    ticket.grant()
    assert room.seat(ticket)
    assert room.taken == 0


def test_a_seat_is_given_back_once() -> None:
    room = WaitingRoom(2)
    leaving, staying = Ticket(Claim("ann"), room), Ticket(Claim("bob"), room)
    assert room.seat(leaving)
    assert room.seat(staying)
    room.free(leaving)
    room.free(leaving)
    assert room.taken == 1


def test_a_wait_for_a_while_says_whether_the_slot_is_there(bench: Bench) -> None:
    place = bench.slots.turn(
        MODEL, Claim("bob"), bench.limits, timeout_s=PATIENCE_S, cancellation=Cancellation()
    )
    with ExitStack() as stack:
        running = stack.enter_context(ExitStack())
        running.enter_context(bench.held())
        turn = stack.enter_context(place)
        assert turn.wait(0.001) is False
        running.close()
        assert turn.wait(0.001) is True
