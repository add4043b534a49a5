"""The writes of the request log, as jobs for the writer.

The SQL of a request's own two statements is compiled once and run by the driver with bound values,
which halves their cost.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement

from ogp.audit.rows import COLUMNS, FIXED, Value, row_values
from ogp.core.types import AuditRecord, AuditState, Outcome
from ogp.storage.engine import driver_of
from ogp.storage.tables import RequestLogTable

_STARTED = text("state = 'started'")
"""Spelled as in the partial index: SQLite does not use it for a bound value."""

Job = Callable[[Connection], int]
"""Returns the id of the row it wrote, or the number of rows it changed."""


class RowJobs:
    """Makes the jobs of a process. Immutable after construction, hence thread-safe.

    The texts are made safe when the job is made, on the thread of the request; only SQL is left
    for the writer's.
    """

    def __init__(self) -> None:
        """Compile the statements."""
        changing = [name for name in COLUMNS if name not in FIXED]
        table = RequestLogTable
        self._insert = _compile(insert(table).values({name: bindparam(name) for name in COLUMNS}))
        self._update = _compile(
            update(table)
            .where(table.id == bindparam("row_id"))
            .values({name: bindparam(name) for name in changing})
        )
        self._changing = tuple(index for index, name in enumerate(COLUMNS) if name not in FIXED)

    def start(self, record: AuditRecord, process: str) -> Job:
        """Insert a row in state `started`, owned by `process`."""
        return self._inserting(row_values(record, state=AuditState.STARTED, process=process))

    def finish(self, record: AuditRecord, process: str) -> Job:
        """Complete the record's row; insert it whole if there is none, or none any more."""
        values = row_values(record, state=AuditState.FINISHED, process=process)
        inserting, row_id = self._inserting(values), record.row_id
        if row_id is None:
            return inserting
        changed = (*(values[index] for index in self._changing), row_id)

        def job(connection: Connection) -> int:
            updated = driver_of(connection).execute(self._update, changed).rowcount
            return row_id if updated else inserting(connection)

        return job

    def _inserting(self, values: tuple[Value, ...]) -> Job:
        def job(connection: Connection) -> int:
            return driver_of(connection).execute(self._insert, values).lastrowid or 0

        return job


def nothing(_connection: Connection) -> int:
    """An empty transaction: succeeds when the database is free."""
    return 0


def withdraw(row_id: int) -> Job:
    """Remove a row whose commit came too late: its request was told that there is none."""
    statement = delete(RequestLogTable).where(RequestLogTable.id == row_id)
    return lambda connection: connection.execute(statement).rowcount


def processes_with_started_rows(connection: Connection) -> set[str]:
    """Names of the processes that wrote rows which are still in state `started`."""
    return set(connection.scalars(select(RequestLogTable.process).distinct().where(_STARTED)))


def abort(process: str, finished_at: datetime) -> Job:
    """Close the started rows of a process that died."""
    statement = (
        update(RequestLogTable)
        .where(_STARTED, RequestLogTable.process == process)
        .values(state=AuditState.ABORTED, outcome=Outcome.ABORTED, finished_at=finished_at)
    )
    return lambda connection: connection.execute(statement).rowcount


def _compile(statement: ClauseElement) -> str:
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="qmark")))
