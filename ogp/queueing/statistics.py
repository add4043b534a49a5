"""One model's figures, as `/queue/stats` shows them."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from ogp.core.slots import BUCKETS_MS, SlotCounts, SlotLimits, Tally
from ogp.queueing.alerts import DEPTH, REJECTIONS, WAIT, Alert, judge, worst
from ogp.queueing.forecast import newcomer_wait_s


class Percentiles(TypedDict):
    """Upper bounds of the buckets in which these shares of all requests end, in milliseconds.

    None before the first request. Buckets are two to an octave, so that a figure is at most
    41 % too high; beyond 49 minutes it stays there.
    """

    p50: float | None
    p90: float | None
    p99: float | None


class LearnedFigures(TypedDict):
    """What `queue.parallel: learned` did in the worker process that answers."""

    parallel: int
    last_step: str | None
    """`4 -> 5`; None before the first."""
    reason: str
    steps: int


class ModelStatistics(TypedDict):
    """One model in `/queue/stats`. Counted since the model was first seen or reset."""

    model: str
    parallel_limit: int
    queue_limit: int
    active_requests: int
    queued_requests: int
    available_slots: int
    queue_available: int
    total_processed: int
    """Requests that held a slot and have given it back, however they ended."""
    total_rejected: int
    """Requests refused: no room in the queue, no slot in time, or none to be expected."""
    avg_wait_time_ms: float
    """Wait for the slot, of the processed ones."""
    avg_processing_time_ms: float
    """From getting the slot to giving it back, of the processed ones."""
    uptime_seconds: float
    rejection_rate: float
    """Share of the rejected in processed and rejected ones, 0 to 1."""
    wait_ms: Percentiles
    service_ms: Percentiles
    predicted_wait_s: float | None
    """For a request that came now and went to the end of the line."""
    status: str
    reasons: list[str]
    learned: NotRequired[LearnedFigures]


class QueueStatistics(TypedDict):
    """The body of `/queue/stats`."""

    default_parallel: int
    default_queue_limit: int
    total_models: int
    """Models remembered, whether `models` shows all of them or one."""
    status: str
    """The worst of all models and of this host's memory."""
    reasons: list[str]
    models: dict[str, ModelStatistics]


def percentile_ms(buckets: Sequence[int], share: float) -> float | None:
    """The upper bound of the bucket that the given share of all reaches; None if all are empty."""
    total = sum(buckets)
    if not total:
        return None
    reached = 0
    for bound, count in zip(BUCKETS_MS, buckets, strict=True):
        reached += count
        if reached >= share * total:
            return bound
    return BUCKETS_MS[-1]


def percentiles(buckets: Sequence[int]) -> Percentiles:
    """Median, and what 90 % and 99 % stay below."""
    return {
        "p50": percentile_ms(buckets, 0.5),
        "p90": percentile_ms(buckets, 0.9),
        "p99": percentile_ms(buckets, 0.99),
    }


def rejection_rate(tally: Tally) -> float:
    """Share of the rejected in all that were answered; 0 before the first."""
    asked = tally.processed + tally.rejected
    return tally.rejected / asked if asked else 0.0


def mean(total: float, count: int) -> float:
    """Rounded for display; 0 of nothing."""
    return round(total / count, 3) if count else 0.0


def alerts_of(limits: SlotLimits, counts: SlotCounts, tally: Tally) -> list[Alert]:
    """What an operator should look at in one model's queue."""
    depth = counts.waiting / limits.max_queue if limits.max_queue else 0.0
    found = (
        judge(REJECTIONS, 100 * rejection_rate(tally)),
        judge(WAIT, mean(tally.waited_ms, tally.processed) / 1e3),
        judge(DEPTH, 100 * depth),
    )
    return [alert for alert in found if alert is not None]


def figures(
    model: str,
    limits: SlotLimits,
    counts: SlotCounts,
    tally: Tally,
    alerts: Sequence[Alert],
    *,
    now: float,
) -> ModelStatistics:
    """One entry of `models`.

    Args:
        alerts: those that `alerts_of` found.
        now: Unix time in seconds.
    """
    wait_s = newcomer_wait_s(counts, limits.parallel, tally)
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
        "avg_wait_time_ms": mean(tally.waited_ms, tally.processed),
        "avg_processing_time_ms": mean(tally.held_ms, tally.processed),
        "uptime_seconds": round(max(0.0, now - tally.since), 3),
        "rejection_rate": round(rejection_rate(tally), 4),
        "wait_ms": percentiles(tally.waits),
        "service_ms": percentiles(tally.holds),
        "predicted_wait_s": None if wait_s is None else round(wait_s, 3),
        "status": worst(alerts),
        "reasons": [alert.reason for alert in alerts],
    }
