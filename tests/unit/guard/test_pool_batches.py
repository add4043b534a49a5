"""A pool whose threads take tasks in batches, and tasks that make further ones."""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier, Thread, current_thread

import pytest

from ogp.core.clock import SystemClock
from ogp.guard.batching import Together
from ogp.guard.job import More, PoolFullError, PoolTimeoutError, Task
from ogp.guard.pool import ScannerPool
from tests.support.pool_lab import LATER, SOON_S, Lab, overrun, raises, until


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.close()


class Doubler:
    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(tuple(numbers))
        return [2 * number for number in numbers]

    def tasks(self, *numbers: int, kind: str = "a") -> list[Task[int]]:
        return [Together(kind, self, number) for number in numbers]


def test_a_thread_takes_what_waits_of_one_kind(lab: Lab) -> None:
    pool, doubler = lab.pool(batch=4), Doubler()
    gate, _ = lab.hang(pool)
    jobs = [
        pool.submit(doubler.tasks(1, 2), deadline=LATER),
        pool.submit(doubler.tasks(3, kind="b"), deadline=LATER),
        pool.submit(doubler.tasks(4, 5, 6), deadline=LATER),
    ]
    gate.opened.set()
    assert [job.results() for job in jobs] == [(2, 4), (6,), (8, 10, 12)]
    assert doubler.batches == [(1, 2, 4, 5), (3,), (6,)]
    until(lambda: pool.status().busy == 0)
    assert (pool.status().waiting, pool.status().completed) == (0, 7)


def test_without_batches_each_task_goes_alone(lab: Lab) -> None:
    pool, doubler = lab.pool(), Doubler()
    pool.submit(doubler.tasks(1, 2, 3), deadline=LATER).results()
    assert doubler.batches == [(1,), (2,), (3,)]


def test_a_batch_that_overruns_the_earliest_deadline_loses_its_thread(lab: Lab) -> None:
    pool = lab.pool(batch=4)
    gate, _ = lab.hang(pool)
    hanging = lab.gate()

    def hang(items: Sequence[int]) -> list[int]:
        hanging()
        return list(items)

    early = pool.submit([Together("a", hang, 1)], deadline=0.01)
    late = pool.submit([Together("a", hang, 2)], deadline=LATER)
    gate.opened.set()
    assert hanging.entered.wait(SOON_S)
    overrun(early)
    assert pool.submit([int], deadline=LATER).results() == (0,)
    assert pool.status().stuck == 1
    hanging.opened.set()
    assert late.results() == (2,)


def test_what_a_task_has_made_is_done_in_its_place(lab: Lab) -> None:
    pool = lab.pool()
    job = pool.submit([lambda: More([lambda: 1, lambda: 2]), lambda: 3], deadline=LATER)
    assert job.results() == (3, 1, 2)
    nothing: More[int] = More([])
    assert pool.submit([lambda: nothing], deadline=LATER).results() == ()


def test_what_came_first_goes_on_first(lab: Lab) -> None:
    pool, ran = lab.pool(), list[int]()
    gate, _ = lab.hang(pool)
    jobs = [
        pool.submit(
            [lambda at=at: More([partial(ran.append, at), partial(ran.append, at + 1)])],
            deadline=LATER,
        )
        for at in (10, 20)
    ]
    gate.opened.set()
    for job in jobs:
        job.results()
    assert ran == [10, 11, 20, 21]


def test_texts_that_are_cut_together_are_scored_together(lab: Lab) -> None:
    pool, doubler = lab.pool(batch=8), Doubler()
    gate, _ = lab.hang(pool)

    def cut(numbers: Sequence[int]) -> list[More[int]]:
        return [More(doubler.tasks(number, 10 * number)) for number in numbers]

    jobs = [pool.submit([Together("cut", cut, number)], deadline=LATER) for number in (1, 2, 3)]
    gate.opened.set()
    assert [job.results() for job in jobs] == [(2, 20), (4, 40), (6, 60)]
    assert doubler.batches == [(1, 10, 2, 20, 3, 30)]


