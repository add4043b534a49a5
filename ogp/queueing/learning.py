"""`queue.parallel: learned` for one model: looks for the number that brings the most speed.

Up one by one while that pays, back when it does not, down by a share when the same number has
become slow. It measures the model's speed in tokens per second over all running requests, which
by Little's law is their mean number times tokens per second of slot time; that holds for whole
and streamed answers, and counts what waits inside the upstream. The number found is the smallest
that is about as fast as any: more would only make every single answer slower.
"""

from dataclasses import dataclass, field

WINDOW_REQUESTS = 24
"""Requests that one decision rests on; at least two for each slot."""
WINDOW_S = 60.0
"""After this time, in seconds, fewer are enough ..."""
WINDOW_LEAST_REQUESTS = 8
"""... but never fewer than these."""
WORTH = 0.5
"""Share of the speed in proportion that a step up must bring, and a step down must cost."""
LATE_FACTOR, LATE_S = 2.0, 0.1
"""First bytes that come so much later, as a factor and in seconds, mean that requests wait inside
the upstream."""
COLLAPSE = 0.6
"""Below this share of its former speed a number has become slow ..."""
COLLAPSE_WINDOWS = 2
"""... if that is seen so often in a row."""
DOWN_SHARE = 4
"""A try with fewer leaves out a quarter."""
FIRST_PAUSE, LONGEST_PAUSE = 4, 64
"""Windows between two tries of what did not pay before; doubles each time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one finished request tells."""

    tokens: float
    held_s: float
    """From the grant of its slot to its end."""
    first_byte_s: float
    """From the grant of its slot to the first byte of its answer."""
    active: int
    """Requests of the model that ran when it ended, itself included."""
    at_s: float
    """When it ended, monotonic."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One window's result."""

    level: int
    speed: float
    """Tokens per second, all running requests together."""
    first_byte_s: float

    def comes_later_than(self, other: "Measure") -> bool:
        """Whether first bytes take much longer than they did there."""
        more_s = self.first_byte_s - other.first_byte_s
        return self.first_byte_s > LATE_FACTOR * other.first_byte_s and more_s > LATE_S

    def blended_with(self, other: "Measure") -> "Measure":
        """A slow mean, for what drifts."""
        return Measure(
            self.level,
            0.7 * self.speed + 0.3 * other.speed,
            0.7 * self.first_byte_s + 0.3 * other.first_byte_s,
        )


@dataclass(slots=True)
class Window:
    """Samples under one number, with that many running: with fewer there is nothing to learn."""

    level: int
    since_s: float
    samples: list[Sample] = field(default_factory=list)

    def add(self, sample: Sample) -> bool:
        """Take a sample if it belongs here; True once there are enough."""
        began_s = sample.at_s - sample.held_s
        if sample.active < self.level or began_s < self.since_s:
            return False
        self.samples.append(sample)
        enough = max(WINDOW_REQUESTS, 2 * self.level)
        if sample.at_s - self.since_s >= WINDOW_S:
            enough = WINDOW_LEAST_REQUESTS
        return len(self.samples) >= enough

    def measure(self) -> Measure:
        """The result; there must be samples."""
        count = len(self.samples)
        held_s = max(sum(sample.held_s for sample in self.samples), 1e-9)
        tokens = sum(sample.tokens for sample in self.samples)
        active = sum(sample.active for sample in self.samples) / count
        return Measure(
            self.level,
            speed=active * tokens / held_s,
            first_byte_s=sum(sample.first_byte_s for sample in self.samples) / count,
        )


