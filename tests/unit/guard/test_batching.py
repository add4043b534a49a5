"""What a thread takes and runs in one go."""

from collections.abc import Callable, Sequence

import pytest

from ogp.guard.batching import MAX_WORKS, Claim, Together, gather, run
from ogp.guard.job import More, Task, Work

NOW = 0.0


class Scorer:
    """Doubles numbers; one of them is bad."""

    def __init__(self, bad: int | None = None, *, crashes: bool = False) -> None:
        self.batches: list[tuple[int, ...]] = []
        self._bad, self._crashes = bad, crashes

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(tuple(numbers))
        if self._bad in numbers:
            raise SystemExit if self._crashes else ValueError
        return [2 * number for number in numbers]

    def tasks(self, *numbers: int, kind: str = "a") -> list[Task[int]]:
        return [Together(kind, self, number) for number in numbers]


def work_of(
    tasks: Sequence[Task[int]],
    deadline: float = 10.0,
    ends: Callable[[int], bool] | None = None,
) -> Work[int]:
    return Work(tasks, deadline, ends, None)


def places(claims: Sequence[Claim]) -> list[int]:
    return [claim.place for claim in claims]


def test_a_task_alone_is_a_batch_of_one() -> None:
    scorer = Scorer()
    (task,) = scorer.tasks(4)
    assert task() == 8
    assert scorer.batches == [(4,)]


def test_the_oldest_task_is_always_taken() -> None:
    scorer = Scorer()
    line = [
        work_of(scorer.tasks(1, kind="a")),
        work_of(scorer.tasks(2, 3, kind="b")),
        work_of(scorer.tasks(4, kind="a")),
    ]
    claims = gather(line, 16, NOW)
    assert [claim.work for claim in claims] == [line[0], line[2]]
    assert [work.waiting for work in line] == [0, 2, 0]


def test_tasks_of_one_kind_are_picked_out_of_others_that_keep_their_order() -> None:
    scorer = Scorer()
    a, b = scorer.tasks(1, 2, 3, kind="a"), scorer.tasks(4, 5, kind="b")
    work = work_of([a[0], b[0], a[1], b[1], a[2]])
    assert places(gather([work], 2, NOW)) == [0, 2]
    assert places(gather([work], 8, NOW)) == [1, 3]
    assert places(gather([work], 8, NOW)) == [4]


def test_no_more_are_taken_than_fit() -> None:
    scorer = Scorer()
    line = [work_of(scorer.tasks(1, 2)), work_of(scorer.tasks(3, 4))]
    assert len(gather(line, 3, NOW)) == 3
    assert len(gather([work_of(scorer.tasks(1, 2))], 1, NOW)) == 1


def test_tasks_without_a_kind_go_alone() -> None:
    line = [work_of([int, int]), work_of([int])]
    assert len(gather(line, 16, NOW)) == 1


def test_works_whose_deadline_has_passed_give_nothing() -> None:
    scorer = Scorer()
    line = [work_of(scorer.tasks(1), 10.0), work_of(scorer.tasks(2), 5.0)]
    assert [claim.work for claim in gather(line, 16, 5.0)] == [line[0]]


def test_a_long_line_is_not_looked_through_to_its_end() -> None:
    scorer = Scorer()
    line = [work_of(scorer.tasks(number)) for number in range(MAX_WORKS + 5)]
    assert len(gather(line, 10_000, NOW)) == MAX_WORKS


def test_one_run_serves_all_and_everybody_gets_the_own_result() -> None:
    scorer = Scorer()
    line = [work_of(scorer.tasks(1, 2)), work_of(scorer.tasks(3))]
    outcomes = run(gather(line, 16, NOW))
    assert [outcome.result for outcome in outcomes] == [2, 4, 6]
    assert scorer.batches == [(1, 2, 3)]


@pytest.mark.parametrize("crashes", [False, True])
def test_a_bad_item_fails_alone(crashes: bool) -> None:
    scorer = Scorer(bad=2, crashes=crashes)
    outcomes = run(gather([work_of(scorer.tasks(1, 2, 3))], 16, NOW))
    assert [outcome.result for outcome in outcomes] == [2, None, 6]
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        SystemExit if crashes else ValueError,
        type(None),
    ]
    assert scorer.batches == [(1, 2, 3), (1,), (2,), (3,)]


def test_a_run_that_loses_a_result_is_no_result_for_anybody() -> None:
    tasks: list[Task[int]] = [Together("a", lambda items: items[:1], item) for item in (1, 2)]
    outcomes = run(gather([work_of(tasks)], 16, NOW))
    assert [outcome.result for outcome in outcomes] == [1, 2]  # each alone
    broken: Together[int, int] = Together("a", lambda items: [], 1)
    with pytest.raises(ValueError, match="another number of results"):
        broken()


def test_works_that_have_ended_are_not_tried_again() -> None:
    scorer = Scorer(bad=1)
    ended, lasting = work_of(scorer.tasks(1)), work_of(scorer.tasks(3))
    claims = gather([ended, lasting], 16, NOW)
    ended.end()
    assert [outcome.result for outcome in run(claims)] == [6]
    assert scorer.batches == [(1, 3), (3,)]


def test_a_result_can_be_the_last_of_its_work() -> None:
    scorer = Scorer()
    outcomes = run(gather([work_of(scorer.tasks(1, 2), ends=lambda n: n == 4)], 16, NOW))
    assert [outcome.is_last for outcome in outcomes] == [False, True]


def test_a_predicate_that_fails_is_an_error_of_its_work() -> None:
    (outcome,) = run(gather([work_of([int], ends=lambda n: bool(1 // n))], 1, NOW))
    assert isinstance(outcome.error, ZeroDivisionError)


def test_further_tasks_are_no_result() -> None:
    more: More[int] = More([int])
    work = work_of([lambda: more], ends=lambda _: True)
    (outcome,) = run(gather([work], 1, NOW))
    assert outcome.result is more
    assert not outcome.is_last
