"""The queries of docs/audit.md run as printed, and its tables name what the code has."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import time

import pytest

from ogp.audit.jobs import RowJobs
from ogp.audit.rows import LENGTHS
from ogp.core.details import details_of
from ogp.core.types import AuditRecord, AuditState, GuardState, Outcome, ScannerResult, Verdict
from ogp.storage.engine import Database
from ogp.storage.migrate import migrate
from ogp.storage.tables import RequestLogTable

DOCUMENT = (Path(__file__).resolve().parents[1] / "docs" / "audit.md").read_text()
BLOCKS = re.findall(r"([^\n]*)\n\n```sql\n(.*?)```", DOCUMENT, re.DOTALL)
QUERIES = [
    pytest.param(sql, id=title) for title, sql in BLOCKS if sql.startswith(("SELECT", "WITH"))
]
DELETION = next(sql for _title, sql in BLOCKS if sql.startswith("DELETE"))
NOW = time()
SERVED = AuditRecord(
    request_id="3f0c9a7e5b1d4c28",
    http_method="POST",
    path="/api/chat",
    created_at=NOW,
    finished_at=NOW + 2,
    user_id=1,
    username="alice",
    token_id="abcdefgh",
    client_ip="192.0.2.7",
    dialect="ollama",
    model="llama2",
    server_used="main",
    outcome=Outcome.COMPLETE,
    response_status=200,
    queue_wait_ms=12.5,
    first_byte_ms=200.0,
    response_time_ms=2000.0,
    prompt_tokens=10,
    completion_tokens=40,
    request_bytes=300,
    response_bytes=5000,
    guard_input=GuardState.CLEAN,
    guard_output=GuardState.CLEAN,
    guard_input_details=details_of(
        Verdict(
            GuardState.CLEAN,
            (ScannerResult("prompt_injection", passed=True, score=0.25, elapsed_ms=30.5),),
            configuration="5f1c0a9be27d",
        )
    ),
)
UNSEEN = replace(SERVED, guard_input_details=None)
CONFIGURATION = (
    '{"scanners":{"prompt_injection":{"threshold":0.92,"action":"block","model":"ab12cd34"}}}'
)
REFUSED = replace(
    SERVED, server_used=None, first_byte_ms=None, completion_tokens=None, response_status=403
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log with a row for every question the document asks."""
    path = tmp_path / "ogp.db"
    migrate(path)
    database = Database(path)
    database.start()
    jobs = RowJobs()
    blocked = replace(REFUSED, error_code="prompt_blocked", guard_input="blocked:regex")
    stranger = replace(REFUSED, username=None, error_code="unauthorized", response_status=401)
    broken = replace(SERVED, outcome=Outcome.UPSTREAM_FAILED, error_code="upstream_error")
    old = replace(SERVED, created_at=NOW - 100 * 86400)
    with database.write() as connection:
        for record in (SERVED, SERVED, blocked, stranger, broken, old, old, UNSEEN):
            jobs.finish(record, "p")(connection)
        jobs.start(replace(SERVED, outcome=None), "p")(connection)
        connection.exec_driver_sql("DELETE FROM request_logs WHERE id = 2")
        connection.exec_driver_sql(
            "INSERT INTO guard_configurations VALUES ('5f1c0a9be27d', '2026', ?)", (CONFIGURATION,)
        )
    database.stop()
    return path


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def test_there_are_at_least_ten_queries() -> None:
    assert len(QUERIES) >= 10
    assert DOCUMENT.count("```sql") == len(BLOCKS)


def test_a_score_stands_beside_its_threshold_and_model(connection: sqlite3.Connection) -> None:
    (sql,) = (sql for title, sql in BLOCKS if "Under which threshold" in title)
    assert connection.execute(sql).fetchone()[2:] == (0.25, 0.92, "ab12cd34")


def test_what_was_not_scanned_is_found(connection: sqlite3.Connection) -> None:
    (sql,) = (sql for title, sql in BLOCKS if "without having been looked at" in title)
    assert len(connection.execute(sql).fetchall()) == 1


def test_the_facts_of_a_scanner_are_explained() -> None:
    shown = {"configuration", "cached", "scanners", "passed", "score", "ms", "flagged"}
    shown |= {"redacted", "error", "unscanned", "left_out"}
    assert named_in("| in | meaning |") == shown


@pytest.mark.parametrize("sql", QUERIES)
def test_each_query_finds_something(connection: sqlite3.Connection, sql: str) -> None:
    rows = connection.execute(sql).fetchall()
    assert rows
    assert any(value is not None for value in rows[0])


def test_the_deletion_takes_old_finished_rows_only(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE request_logs SET state = 'started' WHERE id = 7")  # old and open
    connection.executescript(DELETION)
    kept = [row[0] for row in connection.execute("SELECT id FROM request_logs ORDER BY id")]
    assert kept == [1, 3, 4, 5, 7, 8, 9]


def test_space_is_given_back(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE ballast (x)")
    connection.execute("INSERT INTO ballast VALUES (zeroblob(1000000))")
    connection.commit()
    connection.execute("DROP TABLE ballast")
    (sql,) = (sql for _title, sql in BLOCKS if sql.startswith("PRAGMA"))
    connection.executescript(sql)
    assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)


def test_gaps_are_found(connection: sqlite3.Connection) -> None:
    (sql,) = (sql for title, sql in BLOCKS if "Gaps" in title)
    assert connection.execute(sql).fetchall() == [(2, 2)]


def named_in(table_after: str) -> set[str]:
    """The code words in the first column of the Markdown table that starts with this heading."""
    table = DOCUMENT.split(table_after, 1)[1].split("\n\n", 1)[0]
    firsts = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    return set(re.findall(r"`(\w+)`", " ".join(firsts)))


def test_every_column_is_explained() -> None:
    columns = {column.name for column in RequestLogTable.__table__.columns}
    assert named_in("| column | type | meaning |") == columns


def test_every_state_and_outcome_is_explained() -> None:
    assert named_in("| `state` | meaning |") == set(AuditState)
    assert named_in("| `outcome` | meaning |") == set(Outcome)


@pytest.mark.parametrize("column", ["request_id", "model", "error_message", "guard_input"])
def test_the_stated_lengths_are_those_of_the_table(column: str) -> None:
    (line,) = re.findall(rf"^\| `{column}`.*$", DOCUMENT, re.MULTILINE)
    assert f"text, {LENGTHS[column]} " in line
