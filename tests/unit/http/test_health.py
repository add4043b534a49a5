from dataclasses import replace
from datetime import datetime

import pytest

from ogp.audit.health import AuditStatus
from ogp.core.clock import SystemClock
from ogp.core.errors import StateUnavailableError
from ogp.guard.engine import GuardEngine
from ogp.http.health import HealthReport
from ogp.queueing.learned import LearnedParallel
from ogp.queueing.limits import ConfiguredLimits
from ogp.queueing.report import QueueReport
from ogp.routing.breaker import Breaker, BreakerState
from ogp.routing.fleet import Fleet
from ogp.routing.health import ServerStatus
from ogp.settings.schema import Settings
from ogp.state.memory import MemorySlotTable, MemoryTallyBook
from ogp.state.server_states import MemoryServerBook

URL = "http://user:hidden@10.1.2.3:11434"
SOUND = AuditStatus(
    available=True, rows_written=2, failures=0, pending=0, lost=0, last_error_at=None
)


class Sources:
    """What the report is made of; tests change it."""

    def __init__(self) -> None:
        self.audit = SOUND
        self.server = ServerStatus(healthy=True, response_time_ms=1.5)
        clock = SystemClock()
        settings = Settings.model_validate(
            {"access": {"ip_allow": "10.0.0.0/8"}, "upstream": {"url": URL}}
        )
        fleet = Fleet(settings, MemoryServerBook(), clock)
        fleet.monitor.statuses = lambda: {"ollama": self.server}  # type: ignore[method-assign]
        configured = ConfiguredLimits(settings.queue, parallel=2)
        self.table = MemorySlotTable(clock, batch_patience_s=60)
        self.book = MemoryTallyBook(clock)
        learned = LearnedParallel(settings.queue, configured, self.table, clock)
        self.queues = QueueReport(configured, self.table, self.book, clock, learned=learned)
        self.guard = GuardEngine(settings, clock)
        self.report = HealthReport(
            settings,
            clock,
            queues=self.queues,
            fleet=fleet,
            audit=lambda: self.audit,
            guard=self.guard,
        )


@pytest.fixture
def sources() -> Sources:
    return Sources()


def test_all_is_well(sources: Sources) -> None:
    document = sources.report()
    assert document["status"] == "healthy"
    assert document["problems"] == []
    assert sources.report.obstacles() == []


def test_the_documented_fields_are_there(sources: Sources) -> None:
    document = sources.report()
    assert datetime.fromisoformat(document["timestamp"]).tzinfo is not None
    assert set(document["concurrency"]) == {
        "default_parallel", "default_queue_limit", "total_models", "active", "waiting", "status",
        "memory",
    }  # fmt: skip
    assert {"total_gb", "available_gb", "used_gb", "percent", "recommended_parallel"} <= set(
        document["concurrency"]["memory"]
    )
    assert document["guards"]["input_guard"] == "enabled"
    assert document["whitelist"] == {"enabled": False, "count": 1}
    assert document["servers"]["ollama"]["response_time_ms"] == 1.5
    assert document["performance"]["in_flight"] == 0


def test_queues_in_trouble_are_told_without_names_of_models(sources: Sources) -> None:
    for _ in range(10):
        sources.book.rejected("secret-model")
    document = sources.report()
    assert document["concurrency"]["status"] == "critical"
    assert "secret-model" not in str(document)


def test_a_server_that_is_down_degrades_the_service_and_is_named(sources: Sources) -> None:
    sources.server = ServerStatus(healthy=False, error="connection_failed")
    document = sources.report()
    assert document["status"] == "degraded"
    assert document["problems"] == ["server ollama is down"]
    assert document["servers"]["ollama"]["status"] == "unhealthy"


def test_a_server_that_requests_found_away_is_down_before_its_next_probe(sources: Sources) -> None:
    sources.server = ServerStatus(healthy=True, breaker=Breaker(BreakerState.OPEN))
    server = sources.report()["servers"]["ollama"]
    assert (server["status"], server["breaker"]) == ("unhealthy", "open")


def test_what_is_told_of_a_server(sources: Sources) -> None:
    assert sources.report()["servers"]["ollama"] == {
        "status": "healthy",
        "response_time_ms": 1.5,
        "priority": 1,
        "max_memory_gb": None,
        "error": None,
        "state": "enabled",
        "breaker": "closed",
        "active": 0,
    }


def test_an_audit_log_that_cannot_be_written_is_an_obstacle(sources: Sources) -> None:
    sources.audit = replace(SOUND, available=False)
    assert sources.report()["status"] == "degraded"
    assert sources.report.obstacles() == ["audit log"]


def test_shared_state_that_cannot_be_used_is_an_obstacle_and_is_told(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StateUnavailableError

    monkeypatch.setattr(QueueReport, "summary", fail)
    report = sources.report
    assert report.obstacles() == ["shared state of the queues"]
    shown = report()
    assert shown["status"] == "degraded"
    assert shown["problems"] == ["shared state of the queues is unavailable"]
    assert shown["concurrency"]["status"] == "unknown"


def test_a_scanner_that_is_missing_or_still_loads_is_told(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources.guard, "problems", lambda: ["guard scanner x cannot be loaded"])
    monkeypatch.setattr(sources.guard, "obstacles", lambda: ["y is loading"])
    assert sources.report()["problems"] == ["guard scanner x cannot be loaded"]
    assert sources.report.obstacles() == ["y is loading"]


def test_guards_device_and_cache_are_told(sources: Sources) -> None:
    document = sources.report()
    assert document["guards"]["device"]["reason"] == "no model scanner is on"
    assert document["guards"]["scanners"]["input"]["secrets"]["state"] == "on"
    assert document["cache"]["enabled"] is True


def test_no_address_and_no_secret_is_shown(sources: Sources) -> None:
    text = str(sources.report())
    for hidden in ("10.1.2.3", "hidden", "10.0.0.0"):
        assert hidden not in text


def test_a_canary_that_was_missed_is_the_first_thing_told(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed = "secrets (input, ollama): a known bad sample passed"
    monkeypatch.setattr(sources.guard.canaries, "missed", lambda: [missed])
    sources.server = ServerStatus(healthy=False)
    document = sources.report()
    assert document["status"] == "guard_degraded"
    assert f"guard canary {missed}" in document["problems"]
    assert document["guards"]["canaries"]["last_missed"] == [missed]


def test_canaries_are_told_before_their_first_round(sources: Sources) -> None:
    canaries = sources.report()["guards"]["canaries"]
    assert (canaries["runs"], canaries["misses"], canaries["last_run"]) == (0, 0, None)
