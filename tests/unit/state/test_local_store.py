"""The shared database: what is continued, what is started anew, and what breaks."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ogp.core.errors import StateUnavailableError
from ogp.state import local_store
from ogp.state.local_directory import service_run
from ogp.state.local_store import ASIDE, DATABASE, MUTEX, LocalStore, connected, locked

ROOT = Path(__file__).resolve().parents[3]
DIE_IN_A_TRANSACTION = (
    "import os, sys; from pathlib import Path; from ogp.state.local_store import LocalStore\n"
    "store = LocalStore(Path(sys.argv[1]), run='test'); store.start(); store.lock.acquire()\n"
    "with store.transaction() as db:\n"
    "    db.execute(\"INSERT INTO service (run) VALUES ('half done')\"); os.kill(os.getpid(), 9)\n"
)


def started(base: Path, run: str = "test") -> LocalStore:
    store = LocalStore(base, run=run)
    store.start()
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    store = started(tmp_path)
    yield store
    store.stop()


def noted(store: LocalStore) -> list[str]:
    """What `note` left in the database."""
    with store.lock, store.transaction() as db:
        rows = db.execute("SELECT model FROM resized ORDER BY model").fetchall()
    return [row[0] for row in rows]


def note(store: LocalStore, text: str) -> None:
    with store.lock, store.transaction() as db:
        db.execute("INSERT INTO resized (model, parallel, max_queue) VALUES (?, 1, 1)", (text,))


def test_the_constructor_touches_no_file(tmp_path: Path) -> None:
    LocalStore(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_what_one_writes_the_other_reads(tmp_path: Path, store: LocalStore) -> None:
    other = started(tmp_path)
    note(store, "a")
    assert noted(other) == ["a"]
    other.stop()


def test_processes_have_different_numbers(tmp_path: Path, store: LocalStore) -> None:
    other = started(tmp_path)
    assert other.process != store.process
    other.stop()


def test_an_error_undoes_the_transaction(store: LocalStore) -> None:
    def fail() -> None:
        with store.lock, store.transaction() as db:
            db.execute("INSERT INTO resized (model, parallel, max_queue) VALUES ('a', 1, 1)")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert noted(store) == []


def test_a_process_killed_in_a_transaction_has_done_nothing(
    tmp_path: Path, store: LocalStore
) -> None:
    command = [sys.executable, "-c", DIE_IN_A_TRANSACTION, str(tmp_path)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    with store.lock, store.transaction() as db:
        assert db.execute("SELECT run FROM service").fetchall() == [("test",)]
        assert len(store.dead(db)) == 1


def test_files_are_private(store: LocalStore) -> None:
    note(store, "a")
    files = list(store._directory.iterdir())
    modes = {path.name.split(".")[-1]: stat.S_IMODE(path.stat().st_mode) for path in files}
    assert modes.keys() >= {"sqlite", "sqlite-wal", "sqlite-shm", MUTEX, "lock", "wake"}
    assert set(modes.values()) == {0o600}


def test_stopping_leaves_no_sign_of_life_and_no_descriptor(tmp_path: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    store = started(tmp_path)
    store.stop()
    store.stop()
    assert sorted(path.name for path in store._directory.iterdir()) == [MUTEX, DATABASE]
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_stopped_store_is_unavailable(store: LocalStore) -> None:
    store.stop()
    with pytest.raises(StateUnavailableError):
        noted(store)


def test_a_stopped_store_can_be_started_again(store: LocalStore) -> None:
    note(store, "a")
    store.stop()
    store.start()
    assert noted(store) == ["a"]


def test_the_same_run_continues_what_the_dead_left(tmp_path: Path) -> None:
    store = started(tmp_path)
    note(store, "a")
    store._leave()  # as if killed: nothing was given back
    again = started(tmp_path)
    assert noted(again) == ["a"]
    again.stop()


def test_another_run_starts_anew_where_nobody_lives(tmp_path: Path) -> None:
    store = started(tmp_path, run="yesterday")
    note(store, "a")
    store.stop()
    again = started(tmp_path, run="today")
    assert noted(again) == []
    again.stop()


def test_another_run_joins_those_who_live(tmp_path: Path, store: LocalStore) -> None:
    note(store, "a")
    other = started(tmp_path, run="another")
    assert noted(other) == ["a"]
    other.stop()


def test_without_a_name_the_run_is_that_of_the_parent(tmp_path: Path) -> None:
    for _ in range(2):
        store = LocalStore(tmp_path)
        store.start()
        note(store, f"{len(noted(store))}")
        store.stop()
    again = started(tmp_path, run=service_run())
    assert noted(again) == ["0", "1"]
    again.stop()


@pytest.mark.parametrize(
    "content", [b"no database at all" * 300, b"SQLite format 3\0" + bytes(range(256)) * 40]
)
def test_a_broken_file_is_moved_aside(tmp_path: Path, content: bytes) -> None:
    store = started(tmp_path)
    note(store, "a")
    store.stop()
    (store._directory / DATABASE).write_bytes(content)
    with capture_logs() as lines:
        again = started(tmp_path)
    assert noted(again) == []
    assert (again._directory / ASIDE).read_bytes()[:9] == content[:9]
    assert [line["log_level"] for line in lines] == ["error"]
    again.stop()


def test_a_file_of_an_unknown_layout_is_moved_aside(tmp_path: Path) -> None:
    store = started(tmp_path)
    store.stop()
    db = sqlite3.connect(store._directory / DATABASE)
    db.execute("PRAGMA user_version = 77")
    db.close()
    again = started(tmp_path)
    assert noted(again) == []
    assert (again._directory / ASIDE).exists()
    again.stop()


def test_a_file_that_breaks_under_those_who_live_is_left_by_all(
    tmp_path: Path, store: LocalStore
) -> None:
    other = started(tmp_path)
    joined = []
    store.on_join(joined.append)
    with other.lock:
        other._close()
    path = store._directory / DATABASE
    (store._directory / f"{DATABASE}-wal").unlink()
    broken = path.with_suffix(".new")
    broken.write_bytes(b"broken" * 999)
    broken.replace(path)
    note(other, "a")
    assert noted(store) == ["a"]
    assert len(joined) == 1
    other.stop()


def test_a_removed_directory_is_made_again_by_the_next_access(store: LocalStore) -> None:
    joined = []
    store.on_join(joined.append)
    note(store, "a")
    shutil.rmtree(store._directory)
    assert noted(store) == []
    assert len(joined) == 1
    assert {path.suffix for path in store._directory.iterdir()} >= {".lock", ".wake", ".sqlite"}


def test_two_who_lose_their_directory_meet_again(tmp_path: Path, store: LocalStore) -> None:
    other = started(tmp_path)
    shutil.rmtree(store._directory)
    note(store, "a")
    assert noted(other) == ["a"]
    with store.lock, store.transaction() as db:
        assert store.dead(db) == []
    other.stop()


def test_a_full_disk_is_unavailable_until_there_is_room(store: LocalStore) -> None:
    with store.lock, store.transaction() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
    with capture_logs() as lines:
        with pytest.raises(StateUnavailableError) as raised:
            note(store, "a" * 100_000)
        note(store, "b")
    assert isinstance(raised.value.__cause__, sqlite3.Error)
    assert noted(store) == ["b"]
    assert [line["log_level"] for line in lines] == ["error", "info"]


def test_a_failure_is_logged_once_not_for_each_request(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no more files")

    monkeypatch.setattr(local_store, "own_directory", fail)
    shutil.rmtree(store._directory)
    with capture_logs() as lines:
        for _ in range(3):
            with pytest.raises(StateUnavailableError):
                noted(store)
    assert [line["log_level"] for line in lines] == ["warning", "error"]
    monkeypatch.undo()
    assert noted(store) == []


def test_a_directory_that_cannot_be_made_fails_the_start_and_holds_nothing(tmp_path: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    (tmp_path / "file").touch()
    store = LocalStore(tmp_path / "file" / "run")
    with capture_logs() as lines, pytest.raises(StateUnavailableError):
        store.start()
    assert str(tmp_path) in lines[0]["directory"]
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_new_database_that_is_broken_at_once_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> None:
        path.touch()

    monkeypatch.setattr(local_store, "connected", broken)
    with pytest.raises(StateUnavailableError):
        LocalStore(tmp_path).start()


def test_a_database_that_cannot_be_opened_is_no_broken_one(tmp_path: Path) -> None:
    (tmp_path / f"{DATABASE}-wal").mkdir()
    with pytest.raises(sqlite3.OperationalError):
        connected(tmp_path / DATABASE)


def test_a_sign_of_life_that_somebody_removed_is_made_again(store: LocalStore) -> None:
    (sign,) = store._directory.glob("*.lock")
    sign.unlink()
    with store.lock, store.transaction() as db:
        store.join(db)
    assert sign.exists()


def test_a_process_taken_for_dead_joins_again(tmp_path: Path, store: LocalStore) -> None:
    joined = []
    store.on_join(joined.append)
    other, before = started(tmp_path), store.process
    next(store._directory.glob(f"{store._sign.name}.lock")).unlink()
    with other.lock, other.transaction() as db:
        assert other.dead(db) == [before]
    with store.lock, store.transaction() as db:
        store.join(db)
    assert (len(joined), store.process != before) == (1, True)
    other.stop()


def test_a_name_is_known_of_who_is_in_and_of_nobody_else(tmp_path: Path, store: LocalStore) -> None:
    other = started(tmp_path)
    with store.lock, store.transaction() as db:
        for _ in range(2):
            assert store.name_of(db, other.process) == other._sign.name
        assert store.name_of(db, 999) is None
    other.stop()


def test_directories_of_older_versions_are_removed_at_start(tmp_path: Path) -> None:
    (tmp_path / "slots-v0-abc").mkdir()
    store = started(tmp_path)
    assert list(tmp_path.iterdir()) == [store._directory]
    store.stop()


def test_a_mutex_that_was_removed_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lock = tmp_path / MUTEX, local_store.fcntl.flock

    def remove_once(handle: int, operation: int) -> None:
        monkeypatch.undo()
        path.unlink()
        lock(handle, operation)

    monkeypatch.setattr(local_store.fcntl, "flock", remove_once)
    handle = locked(path)
    assert os.path.samestat(path.stat(), os.fstat(handle))
    os.close(handle)


def test_a_mutex_that_cannot_be_locked_holds_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no locks")

    before = len(list(Path("/dev/fd").iterdir()))
    monkeypatch.setattr(local_store.fcntl, "flock", fail)
    with pytest.raises(OSError, match="no locks"):
        locked(tmp_path / MUTEX)
    assert len(list(Path("/dev/fd").iterdir())) == before
