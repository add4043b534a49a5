"""A line in the tables: what is kept of it, and that nothing is kept of an idle one."""

import sqlite3
from collections.abc import Iterator

import pytest

from ogp.core.slots import Claim, SlotCounts
from ogp.core.types import Priority
from ogp.state.local_line import StoredLine, reclaim, sweep
from ogp.state.local_schema import SCHEMA
from tests.support.state_tables import MODEL, PATIENCE_S, limits

NOW = 100.0
TABLES = ("line", "user", "running", "waiting")


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(SCHEMA)
    yield db
    db.close()


def load(db: sqlite3.Connection) -> StoredLine:
    return StoredLine.load(db, MODEL, PATIENCE_S)


def rows(db: sqlite3.Connection) -> dict[str, int]:
    return {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}


def filled(db: sqlite3.Connection, waiting: int) -> None:
    """One request runs and so many wait, of one process."""
    line = load(db)
    line.limits = limits(max_queue=1000)
    line.run((1, 0), Claim("a"))
    for ticket in range(1, waiting + 1):
        line.wait((1, ticket), Claim("a", request_id=f"r{ticket}"), NOW)
    line.save()


def test_a_line_is_read_as_it_was_saved(db: sqlite3.Connection) -> None:
    filled(db, 2)
    line = load(db)
    assert (line.counts, line.limits) == (SlotCounts(1, 2), limits(max_queue=1000))


def test_nothing_is_kept_of_an_idle_line(db: sqlite3.Connection) -> None:
    filled(db, 0)
    line = load(db)
    assert line.stop((1, 0))
    line.save()
    assert rows(db) == dict.fromkeys(TABLES, 0)


def test_an_idle_line_that_is_saved_leaves_nothing(db: sqlite3.Connection) -> None:
    load(db).save()
    assert rows(db) == dict.fromkeys(TABLES, 0)


def test_nobody_else_can_give_a_slot_or_place_back(db: sqlite3.Connection) -> None:
    filled(db, 1)
    line = load(db)
    assert not line.stop((2, 0))
    assert not line.withdraw((2, 1), Claim("a"), 1, NOW)
    assert line.counts == SlotCounts(1, 1)


def test_who_is_handed_a_slot_does_not_wait_any_more(db: sqlite3.Connection) -> None:
    filled(db, 2)
    line = load(db)
    line.limits = limits(parallel=2)
    assert line.hand_over(NOW) == [(1, 1)]
    assert not line.withdraw((1, 1), Claim("a"), 1, NOW)
    assert line.stop((1, 1))


def test_the_order_can_be_copied_out(db: sqlite3.Connection) -> None:
    filled(db, 2)
    turns, everybody = load(db).snapshot().turns()
    assert [waiting.claim.request_id for waiting in everybody] == ["r1", "r2"]
    assert [turns.take(NOW).ticket for _ in everybody] == [(1, 1), (1, 2)]


def test_a_hand_over_takes_as_many_steps_whether_ten_or_a_thousand_wait(
    db: sqlite3.Connection,
) -> None:
    steps = []
    for waiting in (10, 1000):
        for table in TABLES:
            db.execute(f"DELETE FROM {table}")
        filled(db, waiting)
        line, counted = load(db), [0]
        line.stop((1, 0))

        def count(counted: list[int] = counted) -> int:
            counted[0] += 1
            return 0

        db.set_progress_handler(count, 1)
        assert line.hand_over(NOW) == [(1, 1)]
        db.set_progress_handler(None, 0)
        steps.append(counted[0])
    assert steps[1] < 1.2 * steps[0]


def test_all_that_a_process_held_is_given_back(db: sqlite3.Connection) -> None:
    filled(db, 3)
    line = load(db)
    line.wait((2, 9), Claim("b", priority=Priority.BATCH), NOW)
    line.save()
    assert reclaim(db, 1, PATIENCE_S, NOW) == [(2, 9)]
    assert (load(db).counts, rows(db)["user"]) == (SlotCounts(1, 0), 2)
    assert reclaim(db, 2, PATIENCE_S, NOW) == []
    assert rows(db) == dict.fromkeys(TABLES, 0)


def test_sweeping_forgets_who_neither_waits_nor_is_ahead(db: sqlite3.Connection) -> None:
    line = load(db)
    line.limits = limits(parallel=9)
    for user in ("behind", "ahead", "ahead", "waits"):
        line.run((1, line.active), Claim(user))
        line.save()
        line = load(db)
    line.wait((1, 9), Claim("waits"), NOW)
    line.save()
    sweep(db)
    names = db.execute("SELECT name FROM user ORDER BY name").fetchall()
    assert names == [("ahead",), ("waits",)]
