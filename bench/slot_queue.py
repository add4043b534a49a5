"""Measure the queue: how close hand-over comes to ideal, and what one slot costs.

Run from the repository root: `python -m bench.slot_queue`. Not `queue.py`: a script's own directory
comes first on the import path, and the standard library's `queue` is needed by nearly everything.
"""

import argparse
import json
import time
from contextlib import AbstractContextManager, suppress
from threading import Barrier, Event, Thread

from ogp.core.clock import SystemClock
from ogp.core.errors import QueueFullError
from ogp.core.exchange import Cancellation
from ogp.core.slots import SlotTable
from ogp.core.types import InferenceRequest, Principal, Role
from ogp.queueing.learned import LearnedParallel
from ogp.queueing.limits import ConfiguredLimits
from ogp.queueing.manager import QueueManager
from ogp.queueing.slots import QueueTurn
from ogp.settings.queue_schema import QueueSettings
from ogp.state.memory import MemorySlotTable, MemoryTallyBook

REQUEST = InferenceRequest("ollama", "chat", "POST", "/api/chat", model="bench")
MAX_QUEUE = 10_000


class Queue:
    """One model's queue, and its table."""

    def __init__(self, parallel: int, max_queue: int = MAX_QUEUE) -> None:
        settings, clock = QueueSettings(max_queue=max_queue), SystemClock()
        self.table: SlotTable = MemorySlotTable(clock, batch_patience_s=settings.batch_patience_s)
        configured = ConfiguredLimits(settings, parallel)
        self.manager = QueueManager(
            settings,
            self.table,
            MemoryTallyBook(clock),
            clock,
            configured=configured,
            learned=LearnedParallel(settings, configured, self.table, clock),
            max_waiting_total=MAX_QUEUE,
        )

    def turn(self, user: str) -> AbstractContextManager[QueueTurn]:
        """A place for one request."""
        return self.manager.turn(
            REQUEST,
            Principal(user, Role.USER),
            request_id="",
            timeout_s=60,
            cancellation=Cancellation(),
        )


def use(queue: Queue, user: str, hold_s: float) -> None:
    with queue.turn(user) as turn:
        turn.wait()
        if hold_s:
            time.sleep(hold_s)


def contended_s(slots: int, threads: int, rounds: int, hold_s: float) -> tuple[float, float]:
    """Wall and CPU seconds until every thread has held a slot `rounds` times."""
    queue, start = Queue(slots), Barrier(threads + 1)

    def client(number: int) -> None:
        start.wait()
        for _ in range(rounds):
            use(queue, f"user-{number % 8}", hold_s)

    clients = [Thread(target=client, args=(number,)) for number in range(threads)]
    for thread in clients:
        thread.start()
    start.wait()
    wall, cpu = time.perf_counter(), time.process_time()
    for thread in clients:
        thread.join()
    return time.perf_counter() - wall, time.process_time() - cpu


def sleep_s(hold_s: float, times: int = 200) -> float:
    """What this machine makes of one sleep of `hold_s`."""
    started = time.perf_counter()
    for _ in range(times):
        time.sleep(hold_s)
    return (time.perf_counter() - started) / times


def uncontended_us(times: int = 20_000) -> float:
    """Microseconds for a slot that is free, taken and given back."""
    queue = Queue(1)
    started = time.perf_counter()
    for _ in range(times):
        use(queue, "user", 0.0)
    return 1e6 * (time.perf_counter() - started) / times


def full_queue_us(waiting: int = 512, refusals: int = 5_000) -> tuple[float, float, float]:
    """With a full queue: microseconds for a refusal; wall and CPU for a hand-over as it drains."""
    queue = Queue(1, max_queue=waiting)
    let_go = Event()

    def wait() -> None:
        with queue.turn("user") as turn:
            turn.wait()
            let_go.wait(60)

    waiters = [Thread(target=wait) for _ in range(waiting + 1)]
    for thread in waiters:
        thread.start()
    while queue.table.waiting() < waiting:
        time.sleep(0.001)
    started = time.perf_counter()
    for _ in range(refusals):
        with suppress(QueueFullError):
            use(queue, "user", 0.0)
            raise SystemExit("a full queue let somebody in")
    refusal_s = (time.perf_counter() - started) / refusals
    wall, cpu = time.perf_counter(), time.process_time()
    let_go.set()
    for thread in waiters:
        thread.join()
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    return 1e6 * refusal_s, 1e6 * wall_s / waiting, 1e6 * cpu_s / waiting


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--hold-ms", type=float, default=5.0)
    arguments = parser.parse_args()
    hold_s = arguments.hold_ms / 1e3
    uses = arguments.threads * arguments.rounds
    wall_s, cpu_s = contended_s(arguments.slots, arguments.threads, arguments.rounds, hold_s)
    refusal_us, hand_over_us, hand_over_cpu_us = full_queue_us()
    print(
        json.dumps(
            {
                "uses": uses,
                "wall_s": round(wall_s, 3),
                "ratio_to_ideal": round(uses * hold_s / arguments.slots / wall_s, 3),
                "ratio_to_ideal_of_measured_sleep": round(
                    uses * sleep_s(hold_s) / arguments.slots / wall_s, 3
                ),
                "cpu_us_per_use": round(1e6 * cpu_s / uses, 1),
                "hand_over_us": round(hand_over_us, 1),
                "hand_over_cpu_us": round(hand_over_cpu_us, 1),
                "uncontended_us": round(uncontended_us(), 2),
                "refusal_us": round(refusal_us, 2),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
