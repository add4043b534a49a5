"""How long a request will wait, by the time slots were held lately."""

from math import isfinite

from ogp.core.slots import SlotCounts, Tally

LEAST_RETRY_S = 1.0
LONGEST_RETRY_S = 600.0
"""What `Retry-After` may say, in seconds."""


def service_s(tally: Tally | None) -> float | None:
    """Seconds a slot was held lately; None before anything was measured."""
    if tally is None or not tally.processed:
        return None
    held_s = tally.recent_held_ms / 1e3
    return held_s if isfinite(held_s) and held_s >= 0 else None


def predicted_wait_s(ahead: int, active: int, parallel: int, held_s: float) -> float:
    """Seconds until a request runs that has `ahead` others before it.

    So many requests must give their slot back first, and `parallel` of them run side by side: one
    comes free every `held_s / parallel` seconds. Never negative.

    Args:
        active: requests that run now; may exceed `parallel` after that was lowered.
        held_s: seconds a request holds its slot.
    """
    must_finish = max(0, ahead + 1 + active - parallel)
    return must_finish * held_s / parallel


def newcomer_wait_s(counts: SlotCounts, parallel: int, tally: Tally | None) -> float | None:
    """The same for a request at the end of the line as it is; None if nothing was measured."""
    held_s = service_s(tally)
    if held_s is None:
        return None
    return predicted_wait_s(counts.waiting, counts.active, parallel, held_s)


def retry_after_s(seconds: float) -> float:
    """The prediction within the bounds of a `Retry-After`."""
    return min(max(seconds, LEAST_RETRY_S), LONGEST_RETRY_S)
