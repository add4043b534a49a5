import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from ogp.storage.engine import Database, driver_of
from ogp.storage.writer import GroupCommitWriter, StorageUnavailableError, WriterFullError

PATIENCE_S = 20
NOT_RELEASED = "the test never released the writer"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "ogp.db", busy_timeout_s=0.2)
    database.start()
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER PRIMARY KEY, y TEXT)")
    yield database
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    database.stop()


@pytest.fixture
def writer(database: Database) -> Iterator[GroupCommitWriter]:
    writer = GroupCommitWriter(database, max_pending=50, name="test")
    writer.start()
    yield writer
    writer.stop(PATIENCE_S)


def add(x: int) -> Callable[[Connection], int]:
    def job(connection: Connection) -> int:
        connection.exec_driver_sql("INSERT INTO t (x) VALUES (?)", (x,))
        return x

    return job


def rows(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.exec_driver_sql("SELECT x FROM t ORDER BY x").scalars())


@contextmanager
def busy(writer: GroupCommitWriter) -> Iterator[Future[None]]:
    """While the body runs, the writer is inside a transaction: what is submitted waits."""
    inside, leave = Event(), Event()

    def job(_connection: Connection) -> None:
        inside.set()
        assert leave.wait(PATIENCE_S), NOT_RELEASED

    future = writer.submit(job)
    assert inside.wait(PATIENCE_S)
    yield future
    leave.set()
    future.result(PATIENCE_S)


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """While the body runs, another connection holds the write lock."""
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


def fill_disk(connection: Connection) -> None:
    driver = driver_of(connection)
    pages = driver.execute("PRAGMA page_count").fetchone()[0]
    driver.execute(f"PRAGMA max_page_count={pages + 2}")


def write_much(connection: Connection) -> None:
    connection.exec_driver_sql("INSERT INTO t (y) VALUES (?)", ("x" * 100_000,))


def test_a_result_comes_after_the_commit(database: Database, writer: GroupCommitWriter) -> None:
    assert writer.submit(add(1)).result(PATIENCE_S) == 1
    assert rows(database) == [1]


def test_all_that_wait_share_one_transaction(writer: GroupCommitWriter) -> None:
    seen: list[Connection] = []
    with busy(writer):
        futures = [writer.submit(seen.append) for _ in range(5)]
    for future in futures:
        future.result(PATIENCE_S)
    assert len(seen) == 5
    assert all(connection is seen[0] for connection in seen)


def test_jobs_run_in_the_order_they_came(writer: GroupCommitWriter) -> None:
    order: list[int] = []
    with busy(writer):
        futures = [writer.submit(lambda _c, n=n: order.append(n)) for n in range(20)]
    futures[-1].result(PATIENCE_S)
    assert order == list(range(20))


def test_a_failing_job_fails_alone(database: Database, writer: GroupCommitWriter) -> None:
    with busy(writer):
        first, clash, last = writer.submit(add(1)), writer.submit(add(1)), writer.submit(add(2))
    assert (first.result(PATIENCE_S), last.result(PATIENCE_S)) == (1, 2)
    assert isinstance(clash.exception(PATIENCE_S), IntegrityError)
    assert rows(database) == [1, 2]


def test_a_failing_job_leaves_no_part_of_itself(
    database: Database, writer: GroupCommitWriter
) -> None:
    def half(connection: Connection) -> None:
        add(7)(connection)
        raise ValueError("second half")

    failed = writer.submit(half)
    assert isinstance(failed.exception(PATIENCE_S), ValueError)
    assert rows(database) == []


def test_a_lock_held_too_long_fails_what_waits(
    database: Database, writer: GroupCommitWriter
) -> None:
    with locked(database):
        futures = [writer.submit(add(n)) for n in range(3)]
        errors = [future.exception(PATIENCE_S) for future in futures]
    assert {type(error) for error in errors} == {StorageUnavailableError}
    assert "database is locked" in str(errors[0])


def test_the_writer_goes_on_after_a_lock(database: Database, writer: GroupCommitWriter) -> None:
    with locked(database):
        writer.submit(add(1)).exception(PATIENCE_S)
    assert writer.submit(add(2)).result(PATIENCE_S) == 2
    assert rows(database) == [2]


def test_a_job_cancelled_while_the_database_is_locked_never_runs(database: Database) -> None:
    patient = Database(database.path, busy_timeout_s=PATIENCE_S)
    patient.start()
    writer = GroupCommitWriter(patient, max_pending=5, name="test")
    writer.start()
    with locked(database):
        given_up, kept = writer.submit(add(1)), writer.submit(add(2))
        assert given_up.cancel()
    assert kept.result(PATIENCE_S) == 2
    with pytest.raises(CancelledError):
        given_up.result(PATIENCE_S)
    assert rows(database) == [2]
    writer.stop(PATIENCE_S)
    patient.stop()


def test_a_full_disk_fails_the_write_and_is_named(writer: GroupCommitWriter) -> None:
    writer.submit(fill_disk).result(PATIENCE_S)
    error = writer.submit(write_much).exception(PATIENCE_S)
    assert isinstance(error, StorageUnavailableError)
    assert "full" in str(error)


