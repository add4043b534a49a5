"""Limits that change while the service runs, and what is left of them after a restart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from ogp.core.clock import SystemClock
from ogp.core.errors import InvalidRequestError, LimitsUnavailableError
from ogp.core.slots import SlotLimits
from ogp.queueing.learned import LearnedParallel
from ogp.queueing.limits import ConfiguredLimits
from ogp.queueing.live import Capacity, LimitChange, LiveLimits
from ogp.settings.queue_schema import QueueSettings
from ogp.state.memory import MODELS_RESIZED, MemorySlotTable, MemoryTallyBook
from ogp.storage.engine import Database
from ogp.storage.model_limits import ModelLimitsStore
from ogp.storage.tables import Table
from ogp.storage.writer import GroupCommitWriter

WAIT_S = 10


class Host:
    """A database that outlasts its services."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path, busy_timeout_s=0.1)
        self.database.start()
        with self.database.write() as connection:
            Table.metadata.create_all(connection)
        self.writer = GroupCommitWriter(self.database, max_pending=10, name="test")
        self.writer.start()

    def service(self, **settings: Any) -> "Service":
        return Service(self, settings)


class Service:
    """What one start of the service has in memory."""

    def __init__(self, host: Host, settings: dict[str, Any]) -> None:
        queue = QueueSettings.model_validate({"max_queue": 512, **settings})
        clock = SystemClock()
        self.table = MemorySlotTable(clock, batch_patience_s=60)
        self.book = MemoryTallyBook(clock)
        configured = ConfiguredLimits(queue, parallel=4)
        self.live = LiveLimits(
            configured,
            self.table,
            self.book,
            ModelLimitsStore(host.database, host.writer),
            clock,
            learned=LearnedParallel(queue, configured, self.table, clock),
            capacity=Capacity(running=112, waiting=512),
        )

    def update(self, model: str = "llama3", **change: Any) -> SlotLimits:
        return self.live.update(LimitChange(model, **change), set_by="root")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path / "ogp.db")
    yield host
    host.writer.stop(WAIT_S)
    host.database.stop()


@pytest.fixture
def service(host: Host) -> Service:
    return host.service()


def test_only_given_limits_change(service: Service) -> None:
    assert service.update(parallel=8) == SlotLimits(8, 512)
    assert service.update(max_queue=16) == SlotLimits(8, 16)
    assert service.table.limits("llama3") == SlotLimits(8, 16)


def test_what_is_not_given_comes_from_the_models_entry(host: Host) -> None:
    service = host.service(
        models=[{"match": "llama*", "parallel": 2, "max_queue": 9}], max_queue_per_user=3
    )
    assert service.update(max_queue=20) == SlotLimits(2, 20, 3)


def test_a_model_nobody_asked_for_yet_is_created(service: Service) -> None:
    service.update("new", parallel=1)
    assert list(service.book.tallies()) == ["new"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"parallel": 0}, "parallel_limit must be a number from 1 to 1024"),
        ({"parallel": -1}, "parallel_limit must be a number from 1 to 1024"),
        ({"parallel": 1025}, "parallel_limit must be a number from 1 to 1024"),
        ({"parallel": 113}, "parallel_limit must be at most 112: a worker process has threads"),
        ({"max_queue": -1}, "queue_limit must be a number from 0 to 16384"),
        ({"max_queue": 16_385}, "queue_limit must be a number from 0 to 16384"),
    ],
)
def test_an_absurd_limit_is_refused_with_field_and_bound(
    service: Service, change: dict[str, int], told: str
) -> None:
    with pytest.raises(InvalidRequestError, match=told):
        service.update(**change)
    assert service.table.resized() == {}


def test_bounds_themselves_are_allowed(service: Service) -> None:
    assert service.update(parallel=112, max_queue=16_384) == SlotLimits(112, 16_384)
    assert service.update(parallel=1, max_queue=0) == SlotLimits(1, 0)


