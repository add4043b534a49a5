"""How long a request will wait."""

from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogp.core.slots import SlotCounts, Tally
from ogp.queueing.forecast import newcomer_wait_s, predicted_wait_s, retry_after_s, service_s

COUNTS = st.integers(min_value=0, max_value=16_384)


@given(
    ahead=COUNTS,
    active=COUNTS,
    parallel=st.integers(min_value=1, max_value=1024),
    held_ms=st.floats(min_value=0, max_value=1e12),
)
def test_a_prediction_is_never_negative_and_always_finite(
    ahead: int, active: int, parallel: int, held_ms: float
) -> None:
    tally = Tally(since=0, processed=1, recent_held_ms=held_ms)
    wait_s = newcomer_wait_s(SlotCounts(active, ahead), parallel, tally)
    assert wait_s is not None
    assert wait_s >= 0
    assert isfinite(wait_s)
    assert 1 <= retry_after_s(wait_s) <= 600


@given(ahead=COUNTS, active=COUNTS, parallel=st.integers(min_value=1, max_value=1024))
def test_one_more_ahead_never_shortens_the_wait(ahead: int, active: int, parallel: int) -> None:
    shorter = predicted_wait_s(ahead, active, parallel, 2.0)
    assert predicted_wait_s(ahead + 1, active, parallel, 2.0) >= shorter


@pytest.mark.parametrize(
    ("ahead", "active", "parallel", "wait_s"),
    [
        (0, 0, 4, 0.0),
        (0, 3, 4, 0.0),
        (0, 4, 4, 2.5),
        (3, 4, 4, 10.0),
        (0, 1, 1, 10.0),
        (0, 4, 2, 15.0),
    ],
)
def test_so_many_must_finish_and_so_many_run_side_by_side(
    ahead: int, active: int, parallel: int, wait_s: float
) -> None:
    assert predicted_wait_s(ahead, active, parallel, 10.0) == wait_s


@pytest.mark.parametrize("tally", [None, Tally(since=0), Tally(since=0, rejected=3)])
def test_nothing_is_predicted_before_anything_was_measured(tally: Tally | None) -> None:
    assert service_s(tally) is None
    assert newcomer_wait_s(SlotCounts(9, 9), 1, tally) is None


@pytest.mark.parametrize("held_ms", [nan, inf, -1.0])
def test_nothing_is_predicted_from_a_figure_that_cannot_be(held_ms: float) -> None:
    assert service_s(Tally(since=0, processed=1, recent_held_ms=held_ms)) is None


@pytest.mark.parametrize(("seconds", "told"), [(0.0, 1.0), (7.5, 7.5), (1e9, 600.0)])
def test_a_retry_is_told_between_a_second_and_ten_minutes(seconds: float, told: float) -> None:
    assert retry_after_s(seconds) == told
