"""What the request log needs of one worker process, and ways to break it."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from sqlalchemy import Connection

from ogp.audit.configurations import Documents
from ogp.audit.recorder import AuditRecorder
from ogp.core.clock import SystemClock
from ogp.core.types import AuditRecord, Outcome
from ogp.settings.schema import AuditSettings
from ogp.storage.engine import Database, driver_of
from ogp.storage.migrate import migrate
from ogp.storage.writer import GroupCommitWriter, StorageUnavailableError

T = TypeVar("T")
PATIENCE_S = 20
STARTED = AuditRecord(
    request_id="r1", http_method="POST", path="/api/chat", created_at=1.0, username="alice"
)
ENDED = replace(STARTED, outcome=Outcome.COMPLETE, response_status=200, finished_at=2.0)


class WatchedWriter(GroupCommitWriter):
    """The real writer; `submitted` is set whenever a job has been queued."""

    def __init__(self, database: Database, *, max_pending: int, name: str) -> None:
        super().__init__(database, max_pending=max_pending, name=name)
        self.submitted = Event()

    def submit(self, job: Callable[[Connection], T]) -> Future[T]:
        future = super().submit(job)
        self.submitted.set()
        return future


class Service:
    """What one worker process has: database, writer, recorder."""

    def __init__(
        self,
        path: Path,
        *,
        busy_timeout_s: float = 0.1,
        sweep_s: float = 3600.0,
        configurations: Documents = dict,
        **settings: Any,
    ) -> None:
        migrate(path)
        self.path = path
        self.database = Database(path, busy_timeout_s=busy_timeout_s)
        self.settings = AuditSettings(**settings)
        self.writer = WatchedWriter(
            self.database, max_pending=self.settings.max_pending, name="test"
        )
        self.recorder = AuditRecorder(
            self.database,
            self.writer,
            run_directory=path.parent / "run",
            settings=self.settings,
            clock=SystemClock(),
            configurations=configurations,
            sweep_s=sweep_s,
        )

    def __enter__(self) -> "Service":
        self.database.start()
        self.writer.start()
        self.recorder.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.recorder.stop(PATIENCE_S)
        self.writer.stop(PATIENCE_S)
        self.database.stop()
        assert integrity(self.path) == "ok"

    def flush(self) -> None:
        """Returns when all that was submitted, and what that brought about, is done."""
        for _ in range(3):
            with suppress(StorageUnavailableError):
                self.writer.flush(PATIENCE_S)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return rows(self.path)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While the body runs, the writer is inside a transaction: what is submitted waits."""
        inside, leave = Event(), Event()
        future = self.writer.submit(lambda _connection: inside.set() or leave.wait(PATIENCE_S))
        assert inside.wait(PATIENCE_S)
        self.writer.submitted.clear()
        yield
        leave.set()
        future.result(PATIENCE_S)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While the body runs, another connection holds the write lock."""
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
        other.close()

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """While the body runs, the file can grow no more, and no page of it is free."""
        self.on_connection("PRAGMA max_page_count=1")
        yield
        self.on_connection("PRAGMA max_page_count=1000000")

    def on_connection(self, statement: str) -> None:
        self.writer.submit(lambda c: driver_of(c).execute(statement).fetchall()).result(PATIENCE_S)


def rows(path: Path) -> list[dict[str, Any]]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    found = connection.execute("SELECT * FROM request_logs ORDER BY id").fetchall()
    connection.close()
    return [dict(row) for row in found]


def integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    answer = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    return str(answer)


def states(service: Service) -> list[tuple[str, str | None]]:
    return [(row["state"], row["outcome"]) for row in service.rows]
