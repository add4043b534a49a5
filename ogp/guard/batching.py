"""Tasks that a thread of the pool takes and runs together, e.g. windows of one model."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from ogp.guard.job import More, Task, Work

I = TypeVar("I")  # noqa: E741 - an item
T = TypeVar("T")

MAX_WORKS = 64
"""Jobs that are looked through for tasks of one kind; the pool's lock is held meanwhile."""


class Together(Generic[I, T]):
    """A task that can run in one go with others of its kind; alone it is a batch of one."""

    __slots__ = ("_item", "_run", "kind")

    def __init__(self, kind: Hashable, run: Callable[[Sequence[I]], Sequence[T]], item: I) -> None:
        """Keep the parts.

        Args:
            kind: the same for tasks whose `run` may be given each other's items.
            run: one result for each item, in their order.
            item: of this task.
        """
        self.kind, self._run, self._item = kind, run, item

    def __call__(self) -> T:
        """Run it alone."""
        return self.run_with([self])[0]

    def run_with(self, tasks: "Sequence[Together[I, T]]") -> Sequence[T]:
        """Run these, of its own kind, in one go.

        Raises:
            ValueError: not every item got a result.
        """
        results = self._run([task._item for task in tasks])
        if len(results) != len(tasks):
            raise ValueError("a batch gave another number of results")
        return results


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that a thread has taken."""

    work: Work[Any]
    place: int
    task: Task[Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it: a result, tasks that it made, or what it raised."""

    claim: Claim
    result: Any = None
    error: BaseException | None = None
    is_last: bool = False
    """The other tasks of its work do not matter any more."""


def gather(line: Sequence[Work[Any]], most: int, now: float) -> list[Claim]:
    """Take the oldest waiting task, and of those behind it as many of its kind as fit.

    Args:
        line: works with a waiting task, first come first; the lock that guards them is held.
        most: tasks in one go.
        now: works whose deadline has passed give nothing.
    """
    first = line[0]
    place, task = first.take()
    claims = [Claim(first, place, task)]
    if most > 1 and isinstance(task, Together):
        kind = task.kind

        def is_alike(other: Task[Any]) -> bool:
            return isinstance(other, Together) and other.kind == kind

        for work in islice(line, MAX_WORKS):
            if len(claims) >= most:
                break
            if work.deadline > now:
                taken = work.take_alike(is_alike, most - len(claims))
                claims += [Claim(work, at, other) for at, other in taken]
    return claims


def run(claims: Sequence[Claim]) -> list[Outcome]:
    """Run what was gathered, in one go if possible; what it raises is kept.

    If tasks fail together, each is run alone, so that one does not fail the others. Those of works
    that have ended meanwhile are then left out.
    """
    first = claims[0].task
    if len(claims) > 1 and isinstance(first, Together):
        try:
            results = first.run_with([claim.task for claim in claims])  # type: ignore[misc]  # alike
        except BaseException:  # noqa: BLE001, S110 - found again below, by whoever it belongs to
            pass
        else:
            return [_judged(claim, result) for claim, result in zip(claims, results, strict=True)]
    return [_run_alone(claim) for claim in claims if not claim.work.done.is_set()]


def _run_alone(claim: Claim) -> Outcome:
    try:
        result = claim.task()
    except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it
        return Outcome(claim, error=error)
    return _judged(claim, result)


def _judged(claim: Claim, result: Any) -> Outcome:
    ends = claim.work.ends
    if ends is None or isinstance(result, More):
        return Outcome(claim, result)
    try:
        return Outcome(claim, result, is_last=ends(result))
    except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it
        return Outcome(claim, error=error)
