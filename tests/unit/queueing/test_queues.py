"""The parts share one state."""

from pathlib import Path
from typing import Any

from ogp.core.clock import SystemClock
from ogp.core.exchange import Cancellation
from ogp.core.types import InferenceRequest, Principal, Role
from ogp.queueing.live import LimitChange
from ogp.queueing.queues import Queues
from ogp.settings.schema import Settings
from ogp.state.memory import MemorySlotTable, MemoryTallyBook
from ogp.storage.engine import Database
from ogp.storage.model_limits import ModelLimitsStore
from ogp.storage.writer import GroupCommitWriter


def make_queues(path: Path, **settings: Any) -> Queues:
    clock, database = SystemClock(), Database(path / "never opened.db")
    writer = GroupCommitWriter(database, max_pending=1, name="test")
    return Queues(
        Settings.model_validate({"queue": settings}),
        MemorySlotTable(clock, batch_patience_s=60),
        MemoryTallyBook(clock),
        clock,
        ModelLimitsStore(database, writer),
    )


def test_the_report_sees_what_the_manager_does_under_limits_that_were_changed(
    tmp_path: Path,
) -> None:
    queues = make_queues(tmp_path, parallel=3)
    queues.live.update(LimitChange("a", parallel=5), set_by="root")
    slot = queues.manager.turn(
        InferenceRequest("ollama", "chat", "POST", "/api/chat", model="a"),
        Principal("ann", Role.USER),
        request_id="r1",
        timeout_s=1,
        cancellation=Cancellation(),
    )
    with slot as turn:
        assert turn.wait()
        statistics = queues.report.statistics()
    assert statistics["default_parallel"] == 3
    assert statistics["models"]["a"]["parallel_limit"] == 5
    assert statistics["models"]["a"]["active_requests"] == 1


def test_a_live_limit_may_be_as_high_as_a_configured_one(tmp_path: Path) -> None:
    queues = make_queues(tmp_path, parallel=300)
    assert queues.live.update(LimitChange("a", parallel=300), set_by="root").parallel == 300
