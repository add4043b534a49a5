"""Several real processes share the slots: exact limits, hand-over, kills, lost wake-ups."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest

from ogp.core.clock import SystemClock
from ogp.core.slots import SlotCounts, SlotLimits
from ogp.state.local import LocalSlotTable
from ogp.state.local_store import DATABASE, LocalStore
from ogp.state.local_tallies import LocalTallyBook
from tests.support.state_tables import Asking, limits
from tests.support.state_worker import Child, worker

MODEL = "llama3"
PROMISED_S = 2.0


class Here:
    """The test's own process as one that shares."""

    def __init__(self, directory: Path) -> None:
        self.store = LocalStore(directory, run="test")
        self.table = LocalSlotTable(self.store, SystemClock(), batch_patience_s=60.0)
        self.book = LocalTallyBook(self.store, SystemClock())


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    here = Here(tmp_path)
    here.store.start()
    here.table.start()
    yield here
    here.table.stop()
    here.store.stop()


def most_at_once(intervals: list[tuple[float, float]]) -> int:
    changes = sorted([(start, 1) for start, _ in intervals] + [(end, -1) for _, end in intervals])
    running = most = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return most


def inconsistencies(directory: Path) -> list[str]:
    """What the tables say twice and differently."""
    (database,) = directory.glob(f"*/{DATABASE}")
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("BEGIN")  # one moment for all that follows
    wrong = []
    lines = db.execute("SELECT model, active, waiting, parallel FROM line").fetchall()
    for model, active, waiting, parallel in lines:
        for table, counted in (("running", active), ("waiting", waiting)):
            query = f"SELECT count(*) FROM {table} WHERE model = ?"
            if db.execute(query, (model,)).fetchone() != (counted,):
                wrong.append(f"{model}: {table} is not {counted}")
        if waiting and active < parallel:
            wrong.append(f"{model}: a slot is free while {waiting} wait")
        ranked = "SELECT name FROM user WHERE model = ? AND rank IS NOT NULL ORDER BY name"
        there = "SELECT DISTINCT user FROM waiting WHERE model = ? ORDER BY user"
        if db.execute(ranked, (model,)).fetchall() != db.execute(there, (model,)).fetchall():
            wrong.append(f"{model}: users who wait")
    for table in ("running", "waiting", "user"):
        query = f"SELECT DISTINCT model FROM {table} WHERE model NOT IN (SELECT model FROM line)"
        wrong += [f"{table} without line: {row[0]}" for row in db.execute(query)]
    wrong += [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    db.close()
    return wrong


def holding(child: Child, count: int, parallel: int) -> None:
    child.tell("hold", model=MODEL, count=count, parallel=parallel)
    for _ in range(count):
        child.hear("entered")


def test_the_limit_holds_over_processes_and_threads(tmp_path: Path, here: Here) -> None:
    with ExitStack() as stack:
        children = [stack.enter_context(worker(tmp_path)) for _ in range(4)]
        for child in children:
            child.tell("hammer", model=MODEL, threads=16, rounds=3, parallel=4, hold_s=0.002)
        held = [tuple(interval) for child in children for interval in child.hear("held")]
    assert (len(held), most_at_once(held)) == (192, 4)
    tally = here.book.tally(MODEL)
    assert tally is not None
    assert (tally.processed, sum(tally.holds)) == (192, 192)


def test_a_slot_given_back_here_is_granted_there(tmp_path: Path, here: Here) -> None:
    mine = Asking()
    here.table.enter(MODEL, mine, limits())
    with worker(tmp_path) as child:
        holding(child, 1, parallel=1)
        assert here.table.counts(MODEL) == SlotCounts(active=1, waiting=1)
        started = time.monotonic()
        here.table.leave(MODEL, mine)
        assert child.hear("granted") - started < PROMISED_S


def test_limits_set_here_hold_there(tmp_path: Path, here: Here) -> None:
    here.table.resize(MODEL, SlotLimits(2, 0))
    with worker(tmp_path) as child:
        holding(child, 2, parallel=1)
        assert here.table.counts(MODEL) == SlotCounts(active=2, waiting=0)


@pytest.mark.parametrize("_", range(5))
def test_all_who_wait_are_served_when_the_holder_of_all_slots_is_killed(
    tmp_path: Path, here: Here, _: int
) -> None:
    with worker(tmp_path) as holder, worker(tmp_path) as waiter:
        holding(holder, 4, parallel=4)
        waiter.tell("queue", model=MODEL, count=6, parallel=4)
        for _ in range(6):
            waiter.hear("entered")
        holder.kill()
        killed = time.monotonic()
        for _ in range(6):
            assert waiter.hear("granted") - killed < PROMISED_S
        waiter.end()
    assert here.table.counts(MODEL) == SlotCounts(0, 0)


def test_a_killed_process_gives_back_its_places_too(tmp_path: Path, here: Here) -> None:
    mine = Asking()
    here.table.enter(MODEL, mine, limits(max_queue=3))
    with worker(tmp_path) as child:
        holding(child, 3, parallel=1)
        child.kill()
    last = Asking()
    here.table.enter(MODEL, last, limits(max_queue=3))
    here.table.leave(MODEL, mine)
    assert last.granted.wait(PROMISED_S)


def test_a_full_line_looks_for_the_dead_before_it_refuses(tmp_path: Path) -> None:
    here = Here(tmp_path)  # whose background thread does not run
    here.store.start()
    with worker(tmp_path) as child:
        holding(child, 2, parallel=1)
        child.kill()
    ticket = Asking()
    here.table.enter(MODEL, ticket, limits(max_queue=1))
    assert ticket.grants == 1
    here.table.stop()
    here.store.stop()


def test_a_process_that_ends_in_order_gives_everything_back(tmp_path: Path, here: Here) -> None:
    with worker(tmp_path) as child:
        holding(child, 1, parallel=1)
        mine = Asking()
        here.table.enter(MODEL, mine, limits())
        child.end()
        assert mine.granted.wait(PROMISED_S)


def test_a_lost_wake_up_is_made_up_for(tmp_path: Path, here: Here) -> None:
    with worker(tmp_path, deaf=True) as child:
        holding(child, 1, parallel=1)
        mine = Asking()
        here.table.enter(MODEL, mine, limits())
        child.end()
        assert mine.granted.wait(PROMISED_S)


def test_kills_in_the_middle_of_everything_leave_a_consistent_table(
    tmp_path: Path, here: Here
) -> None:
    chance = Event()
    for seed in range(12):
        with worker(tmp_path) as first, worker(tmp_path) as second:
            for child in (first, second):
                child.tell("riot", seed=seed)
                child.hear("rioting")
            chance.wait(0.02 + 0.011 * seed)  # a while that nothing can be waited for
            first.kill()
            assert here.table.counts("m1").active <= 4
            assert inconsistencies(tmp_path) == []
            second.kill()
    here.table._look(is_thorough=True)
    assert [here.table.counts(model) for model in ("m1", "m2")] == [SlotCounts(0, 0)] * 2
    assert inconsistencies(tmp_path) == []
    assert len(list(here.store._directory.glob("*.lock"))) == 1
