"""Slots and tallies of one process: who runs and who waits, per model, under one lock."""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Lock
from typing import TypeVar

from ogp.core.clock import Clock
from ogp.core.errors import QueueFullError
from ogp.core.slots import (
    BUCKETS_MS,
    RECENT_SHARE,
    Place,
    SlotCounts,
    SlotLimits,
    SlotTicket,
    Tally,
)
from ogp.state.turns import Turns, Waiting

T = TypeVar("T")

NOBODY = SlotCounts(active=0, waiting=0)

MODELS_RESIZED = 1024
"""Models whose limits `resize` may set; every table keeps to it."""


class TooManyLimitsError(ValueError):
    """`resize` was asked to remember one model more than there is room for."""

    def __init__(self) -> None:
        super().__init__(f"Limits of {MODELS_RESIZED} models are set; no more can be.")


class Line:
    """One model's running and waiting tickets. Not thread-safe; the table holds its lock.

    Between two calls a slot is never free while somebody waits: whoever gives one back hands it
    on in the same breath, so a newcomer cannot overtake.
    """

    def __init__(self, limits: SlotLimits, batch_patience_s: float) -> None:
        self.limits = limits
        self._running: set[SlotTicket] = set()
        self._waiting: dict[SlotTicket, Waiting[SlotTicket]] = {}
        self._turns: Turns[SlotTicket] = Turns(batch_patience_s)
        self._arrivals = 0

    @property
    def counts(self) -> SlotCounts:
        """How many run and wait."""
        return SlotCounts(active=len(self._running), waiting=len(self._turns))

    @property
    def is_idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return not self._running and not self._turns

    def admit(self, ticket: SlotTicket, now: float) -> bool:
        """Let the ticket run or wait; False if there is room for neither."""
        claim, limits = ticket.claim, self.limits
        if len(self._running) < limits.parallel:
            self._turns.serve(claim)
            self._run(ticket)
            return True
        if len(self._turns) >= limits.max_queue:
            return False
        if (
            limits.max_per_user is not None
            and self._turns.waiting_of(claim.user) >= limits.max_per_user
        ):
            return False
        self._arrivals += 1
        waiting = self._waiting[ticket] = Waiting(ticket, claim, now, self._arrivals)
        self._turns.add(waiting)
        return True

    def remove(self, ticket: SlotTicket, now: float) -> None:
        """Forget the ticket, wherever it is."""
        self._running.discard(ticket)
        waiting = self._waiting.pop(ticket, None)
        if waiting is not None:
            self._turns.discard(waiting, now)

    def hand_over(self, now: float) -> None:
        """Let those run for whom there is room, in their turn."""
        while self._turns and len(self._running) < self.limits.parallel:
            ticket = self._turns.take(now).ticket
            del self._waiting[ticket]
            self._run(ticket)

    def find(self, request_id: str) -> Waiting[SlotTicket] | None:
        """The waiting request of this id."""
        for waiting in self._waiting.values():
            if waiting.claim.request_id == request_id:
                return waiting
        return None

    def turns(self) -> Turns[SlotTicket]:
        """A copy of the order."""
        return self._turns.copy()

    def _run(self, ticket: SlotTicket) -> None:
        self._running.add(ticket)
        ticket.grant()


def place_of(model: str, sought: Waiting[T], turns: Turns[T], now: float) -> Place:
    """Where one of the waiting stands, if time stood still; `turns` is used up."""
    waiting, ahead = len(turns), 0
    while turns.take(now) is not sought:
        ahead += 1
    return Place(model, sought.claim, ahead, waiting, waited_s=now - sought.since)


