"""A few threads for all slow scans of a process: one bounded line, first come, first served."""

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition, Lock, Thread
from typing import Any, TypeVar

from ogp.core.clock import Clock
from ogp.guard.background import Background
from ogp.guard.job import (
    Job,
    PoolError,
    PoolFullError,
    PoolStoppedError,
    PoolTimeoutError,
    Task,
    Work,
)

T = TypeVar("T")

STUCK_PER_THREAD = 2
"""Threads that overran are replaced until there are so many of them for each that serves."""
STOP_S = 2.0
"""Longest time that `stop` waits for threads that are busy, in seconds."""


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The pool at a moment. Numbers of tasks, where nothing else is said."""

    threads: int
    """Threads that should serve."""
    busy: int
    """Threads that run a task in time."""
    stuck: int
    """Threads whose task has overrun its deadline and still runs."""
    waiting: int
    replaced: int
    """Threads that were started in place of stuck ones, ever."""
    completed: int
    dropped: int
    """Tasks that were never begun, as their deadline had passed."""
    degraded: bool
    """Fewer threads serve than should, and no more are started: too many are stuck."""


class _Worker:
    """One thread and what it does. The pool's lock guards it."""

    def __init__(self, serve: "Callable[[_Worker], None]") -> None:
        self.thread = Thread(target=serve, args=(self,), name="guard-scan", daemon=True)
        self.work: Work[Any] | None = None
        self.deadline = 0.0
        """Of the task it runs; those who join later do not move it."""
        self.is_stuck = False


