from datetime import UTC, datetime

from structlog.testing import capture_logs

from ogp.audit.health import AuditHealth

NOW = datetime(2026, 11, 20, 18, 47, tzinfo=UTC)


class FixedClock:
    def monotonic(self) -> float:
        return 0.0

    def now(self) -> datetime:
        return NOW


def make_health() -> AuditHealth:
    return AuditHealth(FixedClock())


def test_it_is_available_before_the_first_attempt() -> None:
    status = make_health().status(pending=3)
    assert (status.available, status.failures, status.last_error_at) == (True, 0, None)
    assert status.pending == 3


def test_a_failure_makes_it_unavailable_and_leaves_its_time() -> None:
    health = make_health()
    health.failed(OSError("disk full"))
    status = health.status(pending=0)
    assert (status.available, status.failures, status.last_error_at) == (False, 1, NOW)


def test_a_success_makes_it_available_again() -> None:
    health = make_health()
    health.failed(OSError("disk full"))
    health.wrote()
    status = health.status(pending=0)
    assert health.is_available
    assert (status.available, status.rows_written, status.failures) == (True, 1, 1)


def test_lost_writes_are_counted() -> None:
    health = make_health()
    health.lost()
    assert health.status(pending=0).lost == 1


def test_a_series_of_failures_is_logged_at_its_start_and_its_end() -> None:
    health = make_health()
    with capture_logs() as lines:
        for _ in range(5):
            health.failed(OSError("disk full"))
        health.wrote()
        health.wrote()
    assert [line["event"] for line in lines] == [
        "request log cannot be written",
        "request log can be written again",
    ]
    assert lines[0]["reason"] == "disk full"
    assert lines[1]["failures"] == 5


def test_a_failure_without_words_is_named_by_its_class() -> None:
    with capture_logs() as lines:
        make_health().failed(TimeoutError())
    assert lines[0]["reason"] == "TimeoutError"
