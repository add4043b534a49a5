"""Limits that change while the service runs, and those that outlast it."""

from dataclasses import dataclass, replace

import structlog

from ogp.core.clock import Clock
from ogp.core.errors import InvalidRequestError, LimitsUnavailableError
from ogp.core.slots import SlotLimits, SlotTable, TallyBook
from ogp.queueing.learned import LearnedParallel
from ogp.queueing.limits import ConfiguredLimits
from ogp.settings.section import MAX_WAITING
from ogp.storage.model_limits import ModelLimitsStore
from ogp.storage.writer import StorageUnavailableError

MOST_PARALLEL = 1024
"""More requests of one model at once than any server takes."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LimitChange:
    """What an administrator asks for; None leaves a limit as it is."""

    model: str
    parallel: int | None = None
    max_queue: int | None = None
    persist: bool | None = None
    """True stores the limits, False forgets the stored ones, None leaves them alone."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the threads of one worker process allow."""

    running: int
    """Requests that may run, all models together."""
    waiting: int
    """Requests that may wait, all models together."""


class LiveLimits:
    """Changes limits in the shared table, so in all worker processes at once. Thread-safe."""

    def __init__(
        self,
        configured: ConfiguredLimits,
        table: SlotTable,
        book: TallyBook,
        store: ModelLimitsStore,
        clock: Clock,
        *,
        learned: LearnedParallel,
        capacity: Capacity,
    ) -> None:
        self._configured, self._table, self._book = configured, table, book
        self._store, self._clock = store, clock
        self._learned, self._capacity = learned, capacity

    def start(self) -> None:
        """Apply the stored limits, but for models whose limits were changed in this service since.

        The first worker process finds none of those; one that comes later, or replaces another,
        finds what is in force and leaves it.
        """
        try:
            stored = self._store.read()
        except StorageUnavailableError as error:
            log.error("stored limits of queues cannot be read", error=str(error))
            return
        for model, limits in stored.items():
            if self._table.limits(model) is None:
                self._restore(model, limits)

    def update(self, change: LimitChange, *, set_by: str) -> SlotLimits:
        """Change one model's limits from now on; what runs and waits goes on and stays counted.

        Returns:
            The limits now in force.

        Raises:
            InvalidRequestError: a limit is out of its bounds; the message names field and bound.
            LimitsUnavailableError: they cannot be stored; nothing was changed.
        """
        self._check(change)
        current = self._table.limits(change.model) or self._configured.of(change.model)
        limits = replace(
            current,
            parallel=current.parallel if change.parallel is None else change.parallel,
            max_queue=current.max_queue if change.max_queue is None else change.max_queue,
        )
        self._store_as_asked(change, limits, set_by)
        if change.parallel is not None or change.max_queue is not None:
            try:
                self._table.resize(change.model, limits)
            except ValueError as error:
                raise InvalidRequestError(f"model cannot be given limits: {error}") from error
        self._book.see(change.model)
        log.info(
            "limits changed",
            model=change.model,
            parallel=limits.parallel,
            max_queue=limits.max_queue,
            persist=change.persist,
            set_by=set_by,
        )
        return limits

    def note(self, limits: SlotLimits) -> str | None:
        """What an administrator should know of limits that are in force; None if nothing."""
        if limits.max_queue <= self._capacity.waiting:
            return None
        return (
            f"A worker process has threads for {self._capacity.waiting} waiting requests, all "
            "models together; it refuses further ones until queue.max_queue is raised in the "
            "configuration."
        )

    def _check(self, change: LimitChange) -> None:
        running = self._capacity.running
        _check_range("parallel_limit", change.parallel, 1, MOST_PARALLEL)
        _check_range("queue_limit", change.max_queue, 0, MAX_WAITING)
        if change.parallel is None:
            return
        if change.parallel > running:
            raise InvalidRequestError(
                f"parallel_limit must be at most {running}: a worker process has threads for that "
                "many running requests. A higher queue.parallel in the configuration makes more."
            )
        if self._learned.learns(change.model):
            _check_range(
                "parallel_limit",
                change.parallel,
                self._learned.lowest,
                self._learned.highest,
                " (queue.learned_min and queue.learned_max)",
            )

    def _store_as_asked(self, change: LimitChange, limits: SlotLimits, set_by: str) -> None:
        if change.persist is None:
            return
        try:
            if change.persist:
                now = self._clock.now()
                self._store.keep(change.model, limits, set_at=now, set_by=set_by)
            else:
                self._store.forget(change.model)
        except StorageUnavailableError as error:
            log.error("limits of a queue cannot be stored", error=str(error))
            raise LimitsUnavailableError(
                "The limits cannot be stored at the moment; nothing was changed."
            ) from error

    def _restore(self, model: str, stored: SlotLimits) -> None:
        limits = SlotLimits(
            min(max(1, stored.parallel), self._capacity.running),
            min(max(0, stored.max_queue), MAX_WAITING),
            self._configured.of(model).max_per_user,
        )
        try:
            self._table.resize(model, limits)
        except ValueError as error:
            log.error("stored limits not applied", model=model, error=str(error))
        else:
            self._book.see(model)


def _check_range(field: str, value: int | None, least: int, most: int, why: str = "") -> None:
    if value is not None and not least <= value <= most:
        raise InvalidRequestError(f"{field} must be a number from {least} to {most}{why}.")
