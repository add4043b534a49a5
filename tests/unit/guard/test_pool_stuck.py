"""Tasks that overrun their deadline: nobody waits for them, their threads are replaced."""

from collections.abc import Iterator
from threading import Thread, current_thread

import pytest

from ogp.guard import pool as pool_module
from ogp.guard.job import PoolFullError
from ogp.guard.pool import PoolStatus
from tests.support.pool_lab import LATER, SOON_S, Lab, overrun, until


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.close()


def test_a_thread_that_overruns_is_replaced_and_ends_with_its_task(lab: Lab) -> None:
    pool = lab.pool()
    gate, job = lab.hang(pool, deadline=0.01)
    overrun(job)
    assert pool.submit([int], deadline=LATER).results() == (0,)
    status = pool.status()
    assert (status.stuck, status.replaced, status.degraded) == (1, 1, False)
    gate.opened.set()
    assert gate.thread is not None
    gate.thread.join(SOON_S)
    assert not gate.thread.is_alive()
    assert pool.submit([int], deadline=LATER).results() == (0,)
    assert pool.status().stuck == 0


def test_replacements_are_bounded_and_then_nobody_waits(lab: Lab) -> None:
    pool = lab.pool()
    for _ in range(3):
        overrun(lab.hang(pool, deadline=0.01)[1])
    status = pool.status()
    assert (status.stuck, status.replaced, status.degraded) == (3, 2, True)
    with pytest.raises(PoolFullError):
        pool.submit([int], deadline=LATER)


def test_a_thread_that_was_not_replaced_serves_again(lab: Lab) -> None:
    pool = lab.pool()
    gates = []
    for _ in range(3):
        gate, job = lab.hang(pool, deadline=0.01)
        overrun(job)
        gates.append(gate)
    gates[1].opened.set()
    until(lambda: not pool.status().degraded)
    assert pool.submit([current_thread], deadline=LATER).results() == (gates[1].thread,)
    assert pool.status().stuck == 2


def test_a_hung_task_nobody_waits_for_is_noticed_when_its_thread_is_missed(lab: Lab) -> None:
    pool = lab.pool()
    gate, _ = lab.hang(pool, deadline=10.0)
    lab.clock.time = 10.0
    assert pool.submit([current_thread], deadline=LATER).results() != (gate.thread,)


def test_the_status_notices_a_hung_task(lab: Lab) -> None:
    pool = lab.pool(2)
    lab.hang(pool, deadline=10.0)
    assert pool.status().busy == 1
    lab.clock.time = 10.0
    assert pool.status() == PoolStatus(
        threads=2,
        busy=0,
        stuck=1,
        waiting=0,
        replaced=1,
        completed=0,
        dropped=0,
        degraded=False,
    )


def test_without_a_further_thread_the_pool_is_degraded(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = lab.pool()
    _, job = lab.hang(pool, deadline=0.01)

    class NoThread(Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(pool_module, "Thread", NoThread)
        overrun(job)
        assert pool.status().degraded
    assert not pool.status().degraded
    assert pool.submit([int], deadline=LATER).results() == (0,)
