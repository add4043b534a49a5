"""One model's figures, computed from what was counted."""

import pytest

from ogp.core.slots import BUCKETS_MS, SlotCounts, SlotLimits, Tally
from ogp.queueing.statistics import (
    alerts_of,
    figures,
    mean,
    percentile_ms,
    percentiles,
    rejection_rate,
)

LIMITS = SlotLimits(parallel=2, max_queue=10)
IDLE = SlotCounts(active=0, waiting=0)


def buckets(**counts: int) -> tuple[int, ...]:
    """`b3=2`: two in the fourth bucket."""
    return tuple(counts.get(f"b{index}", 0) for index in range(len(BUCKETS_MS)))


def test_percentiles_are_the_bounds_of_their_buckets() -> None:
    assert percentiles(buckets(b0=50, b4=40, b10=9, b20=1)) == {
        "p50": BUCKETS_MS[0],
        "p90": BUCKETS_MS[4],
        "p99": BUCKETS_MS[10],
    }


def test_one_request_is_every_percentile() -> None:
    assert set(percentiles(buckets(b7=1)).values()) == {BUCKETS_MS[7]}


def test_percentiles_of_nothing_are_none() -> None:
    assert set(percentiles(buckets()).values()) == {None}


def test_the_last_bucket_stands_for_all_beyond_it() -> None:
    assert percentile_ms(buckets(b43=1), 1.0) == BUCKETS_MS[-1]
    assert percentile_ms(buckets(b43=1), 1.1) == BUCKETS_MS[-1]


@pytest.mark.parametrize(
    ("processed", "rejected", "rate"), [(0, 0, 0.0), (3, 1, 0.25), (0, 2, 1.0), (5, 0, 0.0)]
)
def test_the_rejection_rate_is_the_share_of_all_that_were_answered(
    processed: int, rejected: int, rate: float
) -> None:
    assert rejection_rate(Tally(since=0, processed=processed, rejected=rejected)) == rate


def test_a_mean_of_nothing_is_zero() -> None:
    assert (mean(0.0, 0), mean(10.0, 3)) == (0.0, 3.333)


def test_an_idle_queue_gives_no_alert() -> None:
    assert alerts_of(LIMITS, IDLE, Tally(since=0)) == []


def test_a_queue_in_trouble_says_why() -> None:
    tally = Tally(since=0, processed=90, rejected=10, waited_ms=90 * 6000)
    reasons = [alert.reason for alert in alerts_of(LIMITS, SlotCounts(2, 10), tally)]
    assert [reason.partition(",")[0] for reason in reasons] == [
        "rejection rate 10.0 %",
        "average wait 6.0 s",
        "queue depth 100.0 %",
    ]


def test_a_queue_where_nobody_may_wait_has_no_depth() -> None:
    assert alerts_of(SlotLimits(1, 0), SlotCounts(1, 0), Tally(since=0)) == []


def test_an_entry_has_exactly_the_documented_fields() -> None:
    tally = Tally(
        since=100,
        processed=4,
        rejected=1,
        waited_ms=10,
        held_ms=8000,
        waits=buckets(b0=4),
        holds=buckets(b22=4),
        recent_held_ms=3000,
    )
    alerts = alerts_of(LIMITS, IDLE, tally)
    assert figures("a", LIMITS, SlotCounts(2, 3), tally, alerts, now=160.5) == {
        "model": "a",
        "parallel_limit": 2,
        "queue_limit": 10,
        "active_requests": 2,
        "queued_requests": 3,
        "available_slots": 0,
        "queue_available": 7,
        "total_processed": 4,
        "total_rejected": 1,
        "avg_wait_time_ms": 2.5,
        "avg_processing_time_ms": 2000.0,
        "uptime_seconds": 60.5,
        "rejection_rate": 0.2,
        "wait_ms": {"p50": 1.0, "p90": 1.0, "p99": 1.0},
        "service_ms": {"p50": 2048.0, "p90": 2048.0, "p99": 2048.0},
        "predicted_wait_s": 6.0,
        "status": "critical",
        "reasons": [alerts[0].reason],
    }


def test_room_is_never_negative_after_a_limit_was_lowered() -> None:
    entry = figures("a", SlotLimits(1, 0), SlotCounts(4, 4), Tally(since=0), [], now=0)
    assert (entry["available_slots"], entry["queue_available"]) == (0, 0)


def test_a_clock_that_was_set_back_makes_no_negative_uptime() -> None:
    assert figures("a", LIMITS, IDLE, Tally(since=100), [], now=50)["uptime_seconds"] == 0.0


def test_nothing_is_predicted_before_anything_was_measured() -> None:
    entry = figures("a", LIMITS, SlotCounts(2, 3), Tally(since=0), [], now=0)
    assert entry["predicted_wait_s"] is None
