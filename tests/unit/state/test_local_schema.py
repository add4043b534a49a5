"""The tables, and that what is asked for often is found by an index."""

import sqlite3
from collections.abc import Iterator

import pytest

from ogp.state.local_schema import SCHEMA


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:")
    db.executescript(SCHEMA)
    yield db
    db.close()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT name FROM user WHERE model = 'm' AND rank IS NOT NULL"
        " ORDER BY rank, start, turn LIMIT 1",
        "SELECT name FROM user WHERE model = 'm' AND since <= 3.0 ORDER BY since, number",
        "SELECT number FROM waiting WHERE model = 'm' AND user = 'u' AND batch = 0"
        " ORDER BY number LIMIT 1",
        "SELECT ticket FROM running WHERE process = 1",
    ],
    ids=["next user", "old batch", "head", "own"],
)
def test_no_step_of_a_hand_over_reads_a_whole_table(db: sqlite3.Connection, query: str) -> None:
    plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert len(plan) == 1
    assert plan[0].startswith("SEARCH ")


def test_numbers_of_processes_never_come_again(db: sqlite3.Connection) -> None:
    first = db.execute("INSERT INTO process (name) VALUES ('a')").lastrowid
    db.execute("DELETE FROM process")
    assert db.execute("INSERT INTO process (name) VALUES ('b')").lastrowid != first
