"""Equal jobs in flight run once, and each who waits keeps the own deadline."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.support.pool_lab import LATER, SOON_S, Lab, overrun, raises


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.close()


def test_equal_jobs_in_flight_run_once(lab: Lab) -> None:
    pool = lab.pool()
    gate = lab.gate(result=7)
    first = pool.submit_shared("key", [gate], deadline=LATER)
    second = pool.submit_shared("key", [raises(ValueError())], deadline=LATER)
    gate.opened.set()
    assert first.results() == second.results() == (7,)
    assert pool.status().completed == 1


def test_other_keys_are_not_joined(lab: Lab) -> None:
    pool = lab.pool()
    lab_gate, _ = lab.hang(pool)
    jobs = [pool.submit_shared(key, [partial(int, key)], deadline=LATER) for key in ("1", "2")]
    lab_gate.opened.set()
    assert [job.results() for job in jobs] == [(1,), (2,)]


def test_an_equal_job_after_the_end_runs_anew(lab: Lab) -> None:
    pool = lab.pool()
    for number in range(3):
        job = pool.submit_shared("key", [partial(int, number)], deadline=LATER)
        assert job.results() == (number,)


def test_errors_are_shared(lab: Lab) -> None:
    pool = lab.pool()
    gate, _ = lab.hang(pool)
    jobs = [pool.submit_shared("key", [raises(ValueError())], deadline=LATER) for _ in range(2)]
    gate.opened.set()
    for job in jobs:
        with pytest.raises(ValueError, match=r"^$"):
            job.results()


def test_a_full_pool_still_lets_equal_jobs_join(lab: Lab) -> None:
    pool = lab.pool(max_pending=1)
    gate, _ = lab.hang(pool)
    jobs = [pool.submit_shared("key", [int], deadline=LATER) for _ in range(3)]
    gate.opened.set()
    assert [job.results() for job in jobs] == [(0,)] * 3


def test_whoever_has_less_time_leaves_alone(lab: Lab) -> None:
    pool = lab.pool()
    gate = lab.gate(result=7)
    patient = pool.submit_shared("key", [gate], deadline=LATER)
    hasty = pool.submit_shared("key", [gate], deadline=0.01)
    overrun(hasty)
    assert pool.status().stuck == 0
    gate.opened.set()
    assert patient.results() == (7,)


def test_tasks_in_the_line_may_wait_as_long_as_the_last_who_joined(lab: Lab) -> None:
    pool = lab.pool()
    gate, _ = lab.hang(pool)
    pool.submit_shared("key", [partial(int, 7)], deadline=10.0)
    joined = pool.submit_shared("key", [int], deadline=LATER)
    lab.clock.time = 20.0
    gate.opened.set()
    assert joined.results() == (7,)


def test_who_joined_a_task_that_overran_may_still_get_its_result(lab: Lab) -> None:
    pool = lab.pool()
    gate = lab.gate(result=7)
    first = pool.submit_shared("key", [gate], deadline=0.01)
    assert gate.entered.wait(SOON_S)
    joined = pool.submit_shared("key", [gate], deadline=LATER)
    overrun(first)
    assert pool.status().stuck == 1
    gate.opened.set()
    assert joined.results() == (7,)


def test_nobody_joins_a_task_that_overran(lab: Lab) -> None:
    pool = lab.pool()
    gate = lab.gate()
    first = pool.submit_shared("key", [gate], deadline=0.01)
    assert gate.entered.wait(SOON_S)
    pool.submit_shared("key", [gate], deadline=LATER)
    overrun(first)
    assert pool.submit_shared("key", [partial(int, 8)], deadline=LATER).results() == (8,)
