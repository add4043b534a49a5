"""Limits that outlast a restart."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ogp.core.slots import SlotLimits
from ogp.storage.engine import Database
from ogp.storage.model_limits import ModelLimitsStore
from ogp.storage.tables import Table
from ogp.storage.writer import GroupCommitWriter, StorageUnavailableError

NOW = datetime(2026, 11, 20, tzinfo=UTC)
WAIT_S = 10


class Service:
    def __init__(self, path: Path) -> None:
        self.database = Database(path, busy_timeout_s=0.1)
        self.database.start()
        with self.database.write() as connection:
            Table.metadata.create_all(connection)
        self.writer = GroupCommitWriter(self.database, max_pending=10, name="test")
        self.writer.start()
        self.store = ModelLimitsStore(self.database, self.writer)

    def keep(self, model: str, parallel: int, max_queue: int, set_by: str = "root") -> None:
        limits = SlotLimits(parallel, max_queue, max_per_user=3)
        self.store.keep(model, limits, set_at=NOW, set_by=set_by)

    def rows(self) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.database.path)) as connection:
            return connection.execute("SELECT * FROM model_limits ORDER BY model").fetchall()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path / "ogp.db")
    yield service
    service.writer.stop(WAIT_S)
    service.database.stop()


def test_nothing_is_stored_at_first(service: Service) -> None:
    assert service.store.read() == {}


def test_what_is_kept_is_read_again_by_name_of_the_model(service: Service) -> None:
    service.keep("qwen3", 2, 8)
    service.keep("llama3", 4, 512)
    assert service.store.read() == {"llama3": SlotLimits(4, 512), "qwen3": SlotLimits(2, 8)}
    assert list(service.store.read()) == ["llama3", "qwen3"]


def test_a_row_tells_who_set_it_and_when(service: Service) -> None:
    service.keep("llama3", 4, 512, set_by="root")
    assert service.rows() == [("llama3", 4, 512, "2026-11-20T00:00:00.000Z", "root")]


def test_later_limits_replace_earlier_ones(service: Service) -> None:
    service.keep("llama3", 4, 512)
    service.keep("llama3", 1, 0)
    assert service.store.read() == {"llama3": SlotLimits(1, 0)}


def test_what_is_forgotten_is_gone_and_the_others_stay(service: Service) -> None:
    service.keep("llama3", 4, 512)
    service.keep("qwen3", 2, 8)
    service.store.forget("llama3")
    service.store.forget("never stored")
    assert list(service.store.read()) == ["qwen3"]


def test_a_locked_database_is_told(service: Service) -> None:
    other = sqlite3.connect(service.database.path, isolation_level=None)
    with closing(other):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailableError):
            service.keep("llama3", 4, 512)
    assert service.store.read() == {}


def test_a_writer_that_does_not_answer_is_told(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ogp.storage.model_limits.COMMIT_TIMEOUT_S", 0)
    with service.database.write(), pytest.raises(StorageUnavailableError, match="in time"):
        service.store.forget("llama3")


def test_a_table_that_cannot_be_read_is_told(service: Service) -> None:
    with closing(sqlite3.connect(service.database.path)) as connection:
        connection.execute("DROP TABLE model_limits")
    with pytest.raises(StorageUnavailableError, match="cannot be read"):
        service.store.read()
