"""What the queues tell of themselves."""

from collections.abc import Mapping
from typing import TypedDict

from ogp.core.clock import Clock
from ogp.core.slots import Place, SlotLimits, SlotTable, Tally, TallyBook
from ogp.queueing.alerts import MEMORY, Alert, judge, worst
from ogp.queueing.forecast import predicted_wait_s, service_s
from ogp.queueing.learned import LearnedParallel
from ogp.queueing.limits import ConfiguredLimits
from ogp.queueing.parallelism import memory_percent
from ogp.queueing.statistics import ModelStatistics, QueueStatistics, alerts_of, figures


class UnknownQueueError(LookupError):
    """No request has named this model, or it was forgotten since."""

    def __init__(self, model: str, known: tuple[str, ...]) -> None:
        """Keep what was asked for and what there is, sorted."""
        super().__init__(f"No queue found for model {model!r}")
        self.model, self.known = model, known


class QueueSummary(TypedDict):
    """All queues in a few figures, without names."""

    default_parallel: int
    default_queue_limit: int
    total_models: int
    active: int
    waiting: int
    status: str


class WaitingFigures(TypedDict):
    """Where one waiting request stands."""

    request_id: str
    model: str
    state: str
    priority: str
    position: int
    """1 is the next."""
    ahead: int
    waiting: int
    waited_s: float
    predicted_wait_s: float | None
    """From now on; None before anything was measured."""


class QueueReport:
    """Reads the shared state of all queues. Thread-safe."""

    def __init__(
        self,
        configured: ConfiguredLimits,
        table: SlotTable,
        book: TallyBook,
        clock: Clock,
        *,
        learned: LearnedParallel,
    ) -> None:
        self._configured, self._table, self._book = configured, table, book
        self._clock, self._learned = clock, learned

    @property
    def waiting(self) -> int:
        """Requests that wait right now, all models together."""
        return self._table.waiting()

    def statistics(self, model: str | None = None) -> QueueStatistics:
        """The body of `/queue/stats`.

        Args:
            model: show this one only, under its canonical name; None shows all.

        Raises:
            UnknownQueueError: no such model is remembered.
        """
        tallies = self._book.tallies()
        shown = tallies if model is None else {model: self._one(tallies, model)}
        now = self._clock.now().timestamp()
        memory = self._memory_alerts()
        alerts = list(memory)
        reasons = [alert.reason for alert in memory]
        models: dict[str, ModelStatistics] = {}
        for name, tally in shown.items():
            limits, counts = self._limits(name), self._table.counts(name)
            found = alerts_of(limits, counts, tally)
            alerts += found
            reasons += [f"{name}: {alert.reason}" for alert in found]
            models[name] = figures(name, limits, counts, tally, found, now=now)
            learned = self._learned.figures(name)
            if learned is not None:
                models[name]["learned"] = learned
        return {
            "default_parallel": self._configured.default.parallel,
            "default_queue_limit": self._configured.default.max_queue,
            "total_models": len(tallies),
            "status": worst(alerts),
            "reasons": reasons,
            "models": models,
        }

    def summary(self) -> QueueSummary:
        """The same in short, for those who may not see names of models."""
        tallies = self._book.tallies()
        alerts, active = self._memory_alerts(), 0
        for model, tally in tallies.items():
            counts = self._table.counts(model)
            active += counts.active
            alerts += alerts_of(self._limits(model), counts, tally)
        return {
            "default_parallel": self._configured.default.parallel,
            "default_queue_limit": self._configured.default.max_queue,
            "total_models": len(tallies),
            "active": active,
            "waiting": self._table.waiting(),
            "status": worst(alerts),
        }

    def place(self, request_id: str, user: str | None = None) -> WaitingFigures | None:
        """Where a request stands; None if none of this name waits.

        Args:
            user: whose it must be; None takes anybody's.
        """
        place = self._table.place(request_id)
        if place is None or (user is not None and place.claim.user != user):
            return None
        wait_s = self._wait_s(place)
        return {
            "request_id": request_id,
            "model": place.model,
            "state": "waiting",
            "priority": place.claim.priority,
            "position": place.ahead + 1,
            "ahead": place.ahead,
            "waiting": place.waiting,
            "waited_s": round(place.waited_s, 3),
            "predicted_wait_s": None if wait_s is None else round(wait_s, 3),
        }

    def reset(self, model: str | None = None) -> None:
        """Begin to count anew; what runs and waits is left alone and stays counted as such.

        Raises:
            UnknownQueueError: no such model is remembered.
        """
        if model is not None:
            self._one(self._book.tallies(), model)
        self._book.reset(model)

    def _one(self, tallies: Mapping[str, Tally], model: str) -> Tally:
        if model not in tallies:
            raise UnknownQueueError(model, tuple(tallies))
        return tallies[model]

    def _limits(self, model: str) -> SlotLimits:
        return self._table.limits(model) or self._configured.of(model)

    def _memory_alerts(self) -> list[Alert]:
        alert = judge(MEMORY, memory_percent())
        return [] if alert is None else [alert]

    def _wait_s(self, place: Place) -> float | None:
        held_s = service_s(self._book.tally(place.model))
        if held_s is None:
            return None
        active = self._table.counts(place.model).active
        return predicted_wait_s(place.ahead, active, self._limits(place.model).parallel, held_s)
