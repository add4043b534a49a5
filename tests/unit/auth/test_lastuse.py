"""The time of last use: rarely written, never waited for, failures said once."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import Connection

from ogp.auth.hasher import BcryptHasher
from ogp.auth.lastuse import LastUse
from ogp.auth.users import UserStore
from ogp.storage.engine import Database
from ogp.storage.tables import Table
from ogp.storage.writer import GroupCommitWriter, StorageUnavailableError, WriterFullError

START = datetime(2026, 11, 20, tzinfo=UTC)


class ManualClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def monotonic(self) -> float:
        return 1000 + self.passed_s

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s)


class ScriptedWriter:
    """A writer at the edge: takes jobs, and ends them as the test says."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []
        self.refusal: Exception | None = None

    def submit(self, job: Callable[[Connection], Any]) -> Future[Any]:
        if self.refusal is not None:
            raise self.refusal
        self.futures.append(Future())
        return self.futures[-1]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "ogp.db")
    database.start()
    with database.write() as connection:
        Table.metadata.create_all(connection)
    yield database
    database.stop()


def make(writer: Any, *, max_tokens: int = 100) -> tuple[LastUse, ManualClock]:
    clock = ManualClock()
    return LastUse(writer, clock, every_s=60, max_tokens=max_tokens), clock


def test_time_is_written_to_the_row_of_that_token_only(database: Database) -> None:
    store = UserStore(database, hasher=BcryptHasher(4))
    _, used = store.create("used")
    store.create("other")
    writer = GroupCommitWriter(database, max_pending=10, name="test")
    writer.start()
    last_use, _ = make(writer)
    last_use.note(used.id, None)
    writer.stop(10)
    assert store.get("used").last_used_at == START
    assert store.get("other").last_used_at is None


def test_second_use_within_the_minute_is_not_written() -> None:
    writer = ScriptedWriter()
    last_use, clock = make(writer)
    last_use.note("a", None)
    clock.passed_s = 59.9
    last_use.note("a", None)
    assert len(writer.futures) == 1


def test_use_after_the_minute_is_written() -> None:
    writer = ScriptedWriter()
    last_use, clock = make(writer)
    last_use.note("a", None)
    clock.passed_s = 60
    last_use.note("a", START)
    assert len(writer.futures) == 2


def test_tokens_have_their_own_minutes() -> None:
    writer = ScriptedWriter()
    last_use, _ = make(writer)
    last_use.note("a", None)
    last_use.note("b", None)
    assert len(writer.futures) == 2


def test_use_that_another_process_wrote_lately_is_not_written() -> None:
    writer = ScriptedWriter()
    last_use, _ = make(writer)
    last_use.note("a", START - timedelta(seconds=59))
    assert not writer.futures


def test_written_time_far_in_the_future_is_put_right() -> None:
    writer = ScriptedWriter()
    last_use, _ = make(writer)
    last_use.note("a", START + timedelta(days=400))
    assert len(writer.futures) == 1


def test_number_of_remembered_tokens_is_bounded() -> None:
    writer = ScriptedWriter()
    last_use, _ = make(writer, max_tokens=2)
    for name in ("a", "b", "c"):
        last_use.note(name, None)
    last_use.note("c", None)
    assert len(writer.futures) == 3
    last_use.note("a", None)
    assert len(writer.futures) == 4


def test_token_written_longest_ago_is_forgotten_first() -> None:
    writer = ScriptedWriter()
    last_use, clock = make(writer, max_tokens=2)
    last_use.note("a", None)
    clock.passed_s = 30
    last_use.note("b", None)
    clock.passed_s = 60
    for name in ("a", "c"):
        last_use.note(name, None)
    assert len(writer.futures) == 4
    last_use.note("a", None)
    assert len(writer.futures) == 4
    last_use.note("b", None)
    assert len(writer.futures) == 5


@pytest.mark.parametrize(
    "refusal", [StorageUnavailableError("not running"), WriterFullError("10 writes wait")]
)
def test_writer_that_takes_no_job_is_logged_once_and_not_raised(refusal: Exception) -> None:
    writer = ScriptedWriter()
    writer.refusal = refusal
    last_use, _ = make(writer)
    with structlog.testing.capture_logs() as lines:
        last_use.note("a", None)
        last_use.note("b", None)
    assert [line["log_level"] for line in lines] == ["warning"]


def test_failed_writes_are_logged_once_per_streak() -> None:
    writer = ScriptedWriter()
    last_use, _ = make(writer)
    for name in "abcd":
        last_use.note(name, None)
    first, second, third, fourth = writer.futures
    with structlog.testing.capture_logs() as lines:
        first.set_exception(StorageUnavailableError("locked"))
        second.set_exception(StorageUnavailableError("locked"))
        third.set_result(None)
        fourth.set_exception(StorageUnavailableError("locked"))
    assert len(lines) == 2


def test_cancelled_write_is_no_failure() -> None:
    writer = ScriptedWriter()
    last_use, _ = make(writer)
    last_use.note("a", None)
    with structlog.testing.capture_logs() as lines:
        writer.futures[0].cancel()
    assert not lines
