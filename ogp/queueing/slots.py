"""Waiting for a slot: one event per request, the same for every table.

The table decides who may run and calls `grant`; here a thread sleeps until then, until its
deadline, or until its client has left. However it ends, the ticket leaves the table exactly once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import TIMEOUT_MAX, Event, Lock

from ogp.core.clock import Clock
from ogp.core.errors import QueueFullError, RequestTimeoutError
from ogp.core.exchange import Cancellation
from ogp.core.ports import SlotLimits, SlotTable

LimitsOf = Callable[[str], SlotLimits]
"""The limits of a model at this moment."""


class WaitingRoom:
    """Counts who waits in this process, over all models; `seats` may. Thread-safe.

    Each waiting request sleeps in a thread of its own. Without this cap requests for many models
    could take every thread there is.
    """

    def __init__(self, seats: int) -> None:
        self._seats = seats
        self._lock = Lock()  # guards the count below and every ticket's `seated`
        self._taken = 0

    @property
    def taken(self) -> int:
        """How many wait right now."""
        return self._taken

    def seat(self, ticket: "Ticket") -> bool:
        """Let the ticket wait; False if the room is full. A granted ticket needs no seat."""
        with self._lock:
            if ticket.granted:
                return True
            if self._taken >= self._seats:
                return False
            self._taken += 1
            ticket.seated = True
            return True

    def free(self, ticket: "Ticket") -> None:
        """Give the ticket's seat back, if it has one."""
        with self._lock:
            if ticket.seated:
                ticket.seated = False
                self._taken -= 1


class Ticket:
    """One request's place (`SlotTicket`): its owner sleeps in `sleep`, any thread may grant."""

    __slots__ = ("_awake", "_room", "granted", "seated", "user")

    def __init__(self, user: str, room: WaitingRoom) -> None:
        self.user = user
        self.granted = False
        self.seated = False
        """Guarded by the room's lock."""
        self._room = room
        self._awake = Event()

    def grant(self) -> None:
        """You may run. The seat is free from here on, not only once the owner is awake."""
        self.granted = True  # before `free`: `seat` must see it, or have seated us already
        self._room.free(self)
        self._awake.set()

    def wake(self) -> None:
        """End the sleep without a grant."""
        self._awake.set()

    def sleep(self, timeout_s: float) -> None:
        """Sleep until `grant` or `wake`, at most `timeout_s` seconds of monotonic time."""
        self._awake.wait(min(timeout_s, TIMEOUT_MAX))


class Slots:
    """Takes slots from a table and waits for them. Thread-safe."""

    def __init__(
        self, table: SlotTable, clock: Clock, *, limits_of: LimitsOf, max_waiting: int
    ) -> None:
        """Keep the parts.

        Args:
            max_waiting: requests that may wait in this process, all models together.
        """
        self._table, self._clock, self._limits_of = table, clock, limits_of
        self._room = WaitingRoom(max_waiting)

    @property
    def waiting(self) -> int:
        """How many requests wait in this process, all models together."""
        return self._room.taken

    @contextmanager
    def slot(
        self, model: str, *, timeout_s: float, cancellation: Cancellation, user: str
    ) -> Iterator[float]:
        """Hold one slot for the body of the `with`, as `SlotQueue.slot` promises."""
        ticket = Ticket(user, self._room)
        try:
            self._enter(model, ticket)
            waited_s = 0.0 if ticket.granted else self._sleep(ticket, timeout_s, cancellation)
            cancellation.check()
            if not ticket.granted:
                raise RequestTimeoutError(model)
            yield waited_s
        finally:
            # A grant may still come between the decision above and here: `leave` passes it on.
            self._room.free(ticket)
            self._table.leave(model, ticket)

    def _enter(self, model: str, ticket: Ticket) -> None:
        limits = self._limits_of(model)
        self._table.enter(model, ticket, limits)
        current = self._limits_of(model)
        if current != limits:  # changed meanwhile: the table may hold the old ones again
            self._table.resize(model, current)
        if not self._room.seat(ticket):
            raise QueueFullError(model)

    def _sleep(self, ticket: Ticket, timeout_s: float, cancellation: Cancellation) -> float:
        started = self._clock.monotonic()
        with cancellation.interrupt(ticket.wake):
            ticket.sleep(timeout_s)
        return self._clock.monotonic() - started
