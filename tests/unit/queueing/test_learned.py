"""What `learned` finds over simulated upstreams, in the shared table, with one worker and two."""

import heapq
import random
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from ogp.core.clock import SystemClock
from ogp.core.slots import Claim, SlotLimits
from ogp.core.types import Pace
from ogp.queueing.learned import MODELS_LEARNED, LearnedParallel
from ogp.queueing.limits import ConfiguredLimits
from ogp.settings.queue_schema import QueueSettings
from ogp.state.memory import MemorySlotTable

MODEL = "llama3"
TOKENS = 100
KNEE = 4
Speed = Callable[[int], float]
"""Tokens per second of all running requests together, by their number."""


def saturating(running: int) -> float:
    """Each slot up to the knee brings its share; more bring nothing."""
    return 50.0 * min(running, KNEE)


def collapsing(running: int) -> float:
    """Beyond the knee memory runs out: the more requests, the slower all of them."""
    return saturating(running) * min(1.0, (KNEE / running) ** 2)


def linear(running: int) -> float:
    return 50.0 * running


class SetClock(SystemClock):
    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


class Ticket:
    def __init__(self) -> None:
        self.claim = Claim("ann")
        self.granted = False

    def grant(self) -> None:
        self.granted = True


class Lab:
    """A model with more requests than it can serve, before a simulated upstream."""

    def __init__(
        self, speed: Speed, *, workers: int = 1, queued_inside: bool = False, **settings: Any
    ) -> None:
        queue = QueueSettings.model_validate(
            {"parallel": "learned", "learned_max": 16, "max_queue": 1000, **settings}
        )
        self.clock = SetClock()
        self.table = MemorySlotTable(self.clock, batch_patience_s=60)
        self.speed, self._queued_inside = speed, queued_inside
        self.configured = ConfiguredLimits(queue, parallel=2)
        self.workers = [
            LearnedParallel(queue, self.configured, self.table, self.clock) for _ in range(workers)
        ]
        self.levels: list[int] = []
        self._random = random.Random(7)
        self._waiting: list[Ticket] = []
        self._running: list[tuple[float, int, float, Ticket]] = []

    @property
    def level(self) -> int:
        return (self.table.limits(MODEL) or self.configured.of(MODEL)).parallel

    def start_at(self, level: int) -> "Lab":
        self.table.resize(MODEL, SlotLimits(level, 1000))
        return self

    def run(self, requests: int) -> list[int]:
        """Serve so many; the levels after each."""
        levels: list[int] = []
        for _ in range(requests):
            while len(self._waiting) < 40:
                self._waiting.append(ticket := Ticket())
                self.table.enter(MODEL, ticket, self.configured.of(MODEL))
            self._begin_granted()
            self._end_next()
            levels.append(self.level)
        self.levels += levels
        return levels

    def _begin_granted(self) -> None:
        for ticket in [ticket for ticket in self._waiting if ticket.granted]:
            self._waiting.remove(ticket)
            active = self.table.counts(MODEL).active
            held_s = TOKENS * active / self.speed(active) * self._random.uniform(0.85, 1.15)
            end_s = self.clock.now_s + held_s
            heapq.heappush(self._running, (end_s, id(ticket), held_s, ticket))

    def _end_next(self) -> None:
        end_s, _, held_s, ticket = heapq.heappop(self._running)
        self.clock.now_s = end_s
        decode_s = TOKENS / 50.0
        self._random.choice(self.workers).observe(
            MODEL,
            Pace(
                first_byte_ms=1e3 * max(0.05, held_s - decode_s if self._queued_inside else 0.05),
                held_ms=1e3 * held_s,
                completion_tokens=TOKENS,
            ),
        )
        self.table.leave(MODEL, ticket)


@pytest.mark.parametrize("speed", [saturating, collapsing])
@pytest.mark.parametrize("start", [1, 2, 4, 5, 9, 16])
@pytest.mark.parametrize("queued_inside", [False, True])
def test_it_settles_near_the_knee_from_wherever_it_begins(
    speed: Speed, start: int, queued_inside: bool
) -> None:
    lab = Lab(speed, queued_inside=queued_inside).start_at(start)
    lab.run(1500)
    settled = lab.run(3000)
    assert {level for level in settled if abs(level - KNEE) > 1} == set()
    assert sum(level == KNEE for level in settled) > 0.6 * len(settled)


