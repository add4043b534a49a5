"""Connections to the SQLite file: several that read, one that writes."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

Durability = Literal["normal", "full"]

READERS = 8
"""Read connections. A look-up takes microseconds, so hundreds of threads share a few handles."""
WAL_LIMIT_BYTES = 64 * 1024 * 1024
"""The write-ahead log file is cut back to this after a checkpoint."""


class Database:
    """The SQLite file of one process. Thread-safe; `start` must come after a fork.

    Other processes may use the same file at the same time, e.g. the command line while the service
    runs: write-ahead logging lets readers pass, and writers take turns.
    """

    def __init__(
        self, path: Path, *, durability: Durability = "normal", busy_timeout_s: float = 15.0
    ) -> None:
        """Store the facts; nothing is opened.

        Args:
            path: the database file; it and its directory are made by `start` where missing.
            durability: `normal` survives the death of every process, `full` a power cut too.
            busy_timeout_s: longest wait for another writer, in seconds.
        """
        self.path = path
        self._durability = durability
        self._busy_timeout_s = busy_timeout_s
        self._reader: Engine | None = None
        self._writer: Engine | None = None

    def start(self) -> None:
        """Make the file with mode 0600 if it is missing, and prepare both engines."""
        secure_files(self.path)
        self._writer = self._make_engine(connections=1)
        event.listen(self._writer, "connect", self._on_writer_connect)
        self._reader = self._make_engine(connections=READERS)
        event.listen(self._reader, "connect", self._on_reader_connect)

    def stop(self) -> None:
        """Close all connections."""
        for engine in (self._reader, self._writer):
            if engine is not None:
                engine.dispose()
        self._reader = self._writer = None

    def read(self) -> AbstractContextManager[Connection]:
        """Borrow a connection that cannot write; each statement sees the newest commit."""
        return self._started(self._reader).connect()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction: begun at once (`BEGIN IMMEDIATE`), committed at exit.

        An exception rolls it back. Threads of this process wait for each other in a queue, other
        processes by the busy timeout. The body leaves `commit` and `rollback` alone.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: locked for too long, disk full.
        """
        with self._started(self._writer).connect() as connection:
            driver = driver_of(connection)
            # By the driver itself: SQLAlchemy's own begin would cost more than the insert of a row.
            with _sqlalchemy_errors("BEGIN IMMEDIATE"):
                driver.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                with _sqlalchemy_errors("COMMIT"):
                    driver.commit()
            except BaseException:
                driver.rollback()
                raise

    @staticmethod
    def _started(engine: Engine | None) -> Engine:
        if engine is None:
            raise RuntimeError("the database is not started")
        return engine

    def _make_engine(self, *, connections: int) -> Engine:
        return create_engine(
            URL.create("sqlite", database=str(self.path)),
            poolclass=QueuePool,
            pool_size=connections,
            max_overflow=0,
            hide_parameters=True,
            pool_timeout=self._busy_timeout_s,
            # None: the driver begins no transactions of its own.
            connect_args={"isolation_level": None, "timeout": self._busy_timeout_s},
        )

    def _on_writer_connect(self, connection: sqlite3.Connection, _record: Any) -> None:
        synchronous = "FULL" if self._durability == "full" else "NORMAL"
        # Has an effect before the first page only, hence before the journal mode writes one.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT_BYTES}")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")

    def _on_reader_connect(self, connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA query_only=ON")


def driver_of(connection: Connection) -> sqlite3.Connection:
    """The connection underneath, for statements that run several times per request.

    It costs a third of SQLAlchemy's way; its errors are those of `sqlite3`.
    """
    return cast(sqlite3.Connection, connection.connection.driver_connection)


@contextmanager
def _sqlalchemy_errors(statement: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OperationalError(statement, None, error) from error


def secure_files(path: Path) -> None:
    """Make directory (0700) and file (0600); take others' rights from files that exist.

    SQLite gives its `-wal` and `-shm` files the mode of the main file. A directory that exists is
    left as it is: it may be somebody else's.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        file = path.with_name(name)
        if file.exists() and file.stat().st_mode & 0o077:
            file.chmod(0o600)
