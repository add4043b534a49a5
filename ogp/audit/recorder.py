"""The request log's one door: a row before anything goes upstream, finished at the end."""

import sqlite3
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ogp.audit.configurations import ConfigurationRows, Documents
from ogp.audit.health import AuditHealth, AuditStatus
from ogp.audit.jobs import Job, RowJobs, abort, nothing, processes_with_started_rows, withdraw
from ogp.audit.owners import ProcessLock, burial, known_processes
from ogp.core.clock import Clock
from ogp.core.errors import AuditUnavailableError
from ogp.core.types import AuditRecord
from ogp.settings.schema import AuditSettings
from ogp.storage.engine import Database
from ogp.storage.writer import GroupCommitWriter, StorageUnavailableError

log = structlog.get_logger()

SWEEP_S = 30.0
"""Between two looks for processes that died."""
RETRY_S = 2.0
"""Between two attempts to write what could not be written."""
WRITE_ERRORS = (StorageUnavailableError, SQLAlchemyError, sqlite3.Error, TimeoutError)


class AuditRecorder:
    """Implements `core.ports.AuditLog` over one writer. Thread-safe.

    Start it after the database (migrated) and the writer, in the process that serves; stop it
    before them.
    """

    def __init__(
        self,
        database: Database,
        writer: GroupCommitWriter,
        *,
        run_directory: Path,
        settings: AuditSettings,
        clock: Clock,
        configurations: Documents = dict,
        sweep_s: float = SWEEP_S,
    ) -> None:
        """Store the facts; `start` takes the process lock and starts the sweeping thread.

        Args:
            database: for reading; the rows are written by `writer` alone.
            writer: commits the rows of this process, and may serve others too.
            run_directory: where each worker process keeps its lock file.
            settings: how long to wait for a commit, and what to do without one.
            clock: for the times of rows that are closed for a dead process.
            configurations: what the ids in guard details stand for; asked when one is new.
            sweep_s: seconds between two looks for dead processes.
        """
        self._database, self._writer = database, writer
        self._directory, self._settings = run_directory, settings
        self._clock, self._sweep_s = clock, sweep_s
        self._process = ProcessLock(run_directory)
        self._jobs = RowJobs()
        self._configurations = ConfigurationRows(configurations, clock)
        self._health = AuditHealth(clock)
        self._lock = Lock()  # guards `_kept`
        self._kept: deque[Job] = deque()
        self._stopping = Event()
        self._sweeper = Thread(target=self._sweep_on, name="audit-sweep", daemon=True)

    def start(self) -> None:
        """Close the rows that dead processes left open, and go on watching for such."""
        self._process.acquire()
        self.sweep()
        self._sweeper.start()

    def stop(self, timeout_s: float) -> None:
        """Write what can be written in `timeout_s`, then let go of the process lock."""
        deadline = self._clock.monotonic() + timeout_s
        self._stopping.set()
        if self._sweeper.is_alive():
            self._sweeper.join(timeout_s)
        self._flush(deadline)
        self._write_kept()
        self._flush(deadline)
        self._process.release()

    def begin(self, record: AuditRecord) -> AuditRecord:
        """Commit a row in state `started` and return the record with its `row_id`.

        With `on_failure: continue` a failure returns the record as it is; `finish` then inserts
        the whole row.

        Raises:
            AuditUnavailableError: it could not be committed in `commit_timeout_s`.
        """
        lacking = self._configurations.lacking(record)
        job = self._jobs.start(record, self._process.name)
        try:
            row_id = self._commit(self._configurations.preceding(job, lacking))
        except WRITE_ERRORS as error:
            self._health.failed(error)
            if self._settings.on_failure == "continue":
                return record
            raise AuditUnavailableError(
                "the request could not be recorded, so it was not served; try again later"
            ) from error
        self._health.wrote()
        self._configurations.wrote(lacking)
        return replace(record, row_id=row_id)

    def finish(self, record: AuditRecord, *, wait: bool) -> None:
        """Write the final state, with a new row if there is none.

        A failure is counted and tried again until it succeeds or the process stops; never raised.

        Args:
            record: the complete record.
            wait: return after the commit, or `commit_timeout_s`, rather than at once.
        """
        lacking = self._configurations.lacking(record)
        job = self._jobs.finish(record, self._process.name)
        future = self._enqueue(self._configurations.preceding(job, lacking))
        if lacking and future is not None:
            future.add_done_callback(partial(self._wrote, lacking))
        if wait and future is not None:
            try:
                future.exception(self._settings.commit_timeout_s)
            except TimeoutError:
                self._health.failed(TimeoutError("a final state is late"))

    def status(self) -> AuditStatus:
        """What `/health` tells; cheap."""
        with self._lock:
            kept = len(self._kept)
        return self._health.status(pending=self._writer.pending + kept)

    def sweep(self) -> None:
        """Try again what could not be written, and close the rows of dead processes."""
        self._write_kept()
        try:
            self._reap()
        except (*WRITE_ERRORS, OSError) as error:
            self._health.failed(error)

    def _flush(self, deadline: float) -> None:
        try:
            self._writer.flush(max(0.0, deadline - self._clock.monotonic()))
        except WRITE_ERRORS as error:
            self._health.failed(error)

    def _commit(self, job: Job) -> int:
        future, timeout_s = self._writer.submit(job), self._settings.commit_timeout_s
        try:
            return future.result(timeout_s)
        except TimeoutError:
            # A job that has not begun never will. One that has may still be committed: its row is
            # then removed, before or together with the insert that `finish` brings.
            if not future.cancel():
                future.add_done_callback(self._withdraw)
            raise TimeoutError(f"no commit within {timeout_s:g} s") from None

    def _withdraw(self, late: Future[int]) -> None:
        if late.exception() is None:
            self._enqueue(withdraw(late.result()))

    def _enqueue(self, job: Job) -> Future[int] | None:
        try:
            future = self._writer.submit(job)
        except StorageUnavailableError as error:
            self._health.failed(error)
            self._keep(job)
            return None
        future.add_done_callback(partial(self._settle, job))
        return future

    def _settle(self, job: Job, future: Future[int]) -> None:
        error = future.exception()
        if error is None:
            self._health.wrote()
            return
        self._health.failed(error)
        if isinstance(error, StorageUnavailableError):
            self._keep(job)
        else:
            log.error("a row of the request log was refused", reason=type(error).__name__)
            self._health.lost()

    def _wrote(self, lacking: Mapping[str, str], future: Future[int]) -> None:
        if future.exception() is None:
            self._configurations.wrote(lacking)

    def _keep(self, job: Job) -> None:
        with self._lock:
            has_room = len(self._kept) < self._settings.max_pending
            if has_room:
                self._kept.append(job)
        if not has_room:
            self._health.lost()

    def _write_kept(self) -> None:
        with self._lock:
            jobs = list(self._kept)
            self._kept.clear()
        if not jobs and not self._health.is_available:
            jobs.append(nothing)  # asks whether it works again, as nobody else may come to ask
        for job in jobs:
            self._enqueue(job)

    def _sweep_on(self) -> None:
        while not self._stopping.wait(self._pause_s()):
            self.sweep()

    def _pause_s(self) -> float:
        return self._sweep_s if self._health.is_available else min(RETRY_S, self._sweep_s)

    def _reap(self) -> None:
        self._process.acquire()
        with self._database.read() as connection:
            processes = processes_with_started_rows(connection)
        processes |= known_processes(self._directory)
        processes.discard(self._process.name)
        for process in sorted(processes):
            with burial(self._directory, process) as is_dead:
                if is_dead:
                    self._close_rows(process)

    def _close_rows(self, process: str) -> None:
        job = abort(process, self._clock.now())
        rows = self._writer.submit(job).result(self._settings.commit_timeout_s)
        if rows:
            log.warning("rows of a dead process closed", process=process, rows=rows)