def test_two_workers_find_the_same_and_never_add_their_steps_up() -> None:
    lab = Lab(saturating, workers=2).start_at(2)
    lab.run(3000)
    settled = lab.run(4000)
    assert {level for level in settled if abs(level - KNEE) > 1} == set()
    climbs = [after - before for before, after in zip(lab.levels, lab.levels[1:], strict=False)]
    assert max(climbs) == 1


def test_it_goes_to_the_bound_while_more_pays() -> None:
    lab = Lab(linear, learned_max=6)
    lab.run(1500)
    assert lab.level == 6
    assert max(lab.levels) == 6


def test_it_keeps_to_the_lower_bound() -> None:
    lab = Lab(lambda running: 50.0, learned_min=3, learned_max=8)
    lab.run(1500)
    settled = lab.run(2000)
    assert min(settled) == 3
    assert max(settled) <= 4


def test_it_backs_off_when_the_upstream_becomes_slow_and_returns_when_that_ends() -> None:
    lab = Lab(saturating)
    lab.run(1500)
    lab.speed = lambda running: 50.0 / running
    assert lab.run(150)[-1] <= KNEE // 2
    assert max(lab.run(1500)[-500:]) <= 2
    lab.speed = saturating
    lab.run(6000)
    assert abs(lab.level - KNEE) <= 1


def test_a_number_outside_of_the_bounds_is_brought_inside() -> None:
    lab = Lab(saturating, learned_max=8).start_at(30)
    lab.run(40)
    assert lab.level == 8
    figures = lab.workers[0].figures(MODEL)
    assert figures is not None
    assert figures["last_step"] == "30 -> 8"


def test_the_statistics_tell_every_step_with_its_reason() -> None:
    lab = Lab(saturating)
    with structlog.testing.capture_logs() as lines:
        lab.run(60)
    figures = lab.workers[0].figures(MODEL)
    assert figures is not None
    assert figures["parallel"] == lab.level
    assert figures["steps"] == len(lines) > 0
    assert figures["last_step"] == f"{lines[-1]['was']} -> {lines[-1]['now']}"
    assert figures["reason"] == lines[-1]["reason"]


def test_before_the_first_request_the_figures_say_so() -> None:
    assert Lab(saturating).workers[0].figures(MODEL) == {
        "parallel": 2,
        "last_step": None,
        "reason": "nothing measured yet with all slots in use",
        "steps": 0,
    }


def test_the_other_limits_of_the_model_stay() -> None:
    lab = Lab(linear)
    lab.table.resize(MODEL, SlotLimits(2, 777, 500))
    lab.run(100)
    limits = lab.table.limits(MODEL)
    assert limits is not None
    assert limits.parallel > 2
    assert (limits.max_queue, limits.max_per_user) == (777, 500)


@pytest.mark.parametrize(
    "settings", [{"parallel": 4}, {"models": [{"match": "llama*", "parallel": 2}]}]
)
def test_a_number_given_by_the_operator_is_not_touched(settings: dict[str, Any]) -> None:
    lab = Lab(linear, **settings)
    lab.run(100)
    assert lab.table.resized() == {}
    assert lab.workers[0].figures(MODEL) is None


@pytest.mark.parametrize(("tokens", "held_ms"), [(0, 100.0), (10, 0.0)])
def test_requests_that_measured_nothing_are_left_out(tokens: int, held_ms: float) -> None:
    lab = Lab(linear)
    for _ in range(200):
        lab.workers[0].observe(MODEL, Pace(1, held_ms, tokens))
    assert lab.table.resized() == {}


def test_invented_names_do_not_grow_memory() -> None:
    lab = Lab(linear)
    for number in range(MODELS_LEARNED + 20):
        lab.workers[0].observe(f"m{number}", Pace(1, 1, 1))
    assert len(lab.workers[0]._learners) == MODELS_LEARNED


def test_a_step_that_another_process_was_faster_with_is_dropped() -> None:
    lab = Lab(linear)
    lab.workers[0]._apply(MODEL, 5, 6, "measured under 5 while 2 are in force")
    assert lab.table.resized() == {}


def test_a_table_that_takes_no_more_limits_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(linear)

    def refuse(model: str, limits: SlotLimits) -> None:
        raise ValueError("full")

    monkeypatch.setattr(lab.table, "resize", refuse)
    with structlog.testing.capture_logs() as lines:
        lab.run(60)
    assert {line["event"] for line in lines} == {"learned parallelism not applied"}