def test_a_learned_number_stays_within_its_bounds(host: Host) -> None:
    service = host.service(parallel="learned", learned_min=2, learned_max=6)
    with pytest.raises(InvalidRequestError, match=r"from 2 to 6 \(queue.learned_min"):
        service.update(parallel=7)
    assert service.update(parallel=6).parallel == 6


def test_more_models_than_the_table_takes_are_refused(service: Service) -> None:
    for number in range(MODELS_RESIZED):
        service.table.resize(f"m{number}", SlotLimits(1, 1))
    with pytest.raises(InvalidRequestError, match="1024 models"):
        service.update(parallel=1)


def test_a_note_tells_of_places_that_have_no_thread(service: Service) -> None:
    assert service.live.note(SlotLimits(4, 512)) is None
    assert "threads for 512 waiting requests" in str(service.live.note(SlotLimits(4, 513)))


def test_a_change_is_forgotten_with_the_service_unless_asked(host: Host, service: Service) -> None:
    service.update(parallel=8)
    restarted = host.service()
    restarted.live.start()
    assert restarted.table.resized() == {}


def test_a_change_that_is_to_persist_is_there_after_a_restart(host: Host, service: Service) -> None:
    service.update(parallel=8, persist=True)
    restarted = host.service(max_queue_per_user=7)
    restarted.live.start()
    assert restarted.table.resized() == {"llama3": SlotLimits(8, 512, 7)}
    assert list(restarted.book.tallies()) == ["llama3"]


def test_a_later_change_leaves_stored_limits_alone_unless_asked(
    host: Host, service: Service
) -> None:
    service.update(parallel=8, persist=True)
    service.update(parallel=3)
    restarted = host.service()
    restarted.live.start()
    assert restarted.table.resized()["llama3"].parallel == 8


def test_stored_limits_are_forgotten_when_asked(host: Host, service: Service) -> None:
    service.update(parallel=8, persist=True)
    assert service.update(persist=False).parallel == 8
    restarted = host.service()
    restarted.live.start()
    assert restarted.table.resized() == {}


def test_forgetting_alone_sets_no_live_limits(service: Service) -> None:
    assert service.update(persist=False) == SlotLimits(4, 512)
    assert service.table.resized() == {}


def test_limits_in_force_in_other_workers_are_left_alone_by_one_that_starts(
    host: Host, service: Service
) -> None:
    service.update(parallel=8, persist=True)
    service.update(parallel=3)
    service.live.start()
    assert service.table.resized()["llama3"].parallel == 3


def test_stored_limits_beyond_what_threads_allow_are_cut(host: Host, service: Service) -> None:
    ModelLimitsStore(host.database, host.writer).keep(
        "llama3", SlotLimits(5000, 99_999), set_at=SystemClock().now(), set_by="root"
    )
    service.live.start()
    assert service.table.resized() == {"llama3": SlotLimits(112, 16_384)}


def test_limits_that_cannot_be_stored_are_not_applied_either(host: Host, service: Service) -> None:
    host.writer.stop(WAIT_S)
    with pytest.raises(LimitsUnavailableError):
        service.update(parallel=8, persist=True)
    assert service.table.resized() == {}


def test_a_start_without_a_readable_table_goes_on_and_says_so(host: Host, service: Service) -> None:
    with host.database.write() as connection:
        Table.metadata.drop_all(connection)
    with structlog.testing.capture_logs() as lines:
        service.live.start()
    assert [line["log_level"] for line in lines] == ["error"]


def test_stored_limits_the_table_has_no_room_for_are_logged(host: Host, service: Service) -> None:
    service.update(parallel=8, persist=True)
    restarted = host.service()
    for number in range(MODELS_RESIZED):
        restarted.table.resize(f"m{number}", SlotLimits(1, 1))
    with structlog.testing.capture_logs() as lines:
        restarted.live.start()
    assert [line["event"] for line in lines] == ["stored limits not applied"]


def test_a_change_is_logged_with_who_made_it(service: Service) -> None:
    with structlog.testing.capture_logs() as lines:
        service.update(parallel=8)
    (line,) = lines
    assert (line["event"], line["set_by"], line["parallel"]) == ("limits changed", "root", 8)
