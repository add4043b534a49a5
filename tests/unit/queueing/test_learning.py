"""Single decisions of the search, from samples made by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogp.queueing.learning import (
    COLLAPSE_WINDOWS,
    WINDOW_LEAST_REQUESTS,
    WINDOW_REQUESTS,
    WINDOW_S,
    Learner,
    Sample,
)

SPEEDS = st.floats(0.1, 1e4)


class Bench:
    """A learner, and windows of equal samples for it."""

    def __init__(self, level: int = 4, lowest: int = 1, highest: int = 16) -> None:
        self.learner = Learner(lowest, highest)
        self.level, self.now_s = level, 100.0
        self.learner.observe(level, self.sample(100.0))

    def sample(
        self,
        speed: float,
        first_byte_s: float = 0.1,
        active: int | None = None,
        held_s: float = 0.0001,
    ) -> Sample:
        """One that makes `speed` tokens per second of all running requests."""
        self.now_s += 0.001
        active = self.level if active is None else active
        tokens = speed * held_s / max(1, active)
        return Sample(tokens, held_s, first_byte_s, active, self.now_s)

    def window(self, speed: float, first_byte_s: float = 0.1) -> int | None:
        """The decision after a whole window; it is obeyed."""
        needed = max(WINDOW_REQUESTS, 2 * self.level)
        decisions = [
            self.learner.observe(self.level, self.sample(speed, first_byte_s))
            for _ in range(needed)
        ]
        assert decisions[:-1] == [None] * (needed - 1)
        return self.obey(decisions[-1])

    def obey(self, wanted: int | None) -> int | None:
        if wanted is not None:
            self.level = wanted
            assert self.learner.observe(self.level, self.sample(1.0)) is None
        return wanted


def test_the_first_step_tries_one_more() -> None:
    assert Bench(4).window(100) == 5


def test_a_step_that_brings_half_its_share_is_kept_and_the_next_one_tried() -> None:
    bench = Bench(4)
    bench.window(100)
    assert bench.window(113) == 6
    assert bench.learner.reason == "to see whether 6 are faster"


def test_a_step_that_brings_less_is_taken_back() -> None:
    bench = Bench(4)
    bench.window(100)
    assert bench.window(112) == 4
    assert bench.learner.last_step == "5 -> 4"
    assert bench.learner.reason.startswith("5 brought only 112.0 tokens/s instead of 100.0")


def test_a_step_after_which_first_bytes_come_late_is_taken_back_whatever_its_speed() -> None:
    bench = Bench(4)
    bench.window(100, first_byte_s=0.2)
    assert bench.window(125, first_byte_s=0.5) == 4


def test_first_bytes_a_few_milliseconds_later_are_no_sign() -> None:
    bench = Bench(4)
    bench.window(100, first_byte_s=0.01)
    assert bench.window(125, first_byte_s=0.05) == 6


def settled(level: int = 4) -> Bench:
    """A step up failed; the number is measured once more."""
    bench = Bench(level)
    bench.window(100)
    bench.window(100)
    return bench


def test_after_a_failed_step_up_fewer_are_tried() -> None:
    assert settled(4).window(100) == 3


def test_fewer_that_are_about_as_fast_are_kept() -> None:
    bench = settled(8)
    assert bench.level == 8
    bench.window(100)
    assert bench.level == 6
    assert bench.window(95) == 5
    assert bench.learner.last_step == "6 -> 5"


def test_fewer_are_kept_if_only_first_bytes_waited_with_more() -> None:
    bench = Bench(8, highest=8)
    assert bench.window(100, first_byte_s=2.0) == 6
    assert bench.window(75, first_byte_s=0.2) == 5


def test_fewer_that_cost_speed_are_taken_back() -> None:
    bench = settled(4)
    bench.window(100)
    assert bench.window(80) == 4
    assert bench.learner.reason.startswith("3 cost speed")


def test_with_nothing_left_to_try_it_pauses_longer_each_time() -> None:
    bench = settled(4)
    bench.window(100)
    bench.window(80)
    pauses = []
    for _ in range(3):
        windows = 1
        while bench.window(100) is None:
            windows += 1
        pauses.append(windows)
        assert bench.window(100) == 4  # 5 failed again
        assert bench.window(100) == 3
        assert bench.window(70) == 4
    assert pauses == sorted(set(pauses))


def test_a_number_that_became_slow_is_halved_after_it_was_seen_again() -> None:
    bench = settled(8)
    for _ in range(COLLAPSE_WINDOWS - 1):
        assert bench.window(50) is None
    assert bench.window(50) == 4
    assert bench.learner.reason.startswith("8 became slow")


def test_one_slow_window_changes_nothing() -> None:
    bench = settled(8)
    assert bench.window(50) is None
    assert bench.window(100) == 6  # the try that was due


def test_the_lowest_number_stays_when_it_becomes_slow_and_others_are_tried_again() -> None:
    bench = Bench(1)
    bench.window(100)
    bench.window(100)
    assert bench.level == 1
    bench.window(20)
    assert bench.window(20) == 2


def test_requests_that_ran_with_slots_free_are_left_out() -> None:
    bench = Bench(4)
    for _ in range(5 * WINDOW_REQUESTS):
        assert bench.learner.observe(4, bench.sample(100, active=3)) is None


def test_requests_that_began_under_another_number_are_left_out() -> None:
    bench = Bench(4)
    for _ in range(5 * WINDOW_REQUESTS):
        assert bench.learner.observe(4, bench.sample(100, held_s=1000.0)) is None


def test_after_a_minute_fewer_requests_are_enough() -> None:
    bench = Bench(4)
    bench.now_s += WINDOW_S
    decisions = [bench.learner.observe(4, bench.sample(100)) for _ in range(WINDOW_LEAST_REQUESTS)]
    assert decisions == [*[None] * (WINDOW_LEAST_REQUESTS - 1), 5]


def test_somebody_elses_change_begins_a_new_window_and_a_pause() -> None:
    bench = settled(4)
    for _ in range(WINDOW_REQUESTS - 1):
        bench.learner.observe(4, bench.sample(100))
    assert bench.learner.observe(5, bench.sample(100)) is None
    bench.level = 4
    bench.learner.observe(4, bench.sample(100))
    assert bench.window(100) is None


@given(st.lists(st.tuples(SPEEDS, st.floats(0.001, 60)), max_size=80), st.integers(2, 6))
def test_whatever_is_measured_a_step_is_small_and_inside_the_bounds(
    windows: list[tuple[float, float]], level: int
) -> None:
    bench = Bench(level, lowest=2, highest=6)
    for speed, first_byte_s in windows:
        before = bench.level
        wanted = bench.window(speed, first_byte_s)
        assert wanted is None or (2 <= wanted <= 6 and wanted - before <= 1)
    assert bench.learner.steps == 0 or bench.learner.last_step is not None


@pytest.mark.parametrize(("level", "within"), [(1, 2), (9, 6), (4, None)])
def test_a_number_outside_of_the_bounds_is_corrected_with_the_first_request(
    level: int, within: int | None
) -> None:
    bench = Bench(level)
    learner = Learner(2, 6)
    assert learner.observe(level, bench.sample(1.0)) == within
