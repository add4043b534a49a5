"""Tasks that belong together, what became of them, and how a caller waits for them."""

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from threading import TIMEOUT_MAX, Event
from typing import Any, Generic, TypeVar

from ogp.core.clock import Clock

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class More(Generic[T]):
    """What a task returns that found out what there is to do: tasks in its place."""

    tasks: "Sequence[Task[T]]"


Task = Callable[[], T | More[T]]
"""Something slow, for one thread of the pool; no arguments."""


class PoolError(Exception):
    """The pool did not do what it was asked; nothing is said of the text."""


class PoolFullError(PoolError):
    """Not all tasks fit, or no thread is left to do them; none was taken."""


class PoolTimeoutError(PoolError):
    """The deadline passed before the last task had ended."""


class PoolStoppedError(PoolError):
    """The pool is not running."""


class TaskCrashedError(PoolError):
    """A task raised something that is no `Exception`, as Rust code does when it panics."""


class Work(Generic[T]):
    """The state of a job. Its pool's lock guards it; once `done` is set, it changes no more."""

    def __init__(
        self,
        tasks: Sequence[Task[T]],
        deadline: float,
        ends: Callable[[T], bool] | None,
        key: Hashable | None,
    ) -> None:
        self.key = key
        self.deadline = deadline
        """Monotonic; the latest of all who wait."""
        self.ends = ends
        self.done = Event()
        self._waiting = deque(enumerate(tasks))
        self._placed = self._open = len(self._waiting)
        self._results: dict[int, T] = {}
        self._error: BaseException | None = None

    @property
    def waiting(self) -> int:
        """Tasks that no thread has taken yet."""
        return len(self._waiting)

    def take(self) -> tuple[int, Task[T]]:
        """The next task and its place."""
        return self._waiting.popleft()

    def take_alike(
        self, is_alike: Callable[[Task[T]], bool], most: int
    ) -> list[tuple[int, Task[T]]]:
        """The next tasks of a kind and their places; the others keep their order."""
        taken: list[tuple[int, Task[T]]] = []
        kept: deque[tuple[int, Task[T]]] = deque()
        for place, task in self._waiting:
            is_taken = len(taken) < most and is_alike(task)
            (taken if is_taken else kept).append((place, task))
        self._waiting = kept
        return taken

    def replace(self, tasks: Sequence[Task[T]]) -> bool:
        """Put tasks in the place of one that was taken and made them; whether the work ends.

        Not for a work that has ended.
        """
        self._waiting.extend(enumerate(tasks, start=self._placed))
        self._placed += len(tasks)
        self._open += len(tasks) - 1
        return not self._open

    def note(self, place: int, result: T, *, is_last: bool) -> bool:
        """Keep what a task returned, unless it comes too late; whether the work ends with it.

        Args:
            place: from `take`.
            result: what it returned.
            is_last: the others do not matter any more, nor do errors so far.
        """
        if self.done.is_set():
            return False
        self._results[place] = result
        self._open -= 1
        if is_last:
            self._error = None
        return is_last or not self._open

    def note_error(self, error: BaseException) -> bool:
        """Keep what a task raised, if it is the first; whether the work ends with it."""
        if self.done.is_set():
            return False
        self._error = self._error or error
        self._open -= 1
        return not self._open

    def end(self, error: PoolError | None = None) -> None:
        """Let everybody go who waits, with the error if one is given."""
        self._error = error or self._error
        self._waiting.clear()  # tasks hold texts
        self.done.set()

    def results(self) -> tuple[T, ...]:
        """What was returned, in the order of the tasks. Raises what was raised first."""
        if self._error is None:
            return tuple(result for _, result in sorted(self._results.items(), key=_place))
        if isinstance(self._error, Exception):
            raise self._error
        raise TaskCrashedError(type(self._error).__name__) from self._error


def _place(item: tuple[int, Any]) -> int:
    return item[0]


class Job(Generic[T]):
    """One caller's claim on a work, which others may share."""

    def __init__(
        self, work: Work[T], deadline: float, clock: Clock, leave: Callable[[Work[T], float], None]
    ) -> None:
        """Keep the parts.

        Args:
            work: what to wait for.
            deadline: of this caller, monotonic.
            clock: tells the time.
            leave: told when this caller's deadline has passed.
        """
        self._work, self._deadline, self._clock, self._leave = work, deadline, clock, leave

    def wait(self) -> bool:
        """Wait for the end, at most until the deadline; whether it has come."""
        left_s = max(0.0, self._deadline - self._clock.monotonic())
        if not self._work.done.wait(min(left_s, TIMEOUT_MAX)):
            self._leave(self._work, self._deadline)
        return self._work.done.is_set()

    def results(self) -> tuple[T, ...]:
        """What the tasks returned, in their order; where one ended the job, what was there then.

        Raises:
            PoolTimeoutError: the deadline passed.
            PoolStoppedError: the pool was stopped meanwhile.
            Exception: what a task raised first, after all the others ended without ending the job.
        """
        if not self.wait():
            raise PoolTimeoutError
        return self._work.results()
