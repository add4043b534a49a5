"""What becomes of the tasks of one job."""

from collections.abc import Callable

import pytest

from ogp.core.clock import SystemClock
from ogp.guard import job as job_module
from ogp.guard.job import Job, PoolStoppedError, PoolTimeoutError, TaskCrashedError, Work


def make_work(tasks: int, key: str | None = None) -> Work[int]:
    return Work([int] * tasks, 10.0, None, key)


def test_tasks_are_taken_in_their_order() -> None:
    tasks: list[Callable[[], int]] = [lambda: 1, lambda: 2]
    work = Work(tasks, 10.0, None, None)
    assert [work.take(), work.take()] == [(0, tasks[0]), (1, tasks[1])]
    assert work.waiting == 0


def test_tasks_of_a_kind_are_taken_from_between_the_others() -> None:
    tasks: list[Callable[[], int]] = [int, lambda: 1, int, int]
    work = Work(tasks, 10.0, None, None)
    assert work.take_alike(lambda task: task is int, 2) == [(0, int), (2, int)]
    assert [place for place, _ in (work.take(), work.take())] == [1, 3]


def test_tasks_can_make_room_for_others() -> None:
    work = make_work(2)
    work.take(), work.take()
    assert not work.replace([int, int])
    assert work.take() == (2, int)
    assert [work.note(place, place, is_last=False) for place in (3, 1, 2)] == [False, False, True]
    assert work.results() == (1, 2, 3)


def test_a_task_that_made_nothing_can_end_the_work() -> None:
    work = make_work(1)
    work.take()
    assert work.replace([])


def test_results_are_in_the_order_of_the_tasks_whenever_they_came() -> None:
    work = make_work(2)
    assert not work.note(1, 11, is_last=False)
    assert work.note(0, 10, is_last=False)
    assert work.results() == (10, 11)


def test_the_first_error_is_kept_and_raised_when_all_have_ended() -> None:
    work, first = make_work(3), ValueError("first")
    assert not work.note_error(first)
    assert not work.note_error(ValueError("second"))
    assert work.note(0, 1, is_last=False)
    with pytest.raises(ValueError, match="first"):
        work.results()


def test_a_last_result_counts_more_than_an_error_before_it() -> None:
    work = make_work(3)
    work.note_error(ValueError())
    assert work.note(1, 7, is_last=True)
    assert work.results() == (7,)


def test_what_comes_after_the_end_changes_nothing() -> None:
    work = make_work(2)
    work.end(PoolStoppedError())
    assert not work.note(0, 1, is_last=True)
    assert not work.note_error(ValueError())
    with pytest.raises(PoolStoppedError):
        work.results()


def test_a_work_that_ended_holds_no_tasks() -> None:
    work = make_work(2)
    work.end()
    assert work.waiting == 0
    with pytest.raises(IndexError):
        work.take()


def test_a_crash_does_not_end_the_thread_of_whoever_waits() -> None:
    work = make_work(1)
    assert work.note_error(SystemExit("marker"))
    with pytest.raises(TaskCrashedError, match=r"^SystemExit$"):
        work.results()


def test_a_claim_leaves_at_its_deadline_and_says_so() -> None:
    left: list[float] = []
    clock, work = SystemClock(), make_work(1)
    job = Job(work, clock.monotonic() - 1, clock, lambda _work, deadline: left.append(deadline))
    assert not job.wait()
    with pytest.raises(PoolTimeoutError):
        job.results()
    assert len(left) == 2


def test_an_end_that_comes_while_leaving_counts() -> None:
    clock, work = SystemClock(), make_work(1)
    work.note(0, 5, is_last=False)
    job = Job(work, clock.monotonic() - 1, clock, lambda left, _deadline: left.end())
    assert job.results() == (5,)


def test_a_deadline_beyond_what_can_be_waited_for_is_no_overflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_module, "TIMEOUT_MAX", 0.0)
    work = make_work(1)
    work.note(0, 5, is_last=False)
    assert Job(work, 1e300, SystemClock(), lambda left, _deadline: left.end()).results() == (5,)