class Learner:
    """Finds one model's number, between two bounds. Not thread-safe.

    It says what to do and reads from the next sample whether that was done: the number may have
    been changed by an administrator, or by another worker process that learns as well.
    """

    def __init__(self, lowest: int, highest: int) -> None:
        self._lowest, self._highest = lowest, highest
        self._window: Window | None = None
        self._base: Measure | None = None
        self._up_failed = self._down_failed = False
        self._rest, self._pause, self._slow = 0, FIRST_PAUSE, 0
        self._asked: int | None = None
        self.steps = 0
        self.last_step: str | None = None
        self.reason = "nothing measured yet with all slots in use"

    def observe(self, level: int, sample: Sample) -> int | None:
        """Take one finished request under the number in force; a new number, or None."""
        if self._window is None or self._window.level != level:
            if self._window is not None and level != self._asked:
                self._rest = self._pause  # somebody else's try: no second one on top of it
            self._window = Window(level, sample.at_s)
            return self._into_bounds(level)
        if not self._window.add(sample):
            return None
        measure = self._window.measure()
        self._window = Window(level, sample.at_s)
        return self._decide(measure)

    def _into_bounds(self, level: int) -> int | None:
        within = min(max(level, self._lowest), self._highest)
        if within == level:
            return None
        return self._step(level, within, f"{level} is outside of the bounds of the operator")

    def _decide(self, new: Measure) -> int | None:
        base = self._base
        if base is None:
            self._base = new
            return self._try_another(new)
        if new.level == base.level:
            return self._stay_or_flee(base, new)
        return self._judge_up(base, new) if new.level > base.level else self._judge_down(base, new)

    def _judge_up(self, base: Measure, new: Measure) -> int | None:
        needed = base.speed * (1 + WORTH * (new.level / base.level - 1))
        if new.speed >= needed and not new.comes_later_than(base):
            self._found(new, up_failed=False, down_failed=True)
            self.reason = f"{new.level} brought {_change(base, new)}"
            return self._try_another(new)
        self._up_failed = True
        return self._step(new.level, base.level, f"{new.level} brought only {_change(base, new)}")

    def _judge_down(self, base: Measure, new: Measure) -> int | None:
        kept = base.speed * (1 - WORTH * (1 - new.level / base.level))
        if new.speed >= kept or base.comes_later_than(new):
            self._found(new, up_failed=True, down_failed=False)
            self.reason = f"{new.level} is about as fast: {_change(base, new)}"
            return self._try_another(new)
        self._down_failed = True
        return self._step(new.level, base.level, f"{new.level} cost speed: {_change(base, new)}")

    def _found(self, new: Measure, *, up_failed: bool, down_failed: bool) -> None:
        self._base = new
        self._up_failed, self._down_failed = up_failed, down_failed
        self._pause, self._slow, self._rest = FIRST_PAUSE, 0, 0

    def _stay_or_flee(self, base: Measure, new: Measure) -> int | None:
        if new.speed < COLLAPSE * base.speed:
            self._slow += 1
            return self._flee(base, new) if self._slow >= COLLAPSE_WINDOWS else None
        self._slow = 0
        self._base = base.blended_with(new)
        if self._rest > 0:
            self._rest -= 1
            return None
        return self._try_another(self._base)

    def _flee(self, base: Measure, new: Measure) -> int | None:
        """Halve, and look for the number anew."""
        self._up_failed = self._down_failed = False
        self._slow, self._rest, self._pause = 0, 0, FIRST_PAUSE
        if new.level <= self._lowest:
            self._base = new
            return self._try_another(new)
        self._base = None
        less = max(self._lowest, new.level // 2)
        return self._step(new.level, less, f"{new.level} became slow: {_change(base, new)}")

    def _try_another(self, base: Measure) -> int | None:
        level = base.level
        if not self._up_failed and level < self._highest:
            return self._step(level, level + 1, f"to see whether {level + 1} are faster")
        if not self._down_failed and level > self._lowest:
            fewer = max(self._lowest, level - max(1, level // DOWN_SHARE))
            return self._step(level, fewer, f"to see whether {fewer} are as fast")
        self._up_failed = self._down_failed = False
        self._rest, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return None

    def _step(self, level: int, wanted: int, reason: str) -> int:
        self.steps += 1
        self.last_step, self.reason = f"{level} -> {wanted}", reason
        self._asked = wanted
        return wanted


def _change(base: Measure, new: Measure) -> str:
    return (
        f"{new.speed:.1f} tokens/s instead of {base.speed:.1f} with {base.level}, "
        f"first byte after {new.first_byte_s:.2f} s instead of {base.first_byte_s:.2f} s"
    )