def test_the_writer_goes_on_when_the_disk_has_room(
    database: Database, writer: GroupCommitWriter
) -> None:
    writer.submit(fill_disk).result(PATIENCE_S)
    writer.submit(write_much).exception(PATIENCE_S)
    writer.submit(lambda c: driver_of(c).execute("PRAGMA max_page_count=100000").fetchone()).result(
        PATIENCE_S
    )
    writer.submit(write_much).result(PATIENCE_S)
    assert len(rows(database)) == 1


def test_a_transaction_that_sqlite_took_back_fails_as_a_whole(
    database: Database, writer: GroupCommitWriter
) -> None:
    def lose_transaction(connection: Connection) -> None:
        driver_of(connection).rollback()  # what SQLite does by itself on some errors
        raise sqlite3.OperationalError("disk I/O error")

    with busy(writer):
        neighbour, failing = writer.submit(add(1)), writer.submit(lose_transaction)
    errors = [neighbour.exception(PATIENCE_S), failing.exception(PATIENCE_S)]
    assert {type(error) for error in errors} == {StorageUnavailableError}
    assert rows(database) == []


def test_a_fault_of_the_storage_fails_the_neighbours_too(
    database: Database, writer: GroupCommitWriter
) -> None:
    def corrupt(_connection: Connection) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    with busy(writer):
        futures = [writer.submit(add(1)), writer.submit(corrupt)]
    errors = [future.exception(PATIENCE_S) for future in futures]
    assert {type(error) for error in errors} == {StorageUnavailableError}
    assert "malformed" in str(errors[0])
    assert rows(database) == []


def test_a_job_that_asks_for_what_is_not_there_fails_alone(writer: GroupCommitWriter) -> None:
    with busy(writer):
        sound = writer.submit(add(1))
        wrong = writer.submit(lambda c: driver_of(c).execute("SELECT * FROM missing"))
    assert sound.result(PATIENCE_S) == 1
    assert isinstance(wrong.exception(PATIENCE_S), sqlite3.OperationalError)


def test_an_error_repeats_no_values(writer: GroupCommitWriter) -> None:
    def leak(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO missing VALUES (?)", ("s3cret",))

    error = writer.submit(leak).exception(PATIENCE_S)
    assert "s3cret" not in repr(error)
    assert "s3cret" not in str(error)


def test_a_database_that_was_stopped_fails_the_job_not_the_thread(database: Database) -> None:
    other = Database(database.path)
    writer = GroupCommitWriter(other, max_pending=5, name="test")
    writer.start()
    early = writer.submit(add(1)).exception(PATIENCE_S)
    other.start()
    assert isinstance(early, StorageUnavailableError)
    assert writer.submit(add(2)).result(PATIENCE_S) == 2
    writer.stop(PATIENCE_S)
    other.stop()


def test_a_full_queue_takes_no_more(writer: GroupCommitWriter) -> None:
    with busy(writer):
        for n in range(50):
            writer.submit(add(n))
        with pytest.raises(WriterFullError, match="50"):
            writer.submit(add(51))


def test_flush_returns_after_all_that_was_submitted_before(
    database: Database, writer: GroupCommitWriter
) -> None:
    for n in range(20):
        writer.submit(add(n))
    writer.flush(PATIENCE_S)
    assert rows(database) == list(range(20))


def test_flush_finds_room_in_a_full_queue_and_waits_for_it(writer: GroupCommitWriter) -> None:
    with busy(writer):
        for n in range(50):
            writer.submit(add(n))
        with pytest.raises(TimeoutError):
            writer.flush(0.01)


def test_pending_counts_what_waits_and_what_runs(writer: GroupCommitWriter) -> None:
    with busy(writer):
        last: Future[Any] = writer.submit(add(1))
        assert writer.pending == 2
    last.result(PATIENCE_S)
    assert writer.pending == 0


def test_nothing_is_taken_before_the_start(database: Database) -> None:
    writer = GroupCommitWriter(database, max_pending=5, name="early")
    with pytest.raises(StorageUnavailableError, match="early writer is not running"):
        writer.submit(add(1))
    writer.stop(0)


def test_stop_writes_what_waits(database: Database) -> None:
    writer = GroupCommitWriter(database, max_pending=50, name="test")
    writer.start()
    for n in range(20):
        writer.submit(add(n))
    writer.stop(PATIENCE_S)
    assert rows(database) == list(range(20))


def test_nothing_is_taken_after_the_stop(writer: GroupCommitWriter) -> None:
    writer.stop(PATIENCE_S)
    with pytest.raises(StorageUnavailableError, match="not running"):
        writer.submit(add(1))


def test_stop_gives_up_what_cannot_be_written_in_time(
    database: Database, writer: GroupCommitWriter
) -> None:
    with busy(writer):
        waiting = writer.submit(add(1))
        writer.stop(0.01)
        error = waiting.exception(PATIENCE_S)
    assert isinstance(error, StorageUnavailableError)
    assert rows(database) == []
