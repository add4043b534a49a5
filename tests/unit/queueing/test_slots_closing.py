"""A process that is about to end refuses who waits, and nothing is lost."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Semaphore

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import QueueFullError
from ogp.core.exchange import Cancellation
from ogp.core.slots import Claim, SlotCounts, SlotLimits
from ogp.queueing.slots import Slots, Ticket, WaitingRoom
from ogp.state.memory import MemorySlotTable

MODEL = "llama3"
WAIT_S = 10.0
LIMITS = SlotLimits(parallel=1, max_queue=10)


def use(
    slots: Slots, *, sign_s: float | None = None, in_line: Callable[[], None] = lambda: None
) -> None:
    """Wait for a slot and give it back."""
    with slots.turn(
        MODEL,
        Claim("ann"),
        LIMITS,
        timeout_s=WAIT_S,
        cancellation=Cancellation(),
        before_wait=in_line,
    ) as turn:
        while not turn.wait(sign_s):
            pass


@pytest.mark.parametrize("sign_s", [None, 0.01])
def test_who_waits_is_refused_and_what_runs_goes_on(sign_s: float | None) -> None:
    table = MemorySlotTable(SystemClock(), batch_patience_s=60)
    slots = Slots(table, SystemClock(), max_waiting=10)
    running = slots.turn(MODEL, Claim("ann"), LIMITS, timeout_s=WAIT_S, cancellation=Cancellation())
    with ThreadPoolExecutor() as pool, running as turn:
        assert turn.wait()
        waits = Semaphore(0)
        waiting: list[Future[None]] = [
            pool.submit(use, slots, sign_s=sign_s, in_line=waits.release) for _ in range(3)
        ]
        assert all(waits.acquire(timeout=WAIT_S) for _ in waiting)
        slots.close()
        for future in waiting:
            with pytest.raises(QueueFullError):
                future.result(WAIT_S)
        assert table.counts(MODEL) == SlotCounts(active=1, waiting=0)
        with pytest.raises(QueueFullError):
            use(slots)
    assert table.counts(MODEL) == SlotCounts(active=0, waiting=0)
    use(slots)  # nobody has to wait for a free slot


def test_who_was_granted_before_it_heard_of_the_end_is_served() -> None:
    room = WaitingRoom(1)
    ticket = Ticket(Claim("ann"), room)
    assert room.seat(ticket)
    ticket.grant()
    room.close()
    assert (ticket.granted, ticket.refused) == (True, False)
    assert room.seat(ticket)


def test_nobody_sits_down_after_the_end() -> None:
    room = WaitingRoom(1)
    room.close()
    assert not room.seat(Ticket(Claim("ann"), room))
