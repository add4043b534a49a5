"""Measure the queue: how close hand-over comes to ideal, and what one slot costs.

`python -m bench.slot_queue [--json]`, from the repository root, about 30 seconds. Clients of eight
users each hold one of a few slots for a moment, again and again; ideal is that no slot is ever
free. Read the ratios, and that of sleep: it says what this machine makes of 5 ms. Not `queue.py`: a
script's own directory comes first on the import path, and the standard library's `queue` is needed.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Barrier as ThreadBarrier
from threading import Event, Thread
from typing import Any

import structlog
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ogp.core.clock import SystemClock
from ogp.core.errors import QueueFullError
from ogp.core.exchange import Cancellation
from ogp.core.slots import SlotTable, TallyBook
from ogp.core.types import InferenceRequest, Principal, Role
from ogp.queueing.learned import LearnedParallel
from ogp.queueing.limits import ConfiguredLimits
from ogp.queueing.manager import QueueManager
from ogp.queueing.slots import QueueTurn
from ogp.settings.queue_schema import QueueSettings
from ogp.state.local import LocalSlotTable
from ogp.state.local_store import LocalStore
from ogp.state.local_tallies import LocalTallyBook
from ogp.state.memory import MemorySlotTable, MemoryTallyBook

REQUEST = InferenceRequest("ollama", "chat", "POST", "/api/chat", model="bench")
MAX_QUEUE = 10_000
BACKENDS = (("memory", 1), ("local", 1), ("local", 2), ("local", 4))
"""Kind of shared state, and processes that share it."""


class Queue:
    """One model's queue, and its table."""

    def __init__(
        self, parallel: int, table: SlotTable, book: TallyBook, max_queue: int = MAX_QUEUE
    ) -> None:
        settings, clock = QueueSettings(max_queue=max_queue), SystemClock()
        self.table = table
        configured = ConfiguredLimits(settings, parallel)
        self.manager = QueueManager(
            settings,
            table,
            book,
            clock,
            configured=configured,
            learned=LearnedParallel(settings, configured, table, clock),
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

    def use(self, user: str, hold_s: float) -> None:
        """Wait for a slot, hold it and give it back."""
        with self.turn(user) as turn:
            turn.wait()
            if hold_s:
                time.sleep(hold_s)  # stands for the upstream's work


@contextmanager
def queue_on(directory: Path | None, parallel: int, max_queue: int = MAX_QUEUE) -> Iterator[Queue]:
    """A queue on the state that processes share in a directory; None keeps it to this process."""
    clock = SystemClock()
    if directory is None:
        own = MemorySlotTable(clock, batch_patience_s=60)
        yield Queue(parallel, own, MemoryTallyBook(clock), max_queue)
        return
    store = LocalStore(directory, run="bench")
    table = LocalSlotTable(store, clock, batch_patience_s=60)
    store.start()
    table.start()
    try:
        yield Queue(parallel, table, LocalTallyBook(store, clock), max_queue)
    finally:
        table.stop()
        store.stop()


@contextmanager
def queue_of(kind: str, max_queue: int) -> Iterator[Queue]:
    """A queue with one slot, of one process."""
    with tempfile.TemporaryDirectory() as directory:
        shared = Path(directory) if kind == "local" else None
        with queue_on(shared, 1, max_queue) as queue:
            yield queue


@dataclass(frozen=True, slots=True)
class Load:
    """What all processes together do."""

    slots: int
    clients: int
    rounds: int
    hold_s: float

    @property
    def uses(self) -> int:
        """How often a slot is held."""
        return self.clients * self.rounds

    @property
    def ideal_s(self) -> float:
        """Seconds if no slot were ever free."""
        return self.uses * self.hold_s / self.slots


def contend(
    load: Load, clients: range, directory: Path | None, start: Barrier, told: "SimpleQueue[Any]"
) -> None:
    """Run some of the clients in this process; tell when they began and ended, and their CPU."""
    quiet()
    begin = ThreadBarrier(len(clients) + 1)
    with queue_on(directory, load.slots) as queue:

        def client(number: int) -> None:
            begin.wait()
            for _ in range(load.rounds):
                queue.use(f"user-{number % 8}", load.hold_s)

        threads = [Thread(target=client, args=(number,)) for number in clients]
        for thread in threads:
            thread.start()
        start.wait()
        began, cpu = time.monotonic(), time.process_time()
        begin.wait()
        for thread in threads:
            thread.join()
        told.put((began, time.monotonic(), time.process_time() - cpu))
        start.wait()  # nobody leaves the shared state while others use it


def contended(load: Load, kind: str, processes: int) -> dict[str, Any]:
    """Let all clients at the slots; how long it took, and what it cost."""
    context = multiprocessing.get_context("spawn")
    start, told = context.Barrier(processes), context.SimpleQueue()
    with tempfile.TemporaryDirectory() as directory:
        shared = Path(directory) if kind == "local" else None
        children = [
            context.Process(
                target=contend,
                args=(load, range(number, load.clients, processes), shared, start, told),
            )
            for number in range(processes)
        ]
        for child in children:
            child.start()
        began, ended, cpu_s = zip(*(told.get() for _ in children), strict=True)
        for child in children:
            child.join()
    wall_s = max(ended) - min(began)
    return {
        "state": kind,
        "processes": processes,
        "wall_s": round(wall_s, 3),
        "ratio_to_ideal": round(load.ideal_s / wall_s, 3),
        "cpu_us_per_use": round(1e6 * sum(cpu_s) / load.uses, 1),
    }


def sleep_ratio(hold_s: float, times: int = 200) -> float:
    """Ideal, if it were not for the time this machine needs to wake a thread."""
    started = time.perf_counter()
    for _ in range(times):
        time.sleep(hold_s)
    return times * hold_s / (time.perf_counter() - started)


def uncontended_us(kind: str, times: int = 5_000) -> float:
    """Microseconds for a slot that is free, taken and given back."""
    with queue_of(kind, MAX_QUEUE) as queue:
        started = time.perf_counter()
        for _ in range(times):
            queue.use("user", 0.0)
        return 1e6 * (time.perf_counter() - started) / times


def full_queue_us(kind: str, waiting: int = 512, refusals: int = 2_000) -> dict[str, float]:
    """With a full queue: microseconds for a refusal; wall and CPU for a hand-over as it drains."""
    let_go = Event()
    with queue_of(kind, waiting) as queue:

        def wait() -> None:
            with queue.turn("user") as turn:
                turn.wait()
                let_go.wait(60)

        waiters = [Thread(target=wait) for _ in range(waiting + 1)]
        for thread in waiters:
            thread.start()
        deadline = time.monotonic() + 60
        while queue.table.waiting() < waiting:
            if time.monotonic() > deadline:
                raise SystemExit(f"only {queue.table.waiting()} of {waiting} wait")
            time.sleep(0.001)  # not measured: the clock starts when all wait
        started = time.perf_counter()
        for _ in range(refusals):
            with suppress(QueueFullError):
                queue.use("user", 0.0)
                raise SystemExit("a full queue let somebody in")
        refusal_s = (time.perf_counter() - started) / refusals
        wall, cpu = time.perf_counter(), time.process_time()
        let_go.set()
        for thread in waiters:
            thread.join()
        wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "refusal_us": round(1e6 * refusal_s, 1),
        "hand_over_us": round(1e6 * wall_s / waiting, 1),
        "hand_over_cpu_us": round(1e6 * cpu_s / waiting, 1),
    }


