"""How the request log is doing: counters for `/health`, one log line per change."""

from dataclasses import dataclass
from datetime import datetime
from threading import Lock

import structlog

from ogp.core.clock import Clock

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AuditStatus:
    """What `/health` tells of the request log of one worker process."""

    available: bool
    """The last attempt to write succeeded."""
    rows_written: int
    """Committed writes since the process started; a served request has two."""
    failures: int
    """Attempts that failed."""
    pending: int
    """Writes that wait for their commit or, after a failure, for another attempt."""
    lost: int
    """Writes given up for good."""
    last_error_at: datetime | None


class AuditHealth:
    """Counts attempts. Thread-safe.

    A series of failures is logged at its start and at its end: a full disk must not fill the log.
    """

    def __init__(self, clock: Clock) -> None:
        """Start at nought, available."""
        self._clock = clock
        self._lock = Lock()  # guards the rest
        self._written = self._failures = self._series = self._lost = 0
        self._last_error_at: datetime | None = None

    @property
    def is_available(self) -> bool:
        """The last attempt succeeded."""
        with self._lock:
            return self._series == 0

    def wrote(self) -> None:
        """A commit succeeded."""
        with self._lock:
            self._written += 1
            series, self._series = self._series, 0
        if series:
            log.info("request log can be written again", failures=series)

    def failed(self, error: BaseException) -> None:
        """An attempt failed."""
        with self._lock:
            self._failures += 1
            self._series += 1
            self._last_error_at = self._clock.now()
            is_first = self._series == 1
        if is_first:
            log.error("request log cannot be written", reason=str(error) or type(error).__name__)

    def lost(self) -> None:
        """A write was given up; its failure has been counted before."""
        with self._lock:
            self._lost += 1

    def status(self, *, pending: int) -> AuditStatus:
        """A snapshot."""
        with self._lock:
            return AuditStatus(
                available=self._series == 0,
                rows_written=self._written,
                failures=self._failures,
                pending=pending,
                lost=self._lost,
                last_error_at=self._last_error_at,
            )
