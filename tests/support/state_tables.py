"""Slot tables of both kinds, and tickets that remember what they were told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from ogp.core.errors import QueueFullError
from ogp.core.slots import Claim, SlotLimits, SlotTable
from ogp.core.types import Priority
from ogp.state.local import LocalSlotTable
from ogp.state.local_store import LocalStore
from ogp.state.memory import MemorySlotTable

MODEL = "llama3"
PATIENCE_S = 60.0


class HandClock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)


class Asking:
    """A ticket that remembers its grants."""

    def __init__(
        self,
        user: str = "ann",
        weight: float = 1.0,
        priority: Priority = Priority.INTERACTIVE,
        request_id: str = "",
        noted: Callable[["Asking"], None] = lambda _: None,
    ) -> None:
        self.claim = Claim(user, weight, priority, request_id)
        self.grants = 0
        self.granted = Event()
        self._noted = noted

    def grant(self) -> None:
        self.grants += 1
        self.granted.set()
        self._noted(self)


def limits(parallel: int = 1, max_queue: int = 10, max_per_user: int | None = None) -> SlotLimits:
    return SlotLimits(parallel, max_queue, max_per_user)


def entered(
    table: SlotTable, count: int, given: SlotLimits, user: str = "ann", model: str = MODEL
) -> list[Asking]:
    """So many requests of one user, in the table."""
    tickets = [Asking(user) for _ in range(count)]
    for ticket in tickets:
        table.enter(model, ticket, given)
    return tickets


def admitted(table: SlotTable, ticket: Asking, given: SlotLimits) -> bool:
    try:
        table.enter(MODEL, ticket, given)
    except QueueFullError:
        return False
    return True


def grants(tickets: list[Asking]) -> list[int]:
    return [ticket.grants for ticket in tickets]


@contextmanager
def memory_table(clock: HandClock) -> Iterator[SlotTable]:
    yield MemorySlotTable(clock, batch_patience_s=PATIENCE_S)


@contextmanager
def local_table(clock: HandClock) -> Iterator[SlotTable]:
    """One process' table, in a directory of its own; nothing runs in the background."""
    with TemporaryDirectory() as directory:
        store = LocalStore(Path(directory))
        table = LocalSlotTable(store, clock, batch_patience_s=PATIENCE_S)
        store.start()
        try:
            yield table
        finally:
            table.stop()
            store.stop()


TABLES = {"memory": memory_table, "local": local_table}
