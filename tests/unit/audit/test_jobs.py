from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ogp.audit.jobs import Job, RowJobs, abort, nothing, processes_with_started_rows, withdraw
from ogp.core.types import AuditRecord, Outcome
from ogp.storage.engine import Database
from ogp.storage.tables import Table

NOW = datetime(2026, 11, 20, 18, 47, tzinfo=UTC)
STARTED = AuditRecord(
    request_id="r1", http_method="POST", path="/api/chat", created_at=1.0, username="alice"
)
ENDED = replace(
    STARTED, outcome=Outcome.COMPLETE, response_status=200, completion_tokens=5, finished_at=2.0
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "ogp.db")
    database.start()
    with database.write() as connection:
        Table.metadata.create_all(connection)
    yield database
    database.stop()


def run(database: Database, job: Job) -> int:
    with database.write() as connection:
        return job(connection)


def rows(database: Database) -> list[dict[str, Any]]:
    with database.read() as connection:
        found = connection.exec_driver_sql("SELECT * FROM request_logs ORDER BY id")
        return [dict(row) for row in found.mappings()]


def test_start_inserts_an_open_row_and_gives_its_id(database: Database) -> None:
    row_id = run(database, RowJobs().start(STARTED, "p1"))
    (row,) = rows(database)
    assert (row["id"], row["state"], row["process"]) == (row_id, "started", "p1")
    assert (row["outcome"], row["finished_at"]) == (None, None)


def test_finish_completes_the_same_row(database: Database) -> None:
    jobs = RowJobs()
    row_id = run(database, jobs.start(STARTED, "p1"))
    assert run(database, jobs.finish(replace(ENDED, row_id=row_id), "p1")) == row_id
    (row,) = rows(database)
    assert (row["state"], row["outcome"], row["response_status"]) == ("finished", "complete", 200)
    assert (row["username"], row["completion_tokens"]) == ("alice", 5)
    assert row["created_at"] < row["finished_at"]


def test_finish_touches_no_other_row(database: Database) -> None:
    jobs = RowJobs()
    first = run(database, jobs.start(STARTED, "p1"))
    run(database, jobs.start(STARTED, "p1"))
    run(database, jobs.finish(replace(ENDED, row_id=first), "p1"))
    assert [row["state"] for row in rows(database)] == ["finished", "started"]


def test_finish_without_a_start_inserts_a_whole_row(database: Database) -> None:
    row_id = run(database, RowJobs().finish(ENDED, "p1"))
    (row,) = rows(database)
    assert (row["id"], row["state"], row["path"]) == (row_id, "finished", "/api/chat")


def test_finish_inserts_again_what_was_pruned_meanwhile(database: Database) -> None:
    jobs = RowJobs()
    row_id = run(database, jobs.start(STARTED, "p1"))
    run(database, withdraw(row_id))
    run(database, jobs.finish(replace(ENDED, row_id=row_id), "p1"))
    assert [row["state"] for row in rows(database)] == ["finished"]


def test_the_truth_of_the_process_wins_over_an_abortion(database: Database) -> None:
    jobs = RowJobs()
    row_id = run(database, jobs.start(STARTED, "p1"))
    run(database, abort("p1", NOW))
    run(database, jobs.finish(replace(ENDED, row_id=row_id), "p1"))
    assert [(row["state"], row["outcome"]) for row in rows(database)] == [("finished", "complete")]


def test_abort_closes_the_open_rows_of_one_process_only(database: Database) -> None:
    jobs = RowJobs()
    run(database, jobs.start(STARTED, "dead"))
    run(database, jobs.finish(ENDED, "dead"))
    run(database, jobs.start(STARTED, "alive"))
    assert run(database, abort("dead", NOW)) == 1
    found = [(row["state"], row["outcome"]) for row in rows(database)]
    assert found == [("aborted", "aborted"), ("finished", "complete"), ("started", None)]
    assert rows(database)[0]["finished_at"] == "2026-11-20T18:47:00.000Z"


def test_withdraw_removes_one_row_and_its_id_is_not_used_again(database: Database) -> None:
    jobs = RowJobs()
    row_id = run(database, jobs.start(STARTED, "p1"))
    assert run(database, withdraw(row_id)) == 1
    assert run(database, jobs.start(STARTED, "p1")) > row_id


def test_processes_with_open_rows_are_found(database: Database) -> None:
    jobs = RowJobs()
    for process in ("p1", "p1", "p2"):
        run(database, jobs.start(STARTED, process))
    run(database, jobs.finish(ENDED, "p3"))
    with database.read() as connection:
        assert processes_with_started_rows(connection) == {"p1", "p2"}


def test_nothing_writes_nothing(database: Database) -> None:
    assert run(database, nothing) == 0
    assert rows(database) == []


@pytest.mark.parametrize(
    "hostile", ["'); DROP TABLE request_logs; --", '"', "?", ":x", "%s", "x\0y", "\ud800"]
)
def test_hostile_text_is_only_text(database: Database, hostile: str) -> None:
    record = replace(ENDED, request_id=hostile, path=hostile, model=hostile, error_message=hostile)
    jobs = RowJobs()
    row_id = run(database, jobs.start(record, "p1"))
    run(database, jobs.finish(replace(record, row_id=row_id), "p1"))
    (row,) = rows(database)
    assert row["model"] == row["path"] == row["error_message"]
    assert len(row["model"]) == len(hostile)