class MemorySlotTable:
    """A `SlotTable` for one process, exact over its threads. Thread-safe.

    A model nobody uses holds no memory unless `resize` set its limits, so names that clients
    invent cost nothing.
    """

    def __init__(self, clock: Clock, *, batch_patience_s: float) -> None:
        """Keep the parts.

        Args:
            batch_patience_s: after this wait a `batch` request takes turns with the others.
        """
        self._clock, self._batch_patience_s = clock, batch_patience_s
        self._lock = Lock()  # guards the two below; `grant` is called under it, returns at once
        self._lines: dict[str, Line] = {}
        self._resized: dict[str, SlotLimits] = {}

    def enter(self, model: str, ticket: SlotTicket, limits: SlotLimits) -> None:
        """Take a slot (`grant` is called before this returns) or a place in the line.

        Raises:
            QueueFullError: no slot and no place.
        """
        with self._lock:
            now = self._clock.monotonic()
            limits = self._resized.get(model, limits)
            line = self._lines.get(model) or Line(limits, self._batch_patience_s)
            line.limits = limits
            line.hand_over(now)
            if not line.admit(ticket, now):
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
            now = self._clock.monotonic()
            line.remove(ticket, now)
            line.hand_over(now)
            if line.is_idle:
                del self._lines[model]

    def resize(self, model: str, limits: SlotLimits) -> None:
        """New limits from now on; what runs goes on and stays counted, who waits keeps waiting.

        Raises:
            TooManyLimitsError: a `ValueError`; `MODELS_RESIZED` other models have limits set.
        """
        with self._lock:
            if model not in self._resized and len(self._resized) >= MODELS_RESIZED:
                raise TooManyLimitsError
            self._resized[model] = limits
            line = self._lines.get(model)
            if line is not None:
                line.limits = limits
                line.hand_over(self._clock.monotonic())

    def limits(self, model: str) -> SlotLimits | None:
        """What `resize` set; None if nothing did."""
        with self._lock:
            return self._resized.get(model)

    def resized(self) -> Mapping[str, SlotLimits]:
        """All limits that `resize` set, by model."""
        with self._lock:
            return dict(self._resized)

    def counts(self, model: str) -> SlotCounts:
        """How many run and wait right now."""
        with self._lock:
            line = self._lines.get(model)
            return line.counts if line is not None else NOBODY

    def waiting(self) -> int:
        """How many wait, all models together."""
        with self._lock:
            return sum(line.counts.waiting for line in self._lines.values())

    def place(self, request_id: str) -> Place | None:
        """Where a waiting request stands; None if it does not wait. Costs a copy of the line."""
        if not request_id:
            return None
        with self._lock:
            found = self._find(request_id)
            if found is None:
                return None
            model, sought = found
            turns, now = self._lines[model].turns(), self._clock.monotonic()
        return place_of(model, sought, turns, now)

    def _find(self, request_id: str) -> tuple[str, Waiting[SlotTicket]] | None:
        for model, line in self._lines.items():
            waiting = line.find(request_id)
            if waiting is not None:
                return model, waiting
        return None


def bucket_of(duration_ms: float) -> int:
    """The index in `BUCKETS_MS` that holds this duration."""
    return min(bisect_left(BUCKETS_MS, duration_ms), len(BUCKETS_MS) - 1)


def raised(counts: tuple[int, ...], duration_ms: float) -> tuple[int, ...]:
    """The histogram with one more duration."""
    index = bucket_of(duration_ms)
    return (*counts[:index], counts[index] + 1, *counts[index + 1 :])


class MemoryTallyBook:
    """A `TallyBook` for one process. Thread-safe."""

    def __init__(
        self,
        clock: Clock,
        capacity: int = 256,
        counts: Callable[[str], SlotCounts] = lambda _: NOBODY,
    ) -> None:
        """Keep the parts.

        Args:
            capacity: models remembered; the idle one used longest ago makes room.
            counts: how many requests of a model run and wait, e.g. `MemorySlotTable.counts`.
        """
        self._clock, self._capacity, self._counts = clock, capacity, counts
        self._lock = Lock()  # guards what is below
        self._tallies: OrderedDict[str, Tally] = OrderedDict()

    def processed(self, model: str, *, waited_ms: float, held_ms: float) -> None:
        """Count a request that gave its slot back."""
        with self._lock:
            tally = self._seen(model)
            newest = RECENT_SHARE if tally.processed else 1.0
            tally.recent_held_ms += newest * (held_ms - tally.recent_held_ms)
            tally.processed += 1
            tally.waited_ms += waited_ms
            tally.held_ms += held_ms
            tally.waits = raised(tally.waits, waited_ms)
            tally.holds = raised(tally.holds, held_ms)

    def rejected(self, model: str) -> None:
        """Count a refusal."""
        with self._lock:
            self._seen(model).rejected += 1

    def tally(self, model: str) -> Tally | None:
        """One model's, as it is now; None if it is not remembered."""
        with self._lock:
            tally = self._tallies.get(model)
            return replace(tally) if tally is not None else None

    def tallies(self) -> Mapping[str, Tally]:
        """All, by name of the model, sorted."""
        with self._lock:
            return {model: replace(self._tallies[model]) for model in sorted(self._tallies)}

    def see(self, model: str) -> None:
        """Remember a model as used now; what was counted stays."""
        with self._lock:
            self._seen(model)

    def reset(self, model: str | None = None) -> None:
        """Begin to count anew, for one model or all; which models are remembered stays."""
        with self._lock:
            for name in self._tallies if model is None else {model} & self._tallies.keys():
                self._tallies[name] = self._fresh()

    def _fresh(self) -> Tally:
        return Tally(since=self._clock.now().timestamp())

    def _seen(self, model: str) -> Tally:
        tally = self._tallies.get(model)
        if tally is None:
            tally = self._tallies[model] = self._fresh()
            if len(self._tallies) > self._capacity:
                self._forget_one(model)
        else:
            self._tallies.move_to_end(model)
        return tally

    def _forget_one(self, newest: str) -> None:
        others = [model for model in self._tallies if model != newest]
        idle = (model for model in others if self._counts(model) == NOBODY)
        del self._tallies[next(idle, others[0])]
