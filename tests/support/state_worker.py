"""A worker process that uses the shared slots of a directory, and its side in the test.

Lines go both ways: the test writes a command, the worker answers with lines of JSON.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import structlog

from ogp.core.clock import SystemClock
from ogp.core.errors import QueueFullError
from ogp.core.slots import SlotLimits
from ogp.core.types import Priority
from ogp.state.local import LocalSlotTable
from ogp.state.local_store import LocalStore
from ogp.state.local_tallies import LocalTallyBook
from ogp.state.local_wakeups import Wakeups
from tests.support.state_tables import Asking

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 30.0


class DeafWakeups(Wakeups):
    """Loses every wake-up to another process."""

    def nudge(self, name: str) -> None:
        """Do nothing."""


class Worker:
    """What runs in the child."""

    def __init__(self, directory: Path, *, deaf: bool) -> None:
        self.store = LocalStore(directory, run="test", wakeups=DeafWakeups() if deaf else None)
        self.table = LocalSlotTable(self.store, SystemClock(), batch_patience_s=60.0)
        self.book = LocalTallyBook(self.store, SystemClock())
        self.printing = Lock()

    def say(self, **facts: Any) -> None:
        with self.printing:
            sys.stdout.write(json.dumps(facts) + "\n")
            sys.stdout.flush()

    def hold(self, model: str, count: int, parallel: int) -> None:
        """Take so many slots or places, and keep what is granted."""
        for number in range(count):
            ticket = Asking("user", noted=lambda _: self.say(granted=time.monotonic()))
            self.table.enter(model, ticket, SlotLimits(parallel, 1000))
            self.say(entered=number)

    def queue(self, model: str, count: int, parallel: int) -> None:
        """Take so many places; each slot that is granted is given back at once."""
        leaving: list[Thread] = []

        def wait(ticket: Asking) -> None:
            assert ticket.granted.wait(WAIT_S)
            self.say(granted=time.monotonic())
            self.table.leave(model, ticket)

        for number in range(count):
            ticket = Asking("user")
            self.table.enter(model, ticket, SlotLimits(parallel, 1000))
            leaving.append(Thread(target=wait, args=(ticket,), daemon=True))
            leaving[-1].start()
            self.say(entered=number)

    def hammer(self, model: str, threads: int, rounds: int, parallel: int, hold_s: float) -> None:
        """Hold slots from many threads; tell when each was held."""
        held: list[tuple[float, float]] = []

        def client(number: int) -> None:
            for _ in range(rounds):
                ticket = Asking(f"user-{number % 4}")
                self.table.enter(model, ticket, SlotLimits(parallel, 1000))
                assert ticket.granted.wait(WAIT_S)
                started = time.monotonic()
                Event().wait(hold_s)
                held.append((started, time.monotonic()))
                self.table.leave(model, ticket)
                self.book.processed(model, waited_ms=1.0, held_ms=1e3 * hold_s)

        clients = [Thread(target=client, args=(number,)) for number in range(threads)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        self.say(held=held)

    def riot(self, seed: int) -> None:
        """Do random things until the end."""
        chance, inside = random.Random(seed), []
        self.say(rioting=seed)
        while True:
            model = chance.choice(("m1", "m2"))
            what = chance.random()
            if what < 0.5:
                ticket = Asking(chance.choice("abc"), priority=chance.choice(list(Priority)))
                with suppress(QueueFullError):
                    self.table.enter(model, ticket, SlotLimits(3, 20))
                    inside.append((model, ticket))
            elif what < 0.55:
                self.table.resize(model, SlotLimits(chance.randint(1, 4), 20))
            elif inside:
                self.table.leave(*inside.pop(chance.randrange(len(inside))))

    def run(self) -> None:
        self.store.start()
        self.table.start()
        self.say(pid=os.getpid())
        for line in sys.stdin:
            command = json.loads(line)
            getattr(self, command.pop("do"))(**command)
        self.table.stop()
        self.store.stop()


class Child:
    """The test's side of a worker."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def tell(self, do: str, **arguments: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()

    def hear(self, key: str) -> Any:
        """The next fact of this name; others are skipped."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            facts = json.loads(line)
            if key in facts:
                return facts[key]
        raise AssertionError(f"the worker ended without {key}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Let it stop in order."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(WAIT_S) == 0


@contextmanager
def worker(directory: Path, *, deaf: bool = False) -> Iterator[Child]:
    """A started worker process; killed at the end if it still runs."""
    command = [sys.executable, "-m", "tests.support.state_worker", str(directory), str(int(deaf))]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        child = Child(process)
        try:
            child.hear("pid")
            yield child
        finally:
            process.kill()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    Worker(Path(sys.argv[1]), deaf=sys.argv[2] == "1").run()
