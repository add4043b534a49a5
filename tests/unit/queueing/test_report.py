"""What the queues tell of themselves."""

from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.core.slots import Claim, SlotLimits
from ogp.core.types import Priority
from ogp.queueing import report as module
from ogp.queueing.learned import LearnedParallel
from ogp.queueing.limits import ConfiguredLimits
from ogp.queueing.report import QueueReport, UnknownQueueError
from ogp.settings.queue_schema import QueueSettings
from ogp.state.memory import MemorySlotTable, MemoryTallyBook


class SetClock(SystemClock):
    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


class Ticket:
    def __init__(self, claim: Claim) -> None:
        self.claim = claim

    def grant(self) -> None:
        pass


class Bench:
    def __init__(self, **settings: Any) -> None:
        queue = QueueSettings.model_validate({"max_queue": 10, **settings})
        self.clock = SetClock()
        self.table = MemorySlotTable(self.clock, batch_patience_s=60)
        self.book = MemoryTallyBook(self.clock)
        configured = ConfiguredLimits(queue, parallel=2)
        learned = LearnedParallel(queue, configured, self.table, self.clock)
        self.report = QueueReport(configured, self.table, self.book, self.clock, learned=learned)

    def enter(self, model: str, request_id: str = "", user: str = "ann", **claim: Any) -> Ticket:
        self.book.see(model)
        ticket = Ticket(Claim(user, request_id=request_id, **claim))
        self.table.enter(model, ticket, SlotLimits(2, 10))
        return ticket


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(module, "memory_percent", lambda: 50.0)
    return Bench()


def test_the_envelope_has_the_documented_fields(bench: Bench) -> None:
    assert bench.report.statistics() == {
        "default_parallel": 2,
        "default_queue_limit": 10,
        "total_models": 0,
        "status": "ok",
        "reasons": [],
        "models": {},
    }


def test_an_entry_shows_what_runs_and_waits_under_limits_in_force(bench: Bench) -> None:
    bench.table.resize("a", SlotLimits(1, 7))
    for _ in range(3):
        bench.enter("a")
    entry = bench.report.statistics()["models"]["a"]
    assert (entry["parallel_limit"], entry["queue_limit"]) == (1, 7)
    assert (entry["active_requests"], entry["queued_requests"]) == (1, 2)
    assert "learned" not in entry


def test_one_model_keeps_the_envelope(bench: Bench) -> None:
    bench.enter("a")
    bench.enter("b")
    statistics = bench.report.statistics("b")
    assert (list(statistics["models"]), statistics["total_models"]) == (["b"], 2)


def test_an_unknown_model_is_told_with_the_known_ones(bench: Bench) -> None:
    bench.enter("b")
    bench.enter("a")
    for ask in (bench.report.statistics, bench.report.reset):
        with pytest.raises(UnknownQueueError) as unknown:
            ask("nobody")
        assert str(unknown.value) == "No queue found for model 'nobody'"
        assert unknown.value.known == ("a", "b")


def test_what_is_learned_is_part_of_its_model() -> None:
    bench = Bench(parallel="learned")
    bench.enter("a")
    assert bench.report.statistics()["models"]["a"]["learned"]["steps"] == 0


def test_the_worst_model_is_the_status_of_all(bench: Bench) -> None:
    bench.enter("good")
    bench.book.processed("slow", waited_ms=6000, held_ms=1)
    bench.book.rejected("full")
    statistics = bench.report.statistics()
    assert statistics["status"] == "critical"
    assert [reason.partition(",")[0] for reason in statistics["reasons"]] == [
        "full: rejection rate 100.0 %",
        "slow: average wait 6.0 s",
    ]
    assert [entry["status"] for entry in statistics["models"].values()] == [
        "critical",
        "ok",
        "warning",
    ]


def test_memory_alone_is_a_reason(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "memory_percent", lambda: 91.0)
    statistics = bench.report.statistics()
    assert statistics["status"] == "critical"
    assert statistics["reasons"][0].startswith("memory in use 91.0 %")


def test_the_summary_counts_without_names(bench: Bench) -> None:
    for _ in range(3):
        bench.enter("a")
    bench.enter("b")
    bench.book.rejected("b")
    assert bench.report.summary() == {
        "default_parallel": 2,
        "default_queue_limit": 10,
        "total_models": 2,
        "active": 3,
        "waiting": 1,
        "status": "critical",
    }
    assert bench.report.waiting == 1


def test_a_waiting_request_is_told_where_it_stands(bench: Bench) -> None:
    bench.book.processed("a", waited_ms=0, held_ms=4000)
    for number in range(4):
        bench.enter("a", f"r{number}", priority=Priority.BATCH)
    bench.clock.now_s += 1.5
    assert bench.report.place("r3", "ann") == {
        "request_id": "r3",
        "model": "a",
        "state": "waiting",
        "priority": "batch",
        "position": 2,
        "ahead": 1,
        "waiting": 2,
        "waited_s": 1.5,
        "predicted_wait_s": 4.0,
    }


def test_before_anything_was_measured_the_wait_is_unknown(bench: Bench) -> None:
    for number in range(3):
        bench.enter("a", f"r{number}")
    place = bench.report.place("r2")
    assert place is not None
    assert place["predicted_wait_s"] is None


def test_only_the_owner_and_whoever_asks_for_anybodys_see_a_place(bench: Bench) -> None:
    for number in range(3):
        bench.enter("a", f"r{number}")
    assert bench.report.place("r2", "bob") is None
    assert bench.report.place("r2", "ann") is not None
    assert bench.report.place("r2") is not None


def test_a_request_that_runs_or_never_came_has_no_place(bench: Bench) -> None:
    bench.enter("a", "r0")
    assert bench.report.place("r0") is None
    assert bench.report.place("") is None


def test_a_reset_keeps_what_runs_and_waits(bench: Bench) -> None:
    for model in "ab":
        for _ in range(3):
            bench.enter(model)
        bench.book.rejected(model)
    bench.report.reset("a")
    models = bench.report.statistics()["models"]
    assert [models[name]["total_rejected"] for name in "ab"] == [0, 1]
    bench.report.reset()
    models = bench.report.statistics()["models"]
    assert [models[name]["total_rejected"] for name in "ab"] == [0, 0]
    assert [models[name]["queued_requests"] for name in "ab"] == [1, 1]
    assert [models[name]["active_requests"] for name in "ab"] == [2, 2]
