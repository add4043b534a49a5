"""Many threads at once, aborted at random: the limit holds and nothing is left behind."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Event, Lock, Semaphore, Thread, current_thread

from ogp.core.clock import SystemClock
from ogp.core.errors import ClientGoneError, QueueFullError, RequestTimeoutError
from ogp.core.exchange import Cancellation
from ogp.core.slots import Claim, SlotCounts, SlotLimits
from ogp.queueing.slots import Slots
from ogp.state.memory import MemorySlotTable

MODEL = "llama3"
PATIENCE_S = 10.0


class Load:
    """A real table and the most that held a slot at once."""

    def __init__(self, parallel: int, max_queue: int) -> None:
        self.table = MemorySlotTable(SystemClock(), batch_patience_s=60)
        self.limits = SlotLimits(parallel=parallel, max_queue=max_queue)
        self._slots = Slots(self.table, SystemClock(), max_waiting=1000)
        self._lock = Lock()
        self._inside = self.peak = 0

    @contextmanager
    def slot(
        self, timeout_s: float = PATIENCE_S, cancellation: Cancellation | None = None
    ) -> Iterator[None]:
        with self._slots.turn(
            MODEL,
            Claim(current_thread().name[-1]),
            self.limits,
            timeout_s=timeout_s,
            cancellation=cancellation or Cancellation(),
        ) as turn:
            assert turn.wait()
            with self._lock:
                self._inside += 1
                self.peak = max(self.peak, self._inside)
            try:
                yield
            finally:
                with self._lock:
                    self._inside -= 1

    def is_empty(self) -> bool:
        idle = self.table.counts(MODEL) == SlotCounts(active=0, waiting=0)
        return idle and self._slots.waiting == 0 and self.table._lines == {}


def test_500_random_aborts_leak_nothing() -> None:
    """Threads time out, are cancelled by others, fail in the body or finish; then all is empty."""
    load = Load(parallel=4, max_queue=20)
    start, aborts = Barrier(16), Semaphore(0)
    current: dict[str, Cancellation] = {}
    unexpected: list[BaseException] = []

    def visit(chance: random.Random) -> None:
        cancellation = current[current_thread().name] = Cancellation()
        timeout_s = chance.choice([0, 0.0005, 0.002, PATIENCE_S])
        try:
            with load.slot(timeout_s=timeout_s, cancellation=cancellation):
                Event().wait(chance.uniform(0, 0.002))
                if chance.random() < 0.3:
                    raise ConnectionResetError
        except (QueueFullError, RequestTimeoutError, ClientGoneError, ConnectionResetError):
            aborts.release()

    def client(seed: int) -> None:
        chance = random.Random(seed)
        start.wait()
        try:
            for _ in range(120):
                victim = current.get(f"client-{chance.randrange(16)}")
                if victim is not None and chance.random() < 0.4:
                    victim.cancel(ClientGoneError("gone"))
                visit(chance)
        except BaseException as error:  # noqa: BLE001 - a thread's failure must fail the test
            unexpected.append(error)

    threads = [Thread(target=client, args=(seed,), name=f"client-{seed}") for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not unexpected
    assert not any(thread.is_alive() for thread in threads)
    assert all(aborts.acquire(blocking=False) for _ in range(500))
    assert load.peak <= 4
    assert load.is_empty()


def test_resizing_under_load_loses_no_waiter() -> None:
    load = Load(parallel=1, max_queue=1000)

    def visit() -> None:
        with load.slot():
            Event().wait(0.0005)

    with ThreadPoolExecutor(16) as pool:
        visits = [pool.submit(visit) for _ in range(300)]
        for round_number in range(40):
            load.table.resize(MODEL, SlotLimits(1 + round_number % 6, max_queue=1000))
        for future in visits:
            future.result(PATIENCE_S)
    assert 1 <= load.peak <= 6
    assert load.is_empty()
