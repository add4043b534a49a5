"""Limits per model, one cap for all, and the documented statistics."""

from contextlib import ExitStack

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import ClientGoneError, QueueFullError, RequestTimeoutError
from ogp.core.exchange import Cancellation
from ogp.core.ports import SlotLimits, SlotQueue
from ogp.queueing.manager import MODELS_REMEMBERED, QueueManager, UnknownQueueError
from ogp.settings.schema import QueueSettings
from ogp.state.memory import MemorySlotTable

MODEL = "llama3"


class SetClock(SystemClock):
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


def make_manager(
    *,
    parallel: int = 1,
    max_queue: int = 4,
    max_waiting_total: int = 100,
    clock: SystemClock | None = None,
    table: MemorySlotTable | None = None,
) -> QueueManager:
    return QueueManager(
        QueueSettings(max_queue=max_queue),
        table or MemorySlotTable(),
        clock or SystemClock(),
        parallel=parallel,
        max_waiting_total=max_waiting_total,
    )


def take(manager: SlotQueue, stack: ExitStack, model: str = MODEL) -> float:
    slot = manager.slot(model, timeout_s=0, cancellation=Cancellation(), user="ann")
    return stack.enter_context(slot)


def test_the_default_limits_come_from_the_settings() -> None:
    assert make_manager(parallel=3, max_queue=7).limits(MODEL) == SlotLimits(3, 7)


def test_the_value_of_a_slot_is_the_wait() -> None:
    with ExitStack() as stack:
        assert take(make_manager(), stack) == 0.0


def test_each_model_has_its_own_slots() -> None:
    manager = make_manager(parallel=1)
    with ExitStack() as stack:
        take(manager, stack, "a")
        take(manager, stack, "b")
        with pytest.raises(RequestTimeoutError):
            take(manager, stack, "a")


def test_a_full_queue_refuses() -> None:
    manager = make_manager(max_queue=0)
    with ExitStack() as stack:
        take(manager, stack)
        with pytest.raises(QueueFullError):
            take(manager, stack)


def test_all_who_wait_are_capped_together() -> None:
    manager = make_manager(max_waiting_total=0)
    with ExitStack() as stack:
        take(manager, stack)
        with pytest.raises(QueueFullError):
            take(manager, stack)
        assert manager.waiting == 0


def test_a_user_need_not_be_named() -> None:
    with make_manager().slot(MODEL, timeout_s=0, cancellation=Cancellation()) as waited_s:
        assert waited_s == 0.0


def test_a_model_can_have_limits_of_its_own() -> None:
    manager = make_manager(parallel=1)
    manager.resize("a", SlotLimits(parallel=2, max_queue=0))
    assert (manager.limits("a").parallel, manager.limits("b").parallel) == (2, 1)


def test_a_live_change_keeps_counting_what_runs() -> None:
    manager = make_manager(parallel=2)
    with ExitStack() as stack:
        take(manager, stack)
        take(manager, stack)
        manager.resize(MODEL, SlotLimits(parallel=3, max_queue=0))
        take(manager, stack)
        with pytest.raises(QueueFullError):
            take(manager, stack)


def test_statistics_have_exactly_the_documented_fields() -> None:
    manager = make_manager()
    with ExitStack() as stack:
        take(manager, stack)
        statistics = manager.statistics()
    assert list(statistics) == [
        "default_parallel",
        "default_queue_limit",
        "total_models",
        "models",
    ]
    assert list(statistics["models"][MODEL]) == [
        "model",
        "parallel_limit",
        "queue_limit",
        "active_requests",
        "queued_requests",
        "available_slots",
        "queue_available",
        "total_processed",
        "total_rejected",
        "avg_wait_time_ms",
        "avg_processing_time_ms",
        "uptime_seconds",
    ]


def test_statistics_show_what_runs_and_what_happened() -> None:
    clock = SetClock()
    manager = make_manager(parallel=2, max_queue=3, clock=clock)
    with ExitStack() as stack:
        take(manager, stack)
        clock.now_s += 2.0
    with ExitStack() as stack:
        take(manager, stack)
        assert manager.statistics()["models"][MODEL] == {
            "model": MODEL,
            "parallel_limit": 2,
            "queue_limit": 3,
            "active_requests": 1,
            "queued_requests": 0,
            "available_slots": 1,
            "queue_available": 3,
            "total_processed": 1,
            "total_rejected": 0,
            "avg_wait_time_ms": 0.0,
            "avg_processing_time_ms": 2000.0,
            "uptime_seconds": 2.0,
        }


def test_rejections_are_counted() -> None:
    manager = make_manager(max_queue=0)
    with ExitStack() as stack:
        take(manager, stack)
        with pytest.raises(QueueFullError):
            take(manager, stack)
    assert manager.statistics()["models"][MODEL]["total_rejected"] == 1


def test_a_timeout_inside_the_slot_is_processed_not_rejected() -> None:
    manager = make_manager()
    with pytest.raises(RequestTimeoutError), ExitStack() as stack:
        take(manager, stack)
        raise RequestTimeoutError(MODEL)
    figures = manager.statistics()["models"][MODEL]
    assert (figures["total_processed"], figures["total_rejected"]) == (1, 0)


def test_a_client_that_left_counts_as_neither() -> None:
    manager, cancellation = make_manager(), Cancellation()
    cancellation.cancel(ClientGoneError("gone"))
    with (
        pytest.raises(ClientGoneError),
        manager.slot(MODEL, timeout_s=0, cancellation=cancellation),
    ):
        pass
    figures = manager.statistics()["models"][MODEL]
    assert (figures["total_processed"], figures["total_rejected"]) == (0, 0)


def test_room_is_never_negative_after_a_limit_was_lowered() -> None:
    manager = make_manager(parallel=2)
    with ExitStack() as stack:
        take(manager, stack)
        take(manager, stack)
        manager.resize(MODEL, SlotLimits(parallel=1, max_queue=0))
        figures = manager.statistics()["models"][MODEL]
    assert (figures["available_slots"], figures["queue_available"]) == (0, 0)
    assert figures["active_requests"] == 2


def test_statistics_of_one_model_keep_the_envelope() -> None:
    manager = make_manager()
    with ExitStack() as stack:
        take(manager, stack, "a")
        take(manager, stack, "b")
    statistics = manager.statistics("b")
    assert (list(statistics["models"]), statistics["total_models"]) == (["b"], 2)


def test_an_unknown_model_is_told_with_the_known_ones() -> None:
    manager = make_manager()
    with ExitStack() as stack:
        take(manager, stack, "b")
        take(manager, stack, "a")
    with pytest.raises(UnknownQueueError) as unknown:
        manager.statistics("nobody")
    assert str(unknown.value) == "No queue found for model 'nobody'"
    assert unknown.value.known == ("a", "b")


def test_invented_names_do_not_grow_memory() -> None:
    table = MemorySlotTable()
    manager = make_manager(table=table)
    for number in range(MODELS_REMEMBERED + 50):
        with ExitStack() as stack:
            take(manager, stack, f"invented-{number}")
    assert manager.statistics()["total_models"] == MODELS_REMEMBERED
    assert table._lines == {}


def test_limits_of_its_own_outlive_a_models_statistics() -> None:
    manager = make_manager()
    manager.resize(MODEL, SlotLimits(parallel=9, max_queue=9))
    for number in range(MODELS_REMEMBERED + 1):
        with ExitStack() as stack:
            take(manager, stack, f"invented-{number}")
    assert manager.limits(MODEL).parallel == 9
