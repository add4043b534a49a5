"""One thread that writes for all others: whatever waits goes into one transaction."""

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from math import inf
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ogp.storage.engine import Database

log = structlog.get_logger()
T = TypeVar("T")

FAULTS_OF_STORAGE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
"""Result codes that say nothing about the job at hand: the next one would fail as well."""


class StorageUnavailableError(Exception):
    """Nothing was written: no transaction could start or commit, or the writer takes no more."""


class WriterFullError(StorageUnavailableError):
    """`max_pending` jobs already wait."""


@dataclass(frozen=True, slots=True)
class _Job:
    run: Callable[[Connection], Any]
    future: Future[Any]


class _JobFailedError(Exception):
    """One job raised, the transaction as such is sound."""


class GroupCommitWriter:
    """Runs submitted jobs on its own thread, all that wait in one transaction. Thread-safe.

    A job may run twice: when a neighbour fails, the transaction is rolled back and repeated with a
    savepoint around each job, so that only the failing one fails. It must do nothing but SQL and
    let every exception through.
    """

    def __init__(self, database: Database, *, max_pending: int, name: str) -> None:
        """Store the facts; `start` starts the thread.

        Args:
            database: where to write; started before this, stopped after it.
            max_pending: jobs that may wait.
            name: of the thread, and in log lines.
        """
        self._database, self._max_pending, self._name = database, max_pending, name
        self._lock = Lock()  # guards the three below; never held while writing
        self._waiting: deque[_Job] = deque()
        self._running = 0
        self._accepting = False
        self._wakeups: SimpleQueue[None] = SimpleQueue()  # one when `_waiting` stops being empty
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread; must come after a fork."""
        with self._lock:
            self._accepting = True
        self._thread = Thread(target=self._work, name=self._name, daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Take no more, write what waits; whatever is left after `timeout_s` fails."""
        with self._lock:
            self._accepting = False
        self._wakeups.put(None)
        if self._thread is not None:
            self._thread.join(timeout_s)
            self._thread = None
        left = self._take()
        if left:
            log.error("writes lost at stop", writer=self._name, jobs=len(left))
            error = StorageUnavailableError("the writer stopped before it could write")
            self._settle(left, [error] * len(left))

    @property
    def pending(self) -> int:
        """Jobs that are not committed yet."""
        with self._lock:
            return len(self._waiting) + self._running

    def submit(self, job: Callable[[Connection], T]) -> Future[T]:
        """Have `job` run in the next transaction.

        Returns:
            Its result, set after the commit. It can be cancelled until the transaction has begun.
            It fails with `StorageUnavailableError` when nothing could be written, else with what
            the job raised.

        Raises:
            WriterFullError: too many wait.
            StorageUnavailableError: the writer is not running.
        """
        return self._append(job, room_for=self._max_pending)

    def flush(self, timeout_s: float) -> None:
        """Wait until all that was submitted before is committed or has failed.

        Raises:
            StorageUnavailableError: the writer is not running, or the database cannot be written.
            TimeoutError: it took longer than `timeout_s`.
        """
        self._append(lambda _connection: None).result(timeout_s)

    def _append(self, job: Callable[[Connection], T], *, room_for: float = inf) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            if not self._accepting:
                raise StorageUnavailableError(f"the {self._name} writer is not running")
            if len(self._waiting) >= room_for:
                raise WriterFullError(f"{self._max_pending} writes already wait")
            was_empty = not self._waiting
            self._waiting.append(_Job(job, future))
        if was_empty:
            self._wakeups.put(None)
        return future

    def _work(self) -> None:
        while self._accepting or self._waiting:
            self._wakeups.get()
            if self._waiting:
                self._write_waiting()

    def _take(self) -> list[_Job]:
        with self._lock:
            jobs = [job for job in self._waiting if job.future.set_running_or_notify_cancel()]
            self._waiting.clear()
            self._running += len(jobs)
        return jobs

    def _write_waiting(self) -> None:
        jobs: list[_Job] = []
        try:
            with self._database.write() as connection:
                # Taken only now: what came while the transaction waited to begin joins in, and
                # what was given up meanwhile is left out.
                jobs = self._take()
                results = _run_together(connection, jobs)
        except _JobFailedError:
            self._write_apart(jobs)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self._give_up(jobs or self._take(), error)
        else:
            self._settle(jobs, results)

    def _write_apart(self, jobs: Sequence[_Job]) -> None:
        try:
            with self._database.write() as connection:
                results = [_run_apart(connection, job) for job in jobs]
        except Exception as error:  # noqa: BLE001 - as above
            self._give_up(jobs, error)
        else:
            self._settle(jobs, results)

    def _give_up(self, jobs: Sequence[_Job], error: Exception) -> None:
        unavailable = _unavailable(error)
        self._settle(jobs, [unavailable] * len(jobs))

    def _settle(self, jobs: Sequence[_Job], results: Sequence[Any]) -> None:
        with self._lock:
            self._running -= len(jobs)
        for job, result in zip(jobs, results, strict=True):
            if isinstance(result, Exception):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)


def _run_together(connection: Connection, jobs: Sequence[_Job]) -> list[Any]:
    try:
        return [job.run(connection) for job in jobs]
    except Exception as error:
        raise _JobFailedError from error


def _run_apart(connection: Connection, job: _Job) -> Any:
    """The job's result, or its exception as a value.

    A fault of the storage is raised, and fails the batch as a whole: SQLite may have rolled back
    everything by itself, savepoints included.
    """
    savepoint = connection.begin_nested()
    try:
        result = job.run(connection)
    except Exception as error:
        if _is_fault_of_storage(error):
            raise
        savepoint.rollback()
        return error
    savepoint.commit()
    return result


def _is_fault_of_storage(error: Exception) -> bool:
    reason = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(reason, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF in FAULTS_OF_STORAGE  # the rest of an extended code says more of the same


def _unavailable(error: Exception) -> StorageUnavailableError:
    # The driver's words ("database is locked") name no values; SQLAlchemy's text repeats the SQL.
    reason = error.orig if isinstance(error, DBAPIError) else error
    words = str(reason) if isinstance(reason, sqlite3.Error) else type(reason).__name__
    unavailable = StorageUnavailableError(f"the database cannot be written: {words}")
    unavailable.__cause__ = error
    return unavailable
