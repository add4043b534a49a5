"""The slot table of one process: who runs and who waits, per model, under one lock."""

from threading import Lock

from ogp.core.errors import QueueFullError
from ogp.core.ports import SlotCounts, SlotLimits, SlotTicket
from ogp.state.turns import Turns

NOBODY = SlotCounts(active=0, waiting=0)


class Line:
    """One model's running and waiting tickets. Not thread-safe; the table holds its lock.

    Between two calls a slot is never free while somebody waits: whoever gives one back hands it
    on in the same breath, so a newcomer cannot overtake.
    """

    def __init__(self, limits: SlotLimits) -> None:
        self.limits = limits
        self._running: set[SlotTicket] = set()
        self._waiting = Turns()

    @property
    def counts(self) -> SlotCounts:
        """How many run and wait."""
        return SlotCounts(active=len(self._running), waiting=len(self._waiting))

    @property
    def is_idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return not self._running and not self._waiting

    def admit(self, ticket: SlotTicket) -> bool:
        """Let the ticket run or wait; False if there is room for neither."""
        if len(self._running) < self.limits.parallel:
            self._run(ticket)
            return True
        if len(self._waiting) < self.limits.max_queue:
            self._waiting.add(ticket)
            return True
        return False

    def remove(self, ticket: SlotTicket) -> None:
        """Forget the ticket, wherever it is."""
        self._running.discard(ticket)
        self._waiting.discard(ticket)

    def hand_over(self) -> None:
        """Let those run for whom there is room, in their turn."""
        while self._waiting and len(self._running) < self.limits.parallel:
            self._run(self._waiting.take())

    def _run(self, ticket: SlotTicket) -> None:
        self._running.add(ticket)
        ticket.grant()


class MemorySlotTable:
    """A `SlotTable` for one process, exact over its threads. Thread-safe.

    A model nobody uses holds no memory, so names that clients invent cost nothing. The limits
    given to `enter` therefore count for a model that was idle; after that `resize` changes them.
    """

    def __init__(self) -> None:
        self._lock = Lock()  # guards all lines; `grant` is called under it and returns at once
        self._lines: dict[str, Line] = {}

    def enter(self, model: str, ticket: SlotTicket, limits: SlotLimits) -> None:
        """Take a slot (`grant` is called before this returns) or a place in the line.

        Raises:
            QueueFullError: no slot and no place.
        """
        with self._lock:
            line = self._lines.get(model) or Line(limits)
            if not line.admit(ticket):
                raise QueueFullError(model)
            self._lines[model] = line

    def leave(self, model: str, ticket: SlotTicket) -> None:
        """Give back a slot or a place; whoever may run now is granted before this returns.

        May be called again, and for a ticket that was refused: neither changes anything. So a
        caller can leave in a `finally` that also covers `enter`.
        """
        with self._lock:
            line = self._lines.get(model)
            if line is None:
                return
            line.remove(ticket)
            line.hand_over()
            if line.is_idle:
                del self._lines[model]

    def resize(self, model: str, limits: SlotLimits) -> None:
        """New limits from now on; what runs goes on and stays counted, who waits keeps waiting."""
        with self._lock:
            line = self._lines.get(model)
            if line is not None:
                line.limits = limits
                line.hand_over()

    def counts(self, model: str) -> SlotCounts:
        """How many run and wait right now."""
        with self._lock:
            line = self._lines.get(model)
            return line.counts if line is not None else NOBODY
