"""What the shared table does beside the order: wake-ups, recovery, giving back."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from structlog.testing import capture_logs

from ogp.core.clock import SystemClock
from ogp.core.errors import StateUnavailableError
from ogp.core.slots import SlotCounts
from ogp.state import local as local_module
from ogp.state.local import LocalSlotTable
from ogp.state.local_store import LocalStore
from tests.support.state_tables import MODEL, PATIENCE_S, Asking, entered, grants, limits

SOON_S = 5.0


class Process:
    """One of several that share, within this process."""

    def __init__(self, directory: Path, check_every_s: float = 3600.0) -> None:
        self.store = LocalStore(directory, run="test")
        self.table = LocalSlotTable(
            self.store, SystemClock(), batch_patience_s=PATIENCE_S, check_every_s=check_every_s
        )

    def start(self) -> "Process":
        self.store.start()
        self.table.start()
        return self

    def stop(self) -> None:
        self.table.stop()
        self.store.stop()

    def die(self) -> None:
        """Be gone as after a kill: files and locks go, rows stay."""
        self.table._own.clear()
        self.table.stop()
        with self.store.lock:
            self.store._leave()


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path).start()
    yield process
    process.stop()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path).start()
    yield process
    process.stop()


def break_files(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("broken")

    monkeypatch.setattr(process.store, "_begin", fail)


def test_a_slot_freed_in_one_process_wakes_the_other(one: Process, other: Process) -> None:
    (running,) = entered(one.table, 1, limits())
    (waiting,) = entered(other.table, 1, limits())
    one.table.leave(MODEL, running)
    assert waiting.granted.wait(SOON_S)


def test_a_limit_raised_in_one_process_wakes_the_other(one: Process, other: Process) -> None:
    entered(one.table, 1, limits())
    waiting = entered(other.table, 2, limits())
    one.table.resize(MODEL, limits(parallel=3))
    assert all(ticket.granted.wait(SOON_S) for ticket in waiting)


def test_configured_limits_that_one_process_raises_wake_the_other(
    one: Process, other: Process
) -> None:
    entered(one.table, 1, limits())
    (waiting,) = entered(other.table, 1, limits())
    entered(one.table, 1, limits(parallel=2))
    assert waiting.granted.wait(SOON_S)


def test_whoever_leaves_before_its_grant_arrived_passes_the_slot_on(
    one: Process, other: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one.store.wakeups, "nudge", lambda name: None)
    (running,) = entered(one.table, 1, limits())
    (gone,) = entered(other.table, 1, limits())
    (last,) = entered(one.table, 1, limits(), user="bob")
    one.table.leave(MODEL, running)
    other.table.leave(MODEL, gone)
    assert last.granted.wait(SOON_S)
    assert gone.grants == 0


def test_the_same_ticket_may_come_again(one: Process) -> None:
    ticket = Asking()
    for _ in range(3):
        one.table.enter(MODEL, ticket, limits())
        one.table.leave(MODEL, ticket)
    assert (ticket.grants, one.table.counts(MODEL)) == (3, SlotCounts(0, 0))


def test_a_dead_process_is_reported_once(tmp_path: Path, one: Process) -> None:
    dead = Process(tmp_path).start()
    entered(dead.table, 3, limits())
    dead.die()
    with capture_logs() as lines:
        one.table._look(is_thorough=True)
        one.table._look(is_thorough=True)
    assert [(line["log_level"], line["processes"]) for line in lines] == [("warning", 1)]


def test_slots_and_places_of_the_dead_are_given_back(tmp_path: Path, one: Process) -> None:
    dead = Process(tmp_path).start()
    entered(dead.table, 2, limits())
    (mine,) = entered(one.table, 1, limits(), user="bob")
    entered(dead.table, 1, limits(), model="mistral")
    dead.die()
    one.table._look(is_thorough=True)
    assert (mine.grants, one.table.counts(MODEL)) == (1, SlotCounts(1, 0))
    assert one.table.counts("mistral") == SlotCounts(0, 0)


def test_several_dead_processes_are_given_back_together(tmp_path: Path, one: Process) -> None:
    dead = [Process(tmp_path).start() for _ in range(3)]
    for process in dead:
        entered(process.table, 1, limits())
    (mine,) = entered(one.table, 1, limits())
    for process in dead:
        process.die()
    one.table._look(is_thorough=True)
    assert mine.grants == 1


def test_a_process_taken_for_dead_gives_back_nothing_twice(one: Process, other: Process) -> None:
    (lost,) = entered(one.table, 1, limits())
    next(one.store._directory.glob(f"{one.store._sign.name}.lock")).unlink()
    other.table._look(is_thorough=True)
    entered(other.table, 2, limits())
    one.table.leave(MODEL, lost)
    assert other.table.counts(MODEL) == SlotCounts(1, 1)


def test_a_process_taken_for_dead_counts_again_what_it_runs(one: Process, other: Process) -> None:
    entered(one.table, 1, limits())
    next(one.store._directory.glob(f"{one.store._sign.name}.lock")).unlink()
    other.table._look(is_thorough=True)
    one.table._look(is_thorough=True)
    assert other.table.counts(MODEL) == SlotCounts(1, 0)


def test_what_a_process_held_at_its_end_is_given_back(tmp_path: Path, one: Process) -> None:
    ending = Process(tmp_path).start()
    entered(ending.table, 1, limits())
    (mine,) = entered(one.table, 1, limits())
    with capture_logs() as lines:
        ending.stop()
        assert mine.granted.wait(SOON_S)
        one.table._look(is_thorough=True)
    assert lines == []


def test_a_table_that_never_started_can_be_stopped(tmp_path: Path) -> None:
    Process(tmp_path).table.stop()


def test_a_stopped_table_refuses_and_lets_leave(tmp_path: Path) -> None:
    process = Process(tmp_path).start()
    (running,) = entered(process.table, 1, limits())
    process.stop()
    process.table.leave(MODEL, running)
    with pytest.raises(StateUnavailableError):
        entered(process.table, 1, limits())


def test_tickets_outlive_the_files(one: Process) -> None:
    running, waiting, last = entered(one.table, 3, limits())
    shutil.rmtree(one.store._directory)
    assert one.table.counts(MODEL) == SlotCounts(active=1, waiting=2)
    one.table.leave(MODEL, running)
    assert waiting.granted.wait(SOON_S)
    assert last.grants == 0


def test_a_limit_that_rose_while_the_files_were_gone_is_used(one: Process) -> None:
    (running,) = entered(one.table, 1, limits())
    (waiting,) = entered(one.table, 1, limits())
    one.table._own[waiting].limits = limits(parallel=2)
    shutil.rmtree(one.store._directory)
    one.table.counts(MODEL)
    assert waiting.granted.wait(SOON_S)
    assert running.grants == 1


def test_leaving_does_not_fail_while_the_files_do(
    one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = entered(one.table, 2, limits())
    break_files(one, monkeypatch)
    one.table.leave(MODEL, tickets[0])
    assert grants(tickets) == [1, 0]
    monkeypatch.undo()
    one.table._look(is_thorough=False)
    assert grants(tickets) == [1, 1]


def test_entering_fails_while_the_files_do_and_takes_nothing(
    one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_files(one, monkeypatch)
    ticket = Asking()
    with pytest.raises(StateUnavailableError):
        one.table.enter(MODEL, ticket, limits())
    monkeypatch.undo()
    one.table.leave(MODEL, ticket)
    assert (ticket.grants, one.table.counts(MODEL)) == (0, SlotCounts(0, 0))


def test_the_background_goes_on_after_the_files_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(tmp_path, check_every_s=0.001).start()
    failed, tickets = Event(), entered(process.table, 2, limits())

    def fail() -> None:
        failed.set()
        raise OSError("broken")

    monkeypatch.setattr(process.store, "_begin", fail)
    process.table.leave(MODEL, tickets[0])
    failed.clear()
    assert failed.wait(SOON_S)
    monkeypatch.undo()
    assert tickets[1].granted.wait(SOON_S)
    process.stop()


def test_a_crash_of_the_background_is_logged_and_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(tmp_path, check_every_s=0.001)
    process.store.start()
    twice = Event()
    crashes: list[int] = []

    def crash(*, is_thorough: bool) -> None:
        crashes.append(1)
        if len(crashes) > 1:
            twice.set()
        raise LookupError

    monkeypatch.setattr(process.table, "_look", crash)
    with capture_logs() as lines:
        process.table.start()
        assert twice.wait(SOON_S)
        process.stop()
    assert lines[0]["log_level"] == "error"


def test_users_who_gain_nothing_by_it_are_forgotten_now_and_then(
    one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_module, "SWEEP_EVERY", 1)
    entered(one.table, 1, limits(parallel=9), user="gone")
    entered(one.table, 3, limits(parallel=9), user="steady")
    one.table._look(is_thorough=True)
    with one.store.lock, one.store.transaction() as db:
        assert db.execute("SELECT name FROM user").fetchall() == [("steady",)]