class ScannerPool:
    """Runs tasks on its own threads. Thread-safe; tasks must not wait for the pool themselves.

    The tasks of one job are begun in their order, on as many threads as are idle, and before those
    of any later job. Nobody waits beyond a deadline, whatever a task does: its thread is then left
    to itself and replaced. When the task ends after all, the thread ends too, or serves again if it
    could not be replaced.
    """

    def __init__(self, threads: int, *, max_pending: int, clock: Clock) -> None:
        """Keep the sizes; `start` starts the threads.

        Args:
            threads: tasks that run at once.
            max_pending: tasks that may wait for a thread, all jobs together.
            clock: of all deadlines.
        """
        self._threads, self._max_pending, self._clock = threads, max_pending, clock
        self._lock = Lock()  # guards everything below and every work; never held while a task runs
        self._has_work = Condition(self._lock)
        self._line: deque[Work[Any]] = deque()  # each with a task that waits
        self._shared: dict[Hashable, Work[Any]] = {}
        self._workers: set[_Worker] = set()
        self._serving = self._busy = self._waiting = 0
        self._replaced = self._completed = self._dropped = 0
        self._is_running = False
        self._background = Background()

    def start(self) -> None:
        """Start the threads; after a fork, never before."""
        with self._lock:
            self._is_running = True
            self._fill()

    def stop(self) -> None:
        """End every job with `PoolStoppedError`, and the threads as far as their tasks end soon."""
        self._background.stop()
        with self._lock:
            self._is_running = False
            running = [worker.work for worker in self._workers if worker.work]
            for work in [*self._line, *running]:
                self._end(work, PoolStoppedError())
            self._has_work.notify_all()
            threads = [worker.thread for worker in self._workers if not worker.is_stuck]
        until = self._clock.monotonic() + STOP_S
        for thread in threads:
            thread.join(max(0.0, until - self._clock.monotonic()))

    def submit(
        self,
        tasks: Sequence[Task[T]],
        *,
        deadline: float,
        ends: Callable[[T], bool] | None = None,
    ) -> Job[T]:
        """Put tasks into the line, all or none.

        Args:
            tasks: what to run.
            deadline: monotonic, by the pool's clock.
            ends: tells of a result whether the rest of the tasks does not matter any more.

        Raises:
            PoolFullError: they do not all fit, or every thread is stuck.
            PoolStoppedError: the pool is not running.
        """
        return self._submit(Work(tasks, deadline, ends, None), len(tasks))

    def submit_shared(
        self,
        key: Hashable,
        tasks: Sequence[Task[T]],
        *,
        deadline: float,
        ends: Callable[[T], bool] | None = None,
    ) -> Job[T]:
        """As `submit`; a job with this key that has not ended is joined, and `tasks` is not used.

        Whoever joined gets the same results or error, but leaves at the own deadline. The tasks
        may wait until the latest of all deadlines.
        """
        return self._submit(Work(tasks, deadline, ends, key), len(tasks))

    def run_background(self, function: Callable[[], None]) -> None:
        """Run something long beside the scans, e.g. load a model; one after the other."""
        self._background.run(function)

    def status(self) -> PoolStatus:
        """Figures for `/health`."""
        with self._lock:
            self._give_up_overrun(self._clock.monotonic())
            return PoolStatus(
                threads=self._threads,
                busy=self._busy,
                stuck=len(self._workers) - self._serving,
                waiting=self._waiting,
                replaced=self._replaced,
                completed=self._completed,
                dropped=self._dropped,
                degraded=self._is_running and self._serving < self._threads,
            )

    def _submit(self, work: Work[T], tasks: int) -> Job[T]:
        with self._lock:
            if not self._is_running:
                raise PoolStoppedError
            shared = self._shared.get(work.key) if work.key is not None else None
            if shared is not None:
                shared.deadline = max(shared.deadline, work.deadline)
                return Job(shared, work.deadline, self._clock, self._leave)
            if self._busy == self._serving:  # a stuck thread is missed only when none is idle
                self._give_up_overrun(self._clock.monotonic())
            if self._waiting + tasks > self._max_pending or not self._serving:
                raise PoolFullError
            if tasks:
                self._line.append(work)
                self._waiting += tasks
                self._has_work.notify(tasks)
                if work.key is not None:
                    self._shared[work.key] = work
            else:
                work.end()
        return Job(work, work.deadline, self._clock, self._leave)

    def _leave(self, work: Work[Any], deadline: float) -> None:
        """A caller's deadline has passed: end the work if it was the last, replace its threads."""
        with self._lock:
            now = max(deadline, self._clock.monotonic())
            if work.deadline <= now:
                self._expire(work)
            self._give_up_overrun(now)

    def _serve(self, worker: _Worker) -> None:
        while self._serve_one(worker):
            pass  # what a task held is gone before the next wait

    def _serve_one(self, worker: _Worker) -> bool:
        """Wait for a task and run it; whether this thread is to go on."""
        taken = self._take(worker)
        if taken is None:
            return False
        work, place, task = taken
        try:
            result = task()
            is_last = work.ends is not None and work.ends(result)
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it
            with self._lock:
                return self._ran(worker, work, is_end=work.note_error(error))
        with self._lock:
            return self._ran(worker, work, is_end=work.note(place, result, is_last=is_last))

    def _take(self, worker: _Worker) -> tuple[Work[Any], int, Task[Any]] | None:
        with self._lock:
            while self._is_running:
                if not self._line:
                    self._has_work.wait()
                    continue
                work = self._line[0]
                if work.deadline <= self._clock.monotonic():
                    self._expire(work)
                    continue
                place, task = work.take()
                self._waiting -= 1
                if not work.waiting:
                    self._line.popleft()
                worker.work, worker.deadline = work, work.deadline
                self._busy += 1
                return work, place, task
            self._serving -= 1
            self._workers.discard(worker)
        return None

    def _ran(self, worker: _Worker, work: Work[Any], *, is_end: bool) -> bool:
        """A task has ended; whether its thread is to go on."""
        worker.work = None
        self._completed += 1
        if is_end:
            self._end(work)
        if not worker.is_stuck:
            self._busy -= 1
            return True
        worker.is_stuck = False
        if self._serving < self._threads:
            self._serving += 1
            return True
        self._workers.discard(worker)
        return False

    def _end(self, work: Work[Any], error: PoolError | None = None) -> None:
        if work.done.is_set():
            return
        if work.waiting:
            self._waiting -= work.waiting
            self._line.remove(work)
        self._unshare(work)
        work.end(error)

    def _expire(self, work: Work[Any]) -> None:
        self._dropped += work.waiting  # none if it has ended
        self._end(work, PoolTimeoutError())

    def _unshare(self, work: Work[Any]) -> None:
        if work.key is not None and self._shared.get(work.key) is work:
            del self._shared[work.key]

    def _give_up_overrun(self, now: float) -> None:
        """Count threads as stuck whose task should have ended, and replace them."""
        for worker in self._workers:
            if worker.work is not None and not worker.is_stuck and worker.deadline <= now:
                worker.is_stuck = True
                self._serving -= 1
                self._busy -= 1
                self._unshare(worker.work)  # who comes now does not wait for this thread
        before = self._serving
        with suppress(RuntimeError):  # no more threads on this machine: degraded, tried again
            self._fill()
        self._replaced += self._serving - before

    def _fill(self) -> None:
        most = self._threads * (1 + STUCK_PER_THREAD)
        while self._is_running and self._serving < self._threads and len(self._workers) < most:
            worker = _Worker(self._serve)
            worker.thread.start()
            self._workers.add(worker)
            self._serving += 1
