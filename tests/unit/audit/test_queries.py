from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ogp.audit.jobs import RowJobs
from ogp.audit.queries import AuditQueries
from ogp.core.types import AuditRecord
from ogp.storage.engine import Database
from ogp.storage.tables import Table

RECORD = AuditRecord(request_id="r", http_method="POST", path="/api/chat", created_at=0.5)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "ogp.db")
    database.start()
    jobs = RowJobs()
    with database.write() as connection:
        Table.metadata.create_all(connection)
        for number, (user_id, name) in enumerate([(1, "alice"), (2, "bob"), (1, "alice")]):
            record = replace(RECORD, request_id=f"r{number}", user_id=user_id, username=name)
            jobs.finish(record, "p")(connection)
        jobs.finish(replace(RECORD, request_id="refused"), "p")(connection)
    yield database
    database.stop()


def test_the_newest_rows_come_first(database: Database) -> None:
    rows = AuditQueries(database).recent(3)
    assert [row["request_id"] for row in rows] == ["refused", "r2", "r1"]


def test_rows_of_one_user(database: Database) -> None:
    rows = AuditQueries(database).recent(10, user="alice")
    assert [row["request_id"] for row in rows] == ["r2", "r0"]


@pytest.mark.parametrize("name", ["nobody", "ali%", "' OR 1=1 --", "ALICE"])
def test_a_name_is_only_a_name(database: Database, name: str) -> None:
    assert AuditQueries(database).recent(10, user=name) == []


def test_times_are_aware_datetimes(database: Database) -> None:
    (row,) = AuditQueries(database).recent(1)
    assert row["created_at"] == datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)


def test_counts_per_user_leave_out_rows_of_nobody(database: Database) -> None:
    assert AuditQueries(database).requests_per_user() == {1: 2, 2: 1}
