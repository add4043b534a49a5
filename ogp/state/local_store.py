"""The database that the processes of one host share, and who of them lives in it.

SQLite in WAL mode, never synced: the kernel keeps what a killed process wrote, a transaction that
it did not finish never happened, and nothing here outlives the boot. Every access holds the lock
of this process and then a file lock, so that SQLite itself never finds anybody else: its own way
of waiting is to sleep.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

import structlog

from ogp.core.errors import StateUnavailableError
from ogp.state.local_directory import (
    LAYOUT,
    boot_name,
    own_directory,
    remove_strangers,
    service_run,
)
from ogp.state.local_processes import SignOfLife, bury, lives, living
from ogp.state.local_schema import SCHEMA
from ogp.state.local_wakeups import Wakeups

DATABASE, ASIDE, MUTEX = "state.sqlite", "state.sqlite.broken", "mutex"
CLOSED = -1
BUSY_S = 1.0
"""How long SQLite waits for somebody else; only a stranger's look at the file can be one."""

log = structlog.get_logger(__name__)


class LocalStore:
    """One process' way to the shared database. `start` it after the fork.

    What the database holds lives as long as a process of the same service run does, or is
    replaced after a crash. If nobody lives in it and another run starts, it starts anew.
    """

    def __init__(
        self, base: Path, *, run: str | None = None, wakeups: Wakeups | None = None
    ) -> None:
        """Keep where it lies.

        Args:
            base: holds the directory of this layout and boot.
            run: names the run of the service; None takes what started this process.
            wakeups: how to tell other processes; None makes one.
        """
        self.lock = Lock()
        """Guards the store and all that its users keep of it; held around every `transaction`."""
        self.process = 0
        """The number of this process in the tables."""
        self.wakeups = wakeups if wakeups is not None else Wakeups()
        self._base, self._run = base, run
        self._on_join: Callable[[sqlite3.Connection], None] = lambda _: None
        self._sign = SignOfLife()
        self._directory = base
        self._database = ""
        self._identity = (0, 0)
        """Device and inode of the database; another file there is another beginning."""
        self._mutex = CLOSED
        """Open whenever the database is."""
        self._db: sqlite3.Connection | None = None
        self._is_started = self._has_failed = False
        self._names: dict[int, str] = {}

    def on_join(self, enter_all: Callable[[sqlite3.Connection], None]) -> None:
        """Call this whenever the tables do not know this process: at start, or made anew.

        It is called under the lock, inside a transaction.
        """
        self._on_join = enter_all

    def start(self) -> None:
        """Open the files and join.

        Raises:
            StateUnavailableError: they cannot be used; the log says why.
        """
        with self.lock:
            self._run = self._run or service_run()
            self._is_started = True
            try:
                with self.transaction():
                    pass
            except StateUnavailableError:
                self._leave()
                raise
            remove_strangers(self._directory)

    def stop(self) -> None:
        """Leave. What this process still holds in the tables is given back by another one."""
        with self.lock:
            if self._db is not None:
                with suppress(StateUnavailableError), self.transaction() as db:
                    db.execute(
                        "DELETE FROM process WHERE id = ?"
                        " AND NOT EXISTS (SELECT 1 FROM running WHERE process = ?)"
                        " AND NOT EXISTS (SELECT 1 FROM waiting WHERE process = ?)",
                        3 * (self.process,),
                    )
            self._leave()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Read and write, alone on this host; an error in the body undoes all of it.

        Raises:
            StateUnavailableError: the files cannot be used now; the next access tries again.
        """
        try:
            db = self._begin()
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            finally:
                fcntl.flock(self._mutex, fcntl.LOCK_UN)
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
            raise StateUnavailableError from error
        if self._has_failed:
            self._has_failed = False
            log.info("shared state is available again", directory=str(self._directory))

    def join(self, db: sqlite3.Connection) -> None:
        """See that the others know this process, and that it knows itself."""
        self._sign.hold(self._directory)
        self.wakeups.listen(self._directory, self._sign.name)
        name = (self._sign.name,)
        known = db.execute("SELECT id FROM process WHERE name = ?", name).fetchone()
        if known is not None:
            self.process = known[0]
            return
        self.process = db.execute("INSERT INTO process (name) VALUES (?)", name).lastrowid or 0
        self._on_join(db)

    def dead(self, db: sqlite3.Connection) -> list[int]:
        """Forget the processes that died without leaving; their numbers."""
        others = db.execute("SELECT id, name FROM process WHERE id <> ?", (self.process,))
        gone = [row for row in others.fetchall() if not lives(self._directory, row[1])]
        for number, name in gone:
            db.execute("DELETE FROM process WHERE id = ?", (number,))
            bury(self._directory, name)
            self.wakeups.forget(name)
            self._names.pop(number, None)
        return [number for number, _ in gone]

    def name_of(self, db: sqlite3.Connection, process: int) -> str | None:
        """The name of a process, to wake it by; None if it has gone."""
        name = self._names.get(process)
        if name is None:
            row = db.execute("SELECT name FROM process WHERE id = ?", (process,)).fetchone()
            if row is not None:
                name = self._names[process] = row[0]
        return name

    def _begin(self) -> sqlite3.Connection:
        if not self._is_started:
            raise OSError("the store is not started")
        db = self._db
        if db is not None:
            fcntl.flock(self._mutex, fcntl.LOCK_EX)
            if identity(self._database) != self._identity:
                log.warning(
                    "shared state was removed; joining anew", directory=str(self._directory)
                )
                self._close()
                db = None
        if db is None:
            db = self._open()
        db.execute("BEGIN IMMEDIATE")
        return db

    def _open(self) -> sqlite3.Connection:
        """Open all files and join, with the file lock held."""
        try:
            self._directory = own_directory(self._base, boot_name())
            self._mutex = locked(self._directory / MUTEX)
            path = self._directory / DATABASE
            self._db = db = self._continued(path)
            self._database, self._identity = str(path), identity(str(path))
            self._names.clear()
            db.execute("BEGIN IMMEDIATE")
            self.join(db)
            db.execute("COMMIT")
        except BaseException:
            self._close()
            raise
        return db

    def _continued(self, path: Path) -> sqlite3.Connection:
        """The database as others left it, or a new one."""
        others = [name for name in living(path.parent) if name != self._sign.name]
        db = connected(path)
        if db is None:
            log.error("shared state was broken; it starts anew", kept=str(path.with_name(ASIDE)))
            path.replace(path.with_name(ASIDE))
            db = self._fresh(path)
        elif not others and not self._is_of_this_run(db):
            db.close()
            db = self._fresh(path)
        return db

    def _is_of_this_run(self, db: sqlite3.Connection) -> bool:
        return (
            db.execute("SELECT 1 FROM service WHERE run = ?", (self._run,)).fetchone() is not None
        )

    def _fresh(self, path: Path) -> sqlite3.Connection:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        db = connected(path)
        if db is None:
            raise sqlite3.DatabaseError("a new database is broken")
        db.execute("INSERT INTO service (run) VALUES (?)", (self._run,))
        return db

    def _fail(self, error: Exception) -> None:
        if not self._has_failed:
            self._has_failed = True
            log.error(
                "shared state is unavailable", directory=str(self._directory), reason=str(error)
            )
        self._close()

    def _leave(self) -> None:
        """Give all files back; without its sign of life this process counts as dead."""
        self._is_started = False
        with suppress(OSError):
            self._sign.drop()
            self.wakeups.close()
        self._close()

    def _close(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error, OSError):
                fcntl.flock(self._mutex, fcntl.LOCK_EX)  # closing may write
                self._db.close()
            self._db = None
        if self._mutex != CLOSED:
            os.close(self._mutex)
            self._mutex = CLOSED


def identity(path: str) -> tuple[int, int]:
    """Device and inode; zeros where there is no file."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a string is faster, and this is done at each access
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino


def locked(path: Path) -> int:
    """The mutex, open and locked. Who removes the directory meanwhile leaves a file unnamed."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if identity(str(path)) == (os.fstat(handle).st_dev, os.fstat(handle).st_ino):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def connected(path: Path) -> sqlite3.Connection | None:
    """The database with its tables, new ones if the file is; None if it is broken or foreign."""
    if not path.exists():  # closing a file that SQLite has open would drop its locks
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version == 0 and not tables:
            db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {LAYOUT}; COMMIT;")
            return db
        if version == LAYOUT and db.execute("PRAGMA quick_check").fetchone()[0] == "ok":
            return db
    except sqlite3.OperationalError:
        db.close()
        raise
    except sqlite3.DatabaseError:
        pass
    db.close()
    return None