def test_more_than_there_is_room_for_is_refused_whole(lab: Lab) -> None:
    pool, ran = lab.pool(max_pending=2), list[int]()
    with pytest.raises(PoolFullError):
        pool.submit([lambda: More([partial(ran.append, 1)] * 3)], deadline=LATER).results()
    assert ran == []
    assert pool.status().waiting == 0
    pool.submit([lambda: More([partial(ran.append, 1)] * 2)], deadline=LATER).results()
    assert ran == [1, 1]


def test_more_that_comes_too_late_is_forgotten(lab: Lab) -> None:
    pool, ran = lab.pool(), list[int]()
    gate = lab.gate()

    def late() -> More[None]:
        gate()
        return More([partial(ran.append, 1)])

    job = pool.submit([late], deadline=0.01)
    assert gate.entered.wait(SOON_S)
    with pytest.raises(PoolTimeoutError):
        job.results()
    gate.opened.set()
    until(lambda: pool.status().stuck == 0)
    assert pool.status().waiting == 0
    assert ran == []


def test_an_error_beside_what_was_made_is_raised_in_the_end(lab: Lab) -> None:
    ran: list[int] = []
    tasks: list[Task[None]] = [lambda: More([partial(ran.append, 1)]), raises(ValueError("x"))]
    with pytest.raises(ValueError, match="x"):
        lab.pool().submit(tasks, deadline=LATER).results()
    assert ran == [1]


def test_threads_that_are_too_many_end_and_further_ones_are_started(lab: Lab) -> None:
    pool, meet = lab.pool(4), Barrier(4, timeout=SOON_S)

    def task() -> Thread:
        meet.wait()
        return current_thread()

    threads = pool.submit([task] * 4, deadline=LATER).results()
    pool.resize(threads=1, batch=8)
    until(lambda: sum(thread.is_alive() for thread in threads) == 1)
    doubler = Doubler()
    assert pool.submit(doubler.tasks(1, 2, 3), deadline=LATER).results() == (2, 4, 6)
    assert doubler.batches == [(1, 2, 3)]
    assert (pool.status().threads, pool.status().degraded) == (1, False)
    pool.resize(threads=4, batch=1)
    assert len(set(pool.submit([task] * 4, deadline=LATER).results())) == 4


def test_sizes_can_change_before_the_start(lab: Lab) -> None:
    pool = ScannerPool(4, max_pending=9, clock=lab.clock)
    pool.resize(threads=1, batch=1)
    assert pool.status().busy == 0
    pool.start()
    assert pool.submit([int], deadline=LATER).results() == (0,)
    pool.stop()


@pytest.mark.parametrize("batch", [4, 16])
def test_thousands_of_mixed_batches_give_everybody_the_own_results(batch: int) -> None:
    clock = SystemClock()
    pool = ScannerPool(3, max_pending=10_000, clock=clock, batch=batch)
    pool.start()

    def double(numbers: Sequence[int]) -> list[int]:
        if 13 in numbers:
            raise ValueError
        return [2 * number for number in numbers]

    def cut(texts: Sequence[tuple[int, ...]]) -> list[More[int]]:
        return [More([Together(n % 3, double, n) for n in numbers]) for numbers in texts]

    def call(seed: int) -> bool:
        dice = random.Random(seed)
        numbers = tuple(dice.randrange(40) for _ in range(dice.randrange(8)))
        job = pool.submit([Together("cut", cut, numbers)], deadline=clock.monotonic() + 30)
        if 13 in numbers:
            with pytest.raises(ValueError, match=r"^$"):
                job.results()
            return True
        return job.results() == tuple(2 * number for number in numbers)

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(call, range(2_000)))
    until(lambda: pool.status().busy == 0)
    assert (pool.status().waiting, pool.status().stuck, pool.status().dropped) == (0, 0, 0)
    pool.stop()
