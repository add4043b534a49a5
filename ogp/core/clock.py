"""Monotonic time for waits and deadlines, wall time for records."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where time comes from; tests pass their own."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary point; never goes back, unaffected by clock changes."""
        ...

    def now(self) -> datetime:
        """The current wall time, in UTC and timezone-aware."""
        ...


class SystemClock:
    """The clock of this machine."""

    def monotonic(self) -> float:
        """Seconds from `time.monotonic()`."""
        return time.monotonic()

    def now(self) -> datetime:
        """Wall time in UTC."""
        return datetime.now(UTC)
