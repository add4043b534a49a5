"""One line for all slow scans: order, spreading, deadlines, bounds, the end."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier, Event, Thread, current_thread

import pytest

from ogp.core.clock import SystemClock
from ogp.guard import pool as pool_module
from ogp.guard.job import PoolFullError, PoolStoppedError, PoolTimeoutError, TaskCrashedError
from ogp.guard.pool import ScannerPool
from tests.support.pool_lab import LATER, SOON_S, Lab, overrun, raises, until


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.close()


def test_results_come_in_the_order_of_the_tasks(lab: Lab) -> None:
    tasks = [partial(int, number) for number in range(50)]
    assert lab.pool(4).submit(tasks, deadline=LATER).results() == tuple(range(50))


def test_no_tasks_are_done_at_once(lab: Lab) -> None:
    assert lab.pool().submit([], deadline=LATER).results() == ()
    assert lab.pool().submit_shared("key", [], deadline=LATER).results() == ()


def test_jobs_are_served_in_their_order_with_all_their_tasks(lab: Lab) -> None:
    pool = lab.pool()
    gate, _ = lab.hang(pool)
    ran: list[int] = []
    jobs = [
        pool.submit([partial(ran.append, 10 * job + task) for task in range(3)], deadline=LATER)
        for job in range(3)
    ]
    gate.opened.set()
    for job in jobs:
        job.results()
    assert ran == [0, 1, 2, 10, 11, 12, 20, 21, 22]


def test_the_tasks_of_one_job_run_on_all_idle_threads(lab: Lab) -> None:
    pool, meet = lab.pool(3), Barrier(3, timeout=SOON_S)
    for _ in range(20):  # sooner or later all three sleep when the job comes
        assert len(pool.submit([meet.wait] * 3, deadline=LATER).results()) == 3


def test_a_result_can_end_the_job(lab: Lab) -> None:
    pool, ran = lab.pool(), list[int]()

    def task(number: int) -> int:
        ran.append(number)
        return number

    tasks = [partial(task, number) for number in range(5)]
    job = pool.submit(tasks, deadline=LATER, ends=lambda number: number == 2)
    assert job.results() == (0, 1, 2)
    assert pool.submit([int], deadline=LATER).results() == (0,)
    assert ran == [0, 1, 2]
    assert pool.status().waiting == 0


def test_an_ended_job_does_not_wait_for_tasks_that_run(lab: Lab) -> None:
    pool, gate = lab.pool(2), lab.gate()

    def hit() -> int:
        assert gate.entered.wait(SOON_S)
        return 7

    job = pool.submit([gate, hit], deadline=LATER, ends=lambda number: number == 7)
    assert job.results() == (7,)


def test_an_error_is_raised_after_the_other_tasks(lab: Lab) -> None:
    ran: list[int] = []
    tasks = [raises(ValueError("first")), raises(KeyError("second")), partial(ran.append, 1)]
    with pytest.raises(ValueError, match="first"):
        lab.pool().submit(tasks, deadline=LATER).results()
    assert ran == [1]


def test_a_hit_behind_an_error_is_found(lab: Lab) -> None:
    tasks = [raises(ValueError()), partial(int, 7)]
    job = lab.pool().submit(tasks, deadline=LATER, ends=lambda number: number == 7)
    assert job.results() == (7,)


def test_the_thread_of_a_task_that_crashed_goes_on(lab: Lab) -> None:
    pool = lab.pool()
    with pytest.raises(TaskCrashedError):
        pool.submit([raises(SystemExit())], deadline=LATER).results()
    assert pool.submit([int], deadline=LATER).results() == (0,)


def test_a_predicate_that_fails_is_an_error_of_the_job(lab: Lab) -> None:
    with pytest.raises(ZeroDivisionError):
        lab.pool().submit([int], deadline=LATER, ends=lambda n: bool(1 // n)).results()


def test_a_job_that_does_not_fit_is_refused_whole(lab: Lab) -> None:
    pool = lab.pool(max_pending=3)
    gate, _ = lab.hang(pool)
    ran: list[int] = []
    pool.submit([int, int], deadline=LATER)
    with pytest.raises(PoolFullError):
        pool.submit([partial(ran.append, 1)] * 2, deadline=LATER)
    last = pool.submit([int], deadline=LATER)
    assert pool.status().waiting == 3
    gate.opened.set()
    last.results()
    assert ran == []


def test_what_ended_early_makes_room(lab: Lab) -> None:
    pool = lab.pool(max_pending=3)
    gate, _ = lab.hang(pool)
    overrun(pool.submit([int] * 3, deadline=0.01))
    assert pool.status().dropped == 3
    job = pool.submit([int] * 3, deadline=LATER)
    gate.opened.set()
    assert len(job.results()) == 3


def test_expired_tasks_are_dropped_unrun(lab: Lab) -> None:
    pool = lab.pool()
    gate, _ = lab.hang(pool)
    ran: list[int] = []
    expired = pool.submit([partial(ran.append, 1)] * 2, deadline=10.0)
    lasting = pool.submit([partial(ran.append, 2)], deadline=LATER)
    lab.clock.time = 10.0
    gate.opened.set()
    lasting.results()
    with pytest.raises(PoolTimeoutError):
        expired.results()
    assert ran == [2]
    assert pool.status().dropped == 2


def test_a_pool_that_is_not_running_takes_nothing(lab: Lab) -> None:
    pool = ScannerPool(1, max_pending=1, clock=lab.clock)
    with pytest.raises(PoolStoppedError):
        pool.submit([int], deadline=LATER)
    pool.start()
    pool.stop()
    with pytest.raises(PoolStoppedError):
        pool.submit([int], deadline=LATER)
    assert not pool.status().degraded


def test_a_stop_ends_all_waiting(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "STOP_S", 0.0)
    pool = lab.pool()
    gate, running = lab.hang(pool)
    shared = [pool.submit_shared("key", [int], deadline=LATER) for _ in range(2)]
    with ThreadPoolExecutor(3) as callers:
        waits = [callers.submit(job.results) for job in (running, *shared)]
        pool.stop()
        for wait in waits:
            assert isinstance(wait.exception(SOON_S), PoolStoppedError)
    assert pool.status().waiting == 0
    gate.opened.set()
    assert gate.thread is not None
    gate.thread.join(SOON_S)
    assert not gate.thread.is_alive()


def test_a_stop_does_not_wait_for_stuck_threads(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "STOP_S", 60.0)
    pool = lab.pool()
    gate, job = lab.hang(pool, deadline=0.01)
    overrun(job)
    pool.stop()
    assert gate.thread is not None
    assert gate.thread.is_alive()
    gate.opened.set()
    gate.thread.join(SOON_S)
    assert pool.status().stuck == 0


def test_threads_are_daemons_and_gone_after_the_stop(lab: Lab) -> None:
    pool = lab.pool(3)
    meet = Barrier(3, timeout=SOON_S)

    def task() -> Thread:
        meet.wait()
        return current_thread()

    threads = pool.submit([task] * 3, deadline=LATER).results()
    assert all(thread.daemon for thread in threads)
    pool.stop()
    assert not any(thread.is_alive() for thread in threads)


def test_background_work_leaves_the_threads_to_scans(lab: Lab) -> None:
    pool, gate = lab.pool(), lab.gate()

    def load() -> None:
        gate()

    pool.run_background(load)
    assert gate.entered.wait(SOON_S)
    assert pool.submit([int], deadline=LATER).results() == (0,)


def test_background_work_that_has_not_begun_is_forgotten_at_the_stop(lab: Lab) -> None:
    pool, gate, done, ran = lab.pool(), lab.gate(), Event(), list[int]()

    def load() -> None:
        gate()

    pool.run_background(load)
    assert gate.entered.wait(SOON_S)
    pool.run_background(lambda: ran.append(1))
    pool.stop()
    pool.run_background(done.set)
    gate.opened.set()
    assert done.wait(SOON_S)
    assert ran == []


def test_thousands_of_mixed_jobs_get_their_own_results() -> None:
    clock = SystemClock()
    pool = ScannerPool(4, max_pending=10_000, clock=clock)
    pool.start()

    def call(seed: int) -> bool:
        dice = random.Random(seed)
        numbers = [dice.randrange(100) for _ in range(dice.randrange(1, 8))]
        tasks = [partial(int, number) for number in numbers]
        deadline = clock.monotonic() + 30
        if seed % 3 == 0:
            return pool.submit(tasks, deadline=deadline).results() == tuple(numbers)
        if seed % 3 == 1:
            found = pool.submit(tasks, deadline=deadline, ends=lambda n: n > 50).results()
            return any(n > 50 for n in found) == any(n > 50 for n in numbers)
        key = ("shared", seed % 30)
        return pool.submit_shared(key, [partial(int, seed % 30)], deadline=deadline).results() == (
            seed % 30,
        )

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(call, range(2_000)))
    until(lambda: pool.status().busy == 0)  # of a job that ended early, some tasks may still run
    status = pool.status()
    assert (status.waiting, status.stuck, status.dropped) == (0, 0, 0)
    pool.stop()