def quiet() -> None:
    """Log nothing below warnings."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))


def tables(results: dict[str, Any], load: Load) -> Iterator[Table]:
    """The same for people."""
    title = f"{load.slots} slots held {1e3 * load.hold_s:g} ms each, {load.clients} clients"
    first = Table(title=f"{title}\na sleep alone: {results['sleep_ratio']:.0%} of ideal")
    for head in ("state", "processes", "of ideal", "seconds", "CPU us per use"):
        first.add_column(head, justify="right")
    for row in results["contended"]:
        ratio, cpu = f"{row['ratio_to_ideal']:.1%}", str(row["cpu_us_per_use"])
        first.add_row(row["state"], str(row["processes"]), ratio, str(row["wall_s"]), cpu)
    yield first
    second = Table(title="One process, microseconds; 512 wait where the queue is full")
    names = ("uncontended_us", "refusal_us", "hand_over_us", "hand_over_cpu_us")
    for head in ("state", *names):
        second.add_column(head.removesuffix("_us").replace("_", " "), justify="right")
    for kind in ("memory", "local"):
        second.add_row(kind, *(str(results[kind][name]) for name in names))
    yield second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--hold-ms", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    load = Load(given.slots, given.clients, given.rounds, given.hold_ms / 1e3)
    quiet()
    results: dict[str, Any] = {"load": asdict(load), "contended": []}
    console = Console(stderr=True)
    with Progress(console=console) as progress:
        task = progress.add_task("measuring", total=len(BACKENDS) + 5)
        for kind, processes in BACKENDS:
            results["contended"].append(contended(load, kind, processes))
            progress.advance(task)
        for kind in ("memory", "local"):
            results[kind] = {"uncontended_us": round(uncontended_us(kind), 1)}
            progress.advance(task)
            results[kind] |= full_queue_us(kind)
            progress.advance(task)
        results["sleep_ratio"] = round(sleep_ratio(load.hold_s), 3)
        progress.advance(task)
    if given.json:
        print(json.dumps(results, indent=2))
        return
    for table in tables(results, load):
        Console().print(table)


if __name__ == "__main__":
    main()
