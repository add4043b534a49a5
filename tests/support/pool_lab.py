"""A scanner pool whose clock stands still and whose tasks hang until they are let go."""

from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event, Thread, current_thread

import pytest

from ogp.guard.job import Job, PoolTimeoutError
from ogp.guard.pool import ScannerPool

SOON_S = 5.0
LATER = 1_000.0


class HandClock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return datetime.now(UTC)


class Gate:
    """A task that hangs until it is opened."""

    def __init__(self, result: int = 1) -> None:
        self.entered, self.opened = Event(), Event()
        self.thread: Thread | None = None
        self._result = result

    def __call__(self) -> int:
        self.thread = current_thread()
        self.entered.set()
        assert self.opened.wait(10)
        return self._result


class Lab:
    """A pool under a clock that stands still, and gates that are opened at the end."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self._pools: list[ScannerPool] = []
        self._gates: list[Gate] = []

    def pool(self, threads: int = 1, max_pending: int = 100, batch: int = 1) -> ScannerPool:
        pool = ScannerPool(threads, max_pending=max_pending, clock=self.clock, batch=batch)
        pool.start()
        self._pools.append(pool)
        return pool

    def gate(self, result: int = 1) -> Gate:
        self._gates.append(Gate(result))
        return self._gates[-1]

    def hang(self, pool: ScannerPool, deadline: float = LATER) -> tuple[Gate, Job[int]]:
        """A thread of the pool is kept busy from here on."""
        gate = self.gate()
        job = pool.submit([gate], deadline=deadline)
        assert gate.entered.wait(SOON_S)
        return gate, job

    def close(self) -> None:
        for gate in self._gates:
            gate.opened.set()
        for pool in self._pools:
            pool.stop()


def until(condition: Callable[[], bool]) -> None:
    """Ask again and again for what no event tells."""
    pause = Event()
    assert any(condition() or pause.wait(0.005) for _ in range(1_000))


def overrun(job: Job[int]) -> None:
    """The caller finds its deadline passed; it lies a hundredth of a second ahead."""
    with pytest.raises(PoolTimeoutError):
        job.results()


def raises(error: BaseException) -> Callable[[], int]:
    def task() -> int:
        raise error

    return task
