import os
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import psutil
import pytest
from sqlalchemy.exc import OperationalError

from ogp.storage.engine import READERS, Database, driver_of


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "made" / "ogp.db", busy_timeout_s=0.05)
    database.start()
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER PRIMARY KEY)")
    yield database
    database.stop()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def handles_of(database: Database) -> int:
    files = psutil.Process().open_files()
    return sum(file.path == str(database.path) for file in files)


def pragma(database: Database, name: str) -> object:
    with database.write() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_all_files_belong_to_their_owner_alone(database: Database) -> None:
    with database.read():
        modes = {path.name: mode_of(path) for path in database.path.parent.iterdir()}
    assert modes == {"ogp.db": 0o600, "ogp.db-wal": 0o600, "ogp.db-shm": 0o600}


def test_a_directory_that_is_made_belongs_to_its_owner_alone(database: Database) -> None:
    assert mode_of(database.path.parent) == 0o700


def test_a_directory_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Database(tmp_path / "ogp.db").start()
    assert mode_of(tmp_path) == 0o755


def test_files_that_others_could_read_are_closed_to_them(tmp_path: Path) -> None:
    files = [tmp_path / f"ogp.db{suffix}" for suffix in ("", "-wal", "-shm")]
    for file in files:
        file.touch()
        file.chmod(0o644)
    Database(tmp_path / "ogp.db").start()
    assert {mode_of(file) for file in files} == {0o600}


def test_a_loose_umask_changes_nothing(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Database(tmp_path / "new" / "ogp.db").start()
    finally:
        os.umask(before)
    assert (mode_of(tmp_path / "new"), mode_of(tmp_path / "new" / "ogp.db")) == (0o700, 0o600)


@pytest.mark.parametrize(
    ("name", "value"),
    [("journal_mode", "wal"), ("auto_vacuum", 2), ("foreign_keys", 1), ("synchronous", 1)],
)
def test_the_writing_connection_is_set_up(database: Database, name: str, value: object) -> None:
    assert pragma(database, name) == value


def test_full_durability_waits_for_the_disk(tmp_path: Path) -> None:
    database = Database(tmp_path / "ogp.db", durability="full")
    database.start()
    assert pragma(database, "synchronous") == 2
    database.stop()


def test_what_was_written_is_read_back(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (7)")
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT x FROM t").scalar_one() == 7


def test_an_exception_takes_everything_back(database: Database) -> None:
    with pytest.raises(KeyError), database.write() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (7)")
        raise KeyError
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 0


def test_a_writer_begins_before_its_first_statement(database: Database) -> None:
    with database.write() as connection:
        assert driver_of(connection).in_transaction


def test_a_reader_sees_the_newest_commit_at_each_statement(database: Database) -> None:
    with database.read() as reader:
        before = reader.exec_driver_sql("SELECT count(*) FROM t").scalar_one()
        with database.write() as writer:
            writer.exec_driver_sql("INSERT INTO t VALUES (1)")
        after = reader.exec_driver_sql("SELECT count(*) FROM t").scalar_one()
    assert (before, after) == (0, 1)


def test_a_reader_cannot_write(database: Database) -> None:
    with database.read() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")


def test_another_writer_is_waited_for_and_then_reported(database: Database) -> None:
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="locked"), database.write():
        pass
    other.execute("ROLLBACK")
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")


def test_a_commit_that_fails_leaves_nothing_behind(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE c (x REFERENCES t (x) DEFERRABLE INITIALLY DEFERRED)"
        )
    with pytest.raises(OperationalError, match="FOREIGN KEY"), database.write() as connection:
        connection.exec_driver_sql("INSERT INTO c VALUES (99)")
    with database.write() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM c").scalar_one() == 0


def test_values_never_appear_in_an_error(database: Database) -> None:
    with database.read() as connection, pytest.raises(OperationalError) as caught:
        connection.exec_driver_sql("INSERT INTO t VALUES (?)", ("s3cret",))
    assert "s3cret" not in str(caught.value)


def test_many_threads_share_a_few_handles(database: Database) -> None:
    database = Database(database.path)
    database.start()
    threads = 4 * READERS
    together = Barrier(threads, timeout=30)

    def read() -> None:
        together.wait()
        for _ in range(5):
            with database.read() as connection:
                connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one()

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(read) for _ in range(threads)]:
            done.result(30)
    assert 0 < handles_of(database) <= READERS + 1
    database.stop()


def test_stop_closes_every_handle(database: Database) -> None:
    with database.read():
        pass
    database.stop()
    assert handles_of(database) == 0


def test_a_database_that_is_not_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not started"):
        Database(tmp_path / "ogp.db").read()
