"""A few threads for all slow scans of a process: one bounded line, first come, first served."""

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition, Lock, Thread
from typing import Any, TypeVar

from ogp.core.clock import Clock
from ogp.guard.background import Background
from ogp.guard.batching import Claim, Outcome, gather, run
from ogp.guard.job import (
    Job,
    More,
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
        self.claims: Sequence[Claim] = ()
        self.deadline = 0.0
        """Of the tasks it runs, the earliest; those who join later do not move it."""
        self.is_stuck = False


class ScannerPool:
    """Runs tasks on its own threads. Thread-safe; tasks must not wait for the pool themselves.

    The tasks of one job are begun in their order, on as many threads as are idle, and before those
    of any later job. Nobody waits beyond a deadline, whatever a task does: its thread is then left
    to itself and replaced. When the task ends after all, the thread ends too, or serves again if it
    could not be replaced.

    A thread may take tasks in batches: always the oldest one that waits, and with it the next ones
    of its kind, see `batching.Together`.
    """

    def __init__(self, threads: int, *, max_pending: int, clock: Clock, batch: int = 1) -> None:
        """Keep the sizes; `start` starts the threads.

        Args:
            threads: tasks or batches that run at once.
            max_pending: tasks that may wait for a thread, all jobs together.
            clock: of all deadlines.
            batch: tasks of one kind that a thread takes at once.
        """
        self._threads, self._max_pending, self._clock = threads, max_pending, clock
        self._batch = batch
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

    def resize(self, *, threads: int, batch: int) -> None:
        """Change the sizes; threads that are too many end when they have no task."""
        with self._lock:
            self._threads, self._batch = threads, batch
            self._fill()
            self._has_work.notify_all()

    def stop(self) -> None:
        """End every job with `PoolStoppedError`, and the threads as far as their tasks end soon."""
        self._background.stop()
        with self._lock:
            self._is_running = False
            running = [claim.work for worker in self._workers for claim in worker.claims]
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
        """Wait for tasks and run them; whether this thread is to go on."""
        claims = self._take(worker)
        if not claims:
            return False
        outcomes = run(claims)
        with self._lock:
            return self._ran(worker, outcomes)

    def _take(self, worker: _Worker) -> Sequence[Claim]:
        """The next task with others of its kind; none if this thread is to end."""
        with self._lock:
            while self._is_running and self._serving <= self._threads:
                if not self._line:
                    self._has_work.wait()
                    continue
                now = self._clock.monotonic()
                if self._line[0].deadline <= now:
                    self._expire(self._line[0])
                    continue
                claims = gather(self._line, self._batch, now)
                self._waiting -= len(claims)
                for work in {claim.work for claim in claims}:
                    if not work.waiting:
                        self._line.remove(work)
                worker.claims = claims
                worker.deadline = min(claim.work.deadline for claim in claims)
                self._busy += 1
                return claims
            self._serving -= 1
            self._workers.discard(worker)
        return ()

    def _ran(self, worker: _Worker, outcomes: Sequence[Outcome]) -> bool:
        """Tasks have ended; whether their thread is to go on."""
        self._completed += len(worker.claims)
        worker.claims = ()
        self._note(outcomes)
        if not worker.is_stuck:
            self._busy -= 1
            return True
        worker.is_stuck = False
        if self._serving < self._threads:
            self._serving += 1
            return True
        self._workers.discard(worker)
        return False

    def _note(self, outcomes: Sequence[Outcome]) -> None:
        """Tell the works; those with further tasks go to the front, as they came first."""
        front = 0
        for outcome in outcomes:
            work = outcome.claim.work
            if outcome.error is not None:
                is_end = work.note_error(outcome.error)
            elif isinstance(outcome.result, More):
                is_end = self._go_on(work, outcome.result.tasks, front)
                front += 1
            else:
                is_end = work.note(outcome.claim.place, outcome.result, is_last=outcome.is_last)
            if is_end:
                self._end(work)

    def _go_on(self, work: Work[Any], tasks: Sequence[Task[Any]], place: int) -> bool:
        """Take in what a task has made, all or none; whether the work ends with that.

        Args:
            place: in the line.
        """
        if work.done.is_set():
            return False
        if self._waiting + len(tasks) > self._max_pending:
            self._end(work, PoolFullError())
            return False
        if tasks and not work.waiting:
            self._line.insert(place, work)
        self._waiting += len(tasks)
        self._has_work.notify(len(tasks))
        return work.replace(tasks)

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
            if worker.claims and not worker.is_stuck and worker.deadline <= now:
                worker.is_stuck = True
                self._serving -= 1
                self._busy -= 1
                for claim in worker.claims:
                    self._unshare(claim.work)  # who comes now does not wait for this thread
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
