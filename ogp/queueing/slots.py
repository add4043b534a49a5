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
from ogp.core.slots import Claim, SlotLimits, SlotTable


class WaitingRoom:
    """Counts who waits in this process, over all models; `seats` may. Thread-safe.

    Each waiting request sleeps in a thread of its own. Without this cap requests for many models
    could take every thread there is.
    """

    def __init__(self, seats: int) -> None:
        self._seats = seats
        self._lock = Lock()  # guards the two below
        self._seated: set[Ticket] = set()
        self._is_closed = False

    @property
    def taken(self) -> int:
        """How many wait right now."""
        return len(self._seated)

    def seat(self, ticket: "Ticket") -> bool:
        """Let the ticket wait; False if the room is full. A granted ticket needs no seat."""
        with self._lock:
            if ticket.granted:
                return True
            if self._is_closed or len(self._seated) >= self._seats:
                return False
            self._seated.add(ticket)
            return True

    def free(self, ticket: "Ticket") -> None:
        """Give the ticket's seat back, if it has one."""
        with self._lock:
            self._seated.discard(ticket)

    def close(self) -> None:
        """Refuse all who wait, and who comes to wait from now on."""
        with self._lock:
            self._is_closed = True
            seated = tuple(self._seated)
        for ticket in seated:
            ticket.refuse()


class Ticket:
    """One request's place (`SlotTicket`): its owner sleeps in `sleep`, any thread may grant."""

    __slots__ = ("_awake", "_room", "claim", "granted", "refused")

    def __init__(self, claim: Claim, room: WaitingRoom) -> None:
        self.claim = claim
        self.granted = False
        self.refused = False
        self._room = room
        self._awake = Event()

    def grant(self) -> None:
        """You may run. The seat is free from here on, not only once the owner is awake."""
        self.granted = True  # before `free`: `seat` must see it, or have seated us already
        self._room.free(self)
        self._awake.set()

    def refuse(self) -> None:
        """You will not run, unless you may already."""
        self.refused = True
        self._awake.set()

    def wake(self) -> None:
        """End the sleep without a grant."""
        self._awake.set()

    def sleep(self, timeout_s: float) -> None:
        """Sleep until `grant` or `wake`, at most `timeout_s` seconds of monotonic time."""
        self._awake.wait(min(timeout_s, TIMEOUT_MAX))


class QueueTurn:
    """One request's place in its model's line, then its slot (`Turn`). For one thread."""

    def __init__(
        self,
        model: str,
        ticket: Ticket,
        clock: Clock,
        *,
        timeout_s: float,
        cancellation: Cancellation,
        on_timeout: Callable[[RequestTimeoutError], None],
    ) -> None:
        """Begin to wait now.

        Args:
            on_timeout: told of the refusal before it is raised.
        """
        self._on_timeout = on_timeout
        self._model, self._ticket, self._clock = model, ticket, clock
        self._cancellation = cancellation
        self._began = clock.monotonic()
        self._deadline = self._began + timeout_s
        self.waited_s = 0.0
        self.granted_at: float | None = None
        """Monotonic time at which its owner had the slot in hand; None before that."""

    def wait(self, at_most_s: float | None = None) -> bool:
        """Sleep until the slot is there; see `Turn.wait`."""
        if not self._ticket.granted:
            left_s = max(0.0, self._deadline - self._clock.monotonic())
            with self._cancellation.interrupt(self._ticket.wake):
                self._ticket.sleep(left_s if at_most_s is None else min(left_s, at_most_s))
            self.waited_s = self._clock.monotonic() - self._began
        self._cancellation.check()
        if self._ticket.granted:
            self.granted_at = self._clock.monotonic()
            return True
        if self._ticket.refused:
            raise QueueFullError(self._model)
        if at_most_s is None or self._clock.monotonic() >= self._deadline:
            error = RequestTimeoutError(self._model)
            self._on_timeout(error)
            raise error
        return False


class Slots:
    """Takes slots from a table and waits for them. Thread-safe."""

    def __init__(self, table: SlotTable, clock: Clock, *, max_waiting: int) -> None:
        """Keep the parts.

        Args:
            max_waiting: requests that may wait in this process, all models together.
        """
        self._table, self._clock = table, clock
        self._room = WaitingRoom(max_waiting)

    @property
    def waiting(self) -> int:
        """How many requests wait in this process, all models together."""
        return self._room.taken

    def close(self) -> None:
        """Refuse all who wait in this process, and who comes to wait from now on."""
        self._room.close()

    @contextmanager
    def turn(
        self,
        model: str,
        claim: Claim,
        limits: SlotLimits,
        *,
        timeout_s: float,
        cancellation: Cancellation,
        before_wait: Callable[[], None] = lambda: None,
        on_timeout: Callable[[RequestTimeoutError], None] = lambda _: None,
    ) -> Iterator[QueueTurn]:
        """Have a place in the line, or a slot, for the body of the `with`.

        Args:
            limits: the configured ones; live ones, which the table knows, come before these.
            before_wait: called when the request has its place in the line; what it raises ends it.
            on_timeout: told that no slot came in time.
        """
        ticket = Ticket(claim, self._room)
        try:
            turn = QueueTurn(
                model,
                ticket,
                self._clock,
                timeout_s=timeout_s,
                cancellation=cancellation,
                on_timeout=on_timeout,
            )
            self._enter(model, ticket, limits)
            if not ticket.granted:
                before_wait()
            yield turn
        finally:
            # A grant may still come between the decision above and here: `leave` passes it on.
            self._room.free(ticket)
            self._table.leave(model, ticket)

    def _enter(self, model: str, ticket: Ticket, limits: SlotLimits) -> None:
        self._table.enter(model, ticket, limits)
        if not self._room.seat(ticket):
            raise QueueFullError(model)
