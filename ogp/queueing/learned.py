"""`queue.parallel: learned` for all models: what was learned goes into the shared slot table."""

from collections import OrderedDict
from dataclasses import replace
from threading import Lock

import structlog

from ogp.core.clock import Clock
from ogp.core.slots import SlotTable
from ogp.core.types import Pace
from ogp.queueing.learning import Learner, Sample
from ogp.queueing.limits import ConfiguredLimits
from ogp.queueing.statistics import LearnedFigures
from ogp.settings.queue_schema import QueueSettings

MODELS_LEARNED = 256
"""Models a worker learns for; the one used longest ago makes room."""

log = structlog.get_logger(__name__)


class LearnedParallel:
    """Resizes models by what their requests measured. Thread-safe.

    Every worker process learns from its own requests and reads the number in force from the
    shared table with each of them. A step is a new number computed from the one that was measured:
    it is dropped when another process was faster, and the window then begins anew. So two
    processes never add their steps up.
    """

    def __init__(
        self,
        settings: QueueSettings,
        configured: ConfiguredLimits,
        table: SlotTable,
        clock: Clock,
    ) -> None:
        self._enabled = settings.parallel == "learned"
        self.lowest = settings.learned_min
        self.highest = max(settings.learned_min, settings.learned_max)
        self._configured, self._table, self._clock = configured, table, clock
        self._lock = Lock()  # guards the learners
        self._learners: OrderedDict[str, Learner] = OrderedDict()

    def learns(self, model: str) -> bool:
        """Whether the model's number is to be found, and not given by the operator."""
        return self._enabled and not self._configured.fixes_parallel(model)

    def observe(self, model: str, pace: Pace) -> None:
        """Take what a finished request measured, before its slot is given back."""
        if pace.completion_tokens <= 0 or pace.held_ms <= 0 or not self.learns(model):
            return
        sample = Sample(
            tokens=pace.completion_tokens,
            held_s=pace.held_ms / 1e3,
            first_byte_s=pace.first_byte_ms / 1e3,
            active=self._table.counts(model).active,
            at_s=self._clock.monotonic(),
        )
        level = self._level(model)
        with self._lock:
            learner = self._learner(model)
            wanted = learner.observe(level, sample)
            reason = learner.reason
        if wanted is not None:
            self._apply(model, level, wanted, reason)

    def figures(self, model: str) -> LearnedFigures | None:
        """For `/queue/stats`; None where nothing is learned."""
        if not self.learns(model):
            return None
        level = self._level(model)
        with self._lock:
            learner = self._learners.get(model) or Learner(self.lowest, self.highest)
            return {
                "parallel": level,
                "last_step": learner.last_step,
                "reason": learner.reason,
                "steps": learner.steps,
            }

    def _learner(self, model: str) -> Learner:
        learner = self._learners.setdefault(model, Learner(self.lowest, self.highest))
        self._learners.move_to_end(model)
        if len(self._learners) > MODELS_LEARNED:
            self._learners.popitem(last=False)
        return learner

    def _level(self, model: str) -> int:
        return (self._table.limits(model) or self._configured.of(model)).parallel

    def _apply(self, model: str, level: int, wanted: int, reason: str) -> None:
        limits = self._table.limits(model) or self._configured.of(model)
        if limits.parallel != level:
            return
        try:
            self._table.resize(model, replace(limits, parallel=wanted))
        except ValueError as error:
            log.warning("learned parallelism not applied", model=model, error=str(error))
        else:
            log.info("learned parallelism", model=model, was=level, now=wanted, reason=reason)
