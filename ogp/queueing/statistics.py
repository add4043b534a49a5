"""Figures per model, and which models are remembered."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import itemgetter
from threading import Lock
from typing import TypedDict

from ogp.core.clock import Clock
from ogp.core.errors import QueueFullError, RequestTimeoutError


class ModelStatistics(TypedDict):
    """One model in `/queue/stats`. Times are means since the model was first seen."""

    model: str
    parallel_limit: int
    queue_limit: int
    active_requests: int
    queued_requests: int
    available_slots: int
    queue_available: int
    total_processed: int
    """Requests that held a slot and have given it back, however they ended."""
    total_rejected: int
    """Requests refused: the queue was full, or no slot came free in time."""
    avg_wait_time_ms: float
    """Wait for the slot, of the processed ones."""
    avg_processing_time_ms: float
    """From getting the slot to giving it back, of the processed ones."""
    uptime_seconds: float


class QueueStatistics(TypedDict):
    """The body of `/queue/stats`."""

    default_parallel: int
    default_queue_limit: int
    total_models: int
    """Models remembered, whether `models` shows all of them or one."""
    models: dict[str, ModelStatistics]


@dataclass(slots=True)
class Tally:
    """What is counted for one model. Guarded by the lock of its `Ledger`."""

    since: float
    """Monotonic time at which counting began, in seconds."""
    present: int = 0
    """Requests inside `slot` right now; a model with some is not forgotten."""
    processed: int = 0
    rejected: int = 0
    waited_s: float = 0.0
    held_s: float = 0.0

    @property
    def avg_wait_ms(self) -> float:
        """Mean wait of the processed requests."""
        return round(1e3 * self.waited_s / self.processed, 3) if self.processed else 0.0

    @property
    def avg_held_ms(self) -> float:
        """Mean time a slot was held."""
        return round(1e3 * self.held_s / self.processed, 3) if self.processed else 0.0


class Visit:
    """One request's passage through a queue."""

    __slots__ = ("granted_at", "waited_s")

    def __init__(self) -> None:
        self.granted_at: float | None = None
        """Monotonic time of the slot, in seconds; None while there is none."""
        self.waited_s = 0.0


class Ledger:
    """Tallies of the `capacity` models used last. Thread-safe.

    Clients name models as they like, so what is remembered is bounded: the idle model that was
    used longest ago goes first. Models in use stay, and those are bounded by threads.
    """

    def __init__(self, clock: Clock, capacity: int) -> None:
        self._clock, self._capacity = clock, capacity
        self._lock = Lock()  # guards the tallies and their order; held for additions only
        self._tallies: OrderedDict[str, Tally] = OrderedDict()

    @contextmanager
    def visit(self, model: str) -> Iterator[Visit]:
        """Count the body of the `with` as one request for the model.

        It was processed if `granted_at` is set meanwhile, rejected if the queue's refusal passes
        before that, and neither if its client left first.
        """
        visit = Visit()
        refused = False
        self._arrive(model)
        try:
            yield visit
        except (QueueFullError, RequestTimeoutError):
            refused = visit.granted_at is None
            raise
        finally:
            self._depart(model, visit, refused=refused)

    def snapshot(self) -> dict[str, Tally]:
        """Copies of all tallies, by name of the model, sorted."""
        with self._lock:
            copies = [(model, replace(tally)) for model, tally in self._tallies.items()]
        return dict(sorted(copies, key=itemgetter(0)))

    def _arrive(self, model: str) -> None:
        now = self._clock.monotonic()
        with self._lock:
            tally = self._tallies.setdefault(model, Tally(since=now))
            self._tallies.move_to_end(model)
            tally.present += 1
            self._forget_idle()

    def _depart(self, model: str, visit: Visit, *, refused: bool) -> None:
        now = self._clock.monotonic()
        with self._lock:
            tally = self._tallies[model]
            tally.present -= 1
            tally.rejected += refused
            if visit.granted_at is not None:
                tally.processed += 1
                tally.waited_s += visit.waited_s
                tally.held_s += now - visit.granted_at
            self._forget_idle()

    def _forget_idle(self) -> None:
        excess = len(self._tallies) - self._capacity
        if excess <= 0:
            return
        idle = [model for model, tally in self._tallies.items() if not tally.present]
        for model in idle[:excess]:
            del self._tallies[model]
