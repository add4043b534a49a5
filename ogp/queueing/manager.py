"""All models' queues: limits of each, one cap for all who wait, and what happened so far."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from ogp.core.clock import Clock
from ogp.core.exchange import Cancellation
from ogp.core.ports import SlotLimits, SlotTable
from ogp.queueing.slots import Slots
from ogp.queueing.statistics import Ledger, ModelStatistics, QueueStatistics, Tally
from ogp.settings.schema import QueueSettings

MODELS_REMEMBERED = 256
"""Models whose statistics are kept; the idle one used longest ago makes room."""


class UnknownQueueError(LookupError):
    """No request has named this model, or it was forgotten since."""

    def __init__(self, model: str, known: tuple[str, ...]) -> None:
        """Keep what was asked for and what there is, sorted."""
        super().__init__(f"No queue found for model {model!r}")
        self.model, self.known = model, known


class QueueManager:
    """The `SlotQueue` of the service: one bounded line per model. Thread-safe."""

    def __init__(
        self,
        settings: QueueSettings,
        table: SlotTable,
        clock: Clock,
        parallel: int,
        max_waiting_total: int,
    ) -> None:
        """Keep the parts.

        Args:
            settings: gives the default of `max_queue`.
            parallel: the default of requests served at once, `auto` resolved.
            max_waiting_total: requests that may wait in this process, all models together; each
                occupies a thread.
        """
        self._table, self._clock = table, clock
        self._default = SlotLimits(parallel=parallel, max_queue=settings.max_queue)
        self._own: dict[str, SlotLimits] = {}
        self._resizing = Lock()  # two changes reach the table in the order they were made here
        self._ledger = Ledger(clock, MODELS_REMEMBERED)
        self._slots = Slots(table, clock, limits_of=self.limits, max_waiting=max_waiting_total)

    @contextmanager
    def slot(
        self, model: str, *, timeout_s: float, cancellation: Cancellation, user: str = ""
    ) -> Iterator[float]:
        """Hold one of the model's slots for the body of the `with`; the value is the wait.

        Args:
            model: canonical name.
            user: whose turn this is; users take turns.
            timeout_s: longest wait, in seconds; 0 asks without waiting.
            cancellation: ends the wait when the client leaves; its error is raised.

        Raises:
            QueueFullError: the model's line is full, or all that may wait in this process do.
            RequestTimeoutError: no slot came free in `timeout_s`.
        """
        with (
            self._ledger.visit(model) as visit,
            self._slots.slot(
                model, timeout_s=timeout_s, cancellation=cancellation, user=user
            ) as waited_s,
        ):
            visit.waited_s, visit.granted_at = waited_s, self._clock.monotonic()
            yield waited_s

    @property
    def waiting(self) -> int:
        """Requests that wait in this process right now, all models together."""
        return self._slots.waiting

    def limits(self, model: str) -> SlotLimits:
        """The limits of the model at this moment."""
        return self._own.get(model, self._default)

    def resize(self, model: str, limits: SlotLimits) -> None:
        """New limits for one model from now on; what runs and waits stays and stays counted."""
        with self._resizing:
            self._own[model] = limits
            self._table.resize(model, limits)

    def statistics(self, model: str | None = None) -> QueueStatistics:
        """The body of `/queue/stats`.

        Args:
            model: show this one only, under its canonical name; None shows all.

        Raises:
            UnknownQueueError: no such model is remembered.
        """
        tallies = self._ledger.snapshot()
        if model is not None and model not in tallies:
            raise UnknownQueueError(model, tuple(tallies))
        shown = tallies if model is None else {model: tallies[model]}
        return {
            "default_parallel": self._default.parallel,
            "default_queue_limit": self._default.max_queue,
            "total_models": len(tallies),
            "models": {name: self._figures(name, tally) for name, tally in shown.items()},
        }

    def _figures(self, model: str, tally: Tally) -> ModelStatistics:
        limits, counts = self.limits(model), self._table.counts(model)
        return {
            "model": model,
            "parallel_limit": limits.parallel,
            "queue_limit": limits.max_queue,
            "active_requests": counts.active,
            "queued_requests": counts.waiting,
            "available_slots": max(0, limits.parallel - counts.active),
            "queue_available": max(0, limits.max_queue - counts.waiting),
            "total_processed": tally.processed,
            "total_rejected": tally.rejected,
            "avg_wait_time_ms": tally.avg_wait_ms,
            "avg_processing_time_ms": tally.avg_held_ms,
            "uptime_seconds": round(self._clock.monotonic() - tally.since, 3),
        }
