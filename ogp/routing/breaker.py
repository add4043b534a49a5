"""When a server stops getting requests, and how it gets them again: a value and its changes."""

from dataclasses import dataclass
from enum import StrEnum

FAILURES = 3
"""In a row, of answers that broke off before their first byte; a refused connection counts as all
of them."""
FIRST_PAUSE_S = 0.5
"""Before a server that has just been found away is probed again; doubled each time."""
LONGEST_PAUSE_S = 10.0


class BreakerState(StrEnum):
    """Whether requests are let through."""

    CLOSED = "closed"
    """All of them."""
    OPEN = "open"
    """None: it is away."""
    HALF_OPEN = "half_open"
    """One at a time: a probe was answered again."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """What is thought of one server."""

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    """In a row."""
    probes: int = 0
    """In vain, in a row."""

    def failed(self, *, is_certain: bool) -> "Breaker":
        """A request did not get its first byte; `is_certain` if nobody was there."""
        failures = FAILURES if is_certain else self.failures + 1
        if self.state is not BreakerState.CLOSED or failures >= FAILURES:
            return Breaker(BreakerState.OPEN, failures, self.probes)
        return Breaker(self.state, failures)

    def answered(self) -> "Breaker":
        """A request got its first byte."""
        return Breaker()

    def probed(self, *, is_well: bool) -> "Breaker":
        """A probe ended. Two good ones in a row close the breaker without any request."""
        if not is_well:
            return Breaker(BreakerState.OPEN, self.failures, self.probes + 1)
        if self.state is BreakerState.OPEN:
            return Breaker(BreakerState.HALF_OPEN)
        return Breaker(failures=self.failures)

    def pause_s(self, interval_s: float) -> float:
        """Time to the next probe, before it is scattered.

        Args:
            interval_s: the pause between probes of a server that is well.
        """
        if self.state is BreakerState.CLOSED:
            return interval_s
        doubled: float = FIRST_PAUSE_S * 2 ** min(self.probes, 10)
        return min(interval_s, LONGEST_PAUSE_S, doubled)
