"""The slot table that all worker processes of one host share.

Who frees a slot hands it on within the same transaction. If the next in line waits in another
process, that one is woken through its pipe and looks. Whatever gets lost on the way, a thread of
each process looks anyway twice a second: for slots given to its own requests, and for processes
that died, whose slots and places it gives back.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from sqlite3 import Connection
from threading import Thread

import structlog

from ogp.core.clock import Clock
from ogp.core.errors import QueueFullError, StateUnavailableError
from ogp.core.slots import Claim, Place, SlotCounts, SlotLimits, SlotTicket
from ogp.state.local_line import (
    Owner,
    StoredLine,
    limits_set,
    reclaim,
    running_of,
    set_limits,
    sweep,
)
from ogp.state.local_store import LocalStore
from ogp.state.memory import place_of

CHECK_EVERY_S = 0.5
SWEEP_EVERY = 60
"""Checks between two looks for users that can be forgotten."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class OwnTicket:
    """A request of this process that runs or waits."""

    ticket: SlotTicket
    model: str
    claim: Claim
    limits: SlotLimits
    """The configured ones."""
    since: float
    owner: Owner = (0, 0)
    number: int = 0
    """In its line, if it had to wait."""
    granted: bool = False


class LocalSlotTable:
    """A `SlotTable` for all processes of one host that share a store. Thread-safe.

    `start` the store first, and stop it last.
    """

    def __init__(
        self,
        store: LocalStore,
        clock: Clock,
        *,
        batch_patience_s: float,
        check_every_s: float = CHECK_EVERY_S,
    ) -> None:
        """Keep the parts.

        Args:
            clock: its monotonic time must be that of the other processes.
            batch_patience_s: after this wait a `batch` request takes turns with the others.
            check_every_s: how often to look for what no wake-up told.
        """
        self._store, self._clock = store, clock
        self._batch_patience_s, self._check_every_s = batch_patience_s, check_every_s
        # All of these are guarded by the store's lock.
        self._own: dict[SlotTicket, OwnTicket] = {}
        self._by_ticket: dict[int, OwnTicket] = {}
        self._leaving: list[OwnTicket] = []
        self._tickets = 0
        self._checks = 0
        self._thread: Thread | None = None
        self._is_stopping = False
        store.on_join(self._enter_all)

    def start(self) -> None:
        """Begin to listen for other processes; the store is started."""
        self._is_stopping = False
        self._thread = Thread(target=self._listen, name="slots", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Give back what this process holds, and stop listening."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._is_stopping = True
            self._store.wakeups.nudge_self()
            thread.join()
        with self._store.lock:
            self._leaving += self._own.values()
            self._own.clear()
            self._by_ticket.clear()
            with suppress(StateUnavailableError):  # then the others find this process dead
                self._give_back_leaving()

    def enter(self, model: str, ticket: SlotTicket, limits: SlotLimits) -> None:
        """Take a slot (`grant` is called before this returns) or a place in the line.

        Raises:
            QueueFullError: no slot and no place.
            StateUnavailableError: the shared files cannot be used; nothing is taken.
        """
        dead: list[int] = []
        with self._store.lock:
            own = OwnTicket(ticket, model, ticket.claim, limits, self._clock.monotonic())
            with self._store.transaction() as db:
                self._tickets += 1
                own.owner = (self._store.process, self._tickets)
                is_in, promoted = self._admit(db, own)
                if not is_in and (dead := self._store.dead(db)):
                    promoted += self._reclaim(db, dead)
                    is_in, more = self._admit(db, own)
                    promoted += more
                wake = self._elsewhere(db, promoted)
            if is_in:
                self._own[ticket] = self._by_ticket[own.owner[1]] = own
            if own.granted:
                ticket.grant()
            self._deliver(promoted, wake)
        report(dead)
        if not is_in:
            raise QueueFullError(model)

    def leave(self, model: str, ticket: SlotTicket) -> None:
        """Give back a slot or a place; whoever may run now is granted, here or elsewhere.

        May be called again, and for a ticket that was refused: neither changes anything. It does
        not fail: while the shared files cannot be used, the slot waits to be given back.
        """
        with self._store.lock:
            own = self._own.get(ticket)
            if own is None or own.model != model:
                return
            del self._own[ticket]
            del self._by_ticket[own.owner[1]]
            self._leaving.append(own)
            with suppress(StateUnavailableError):
                self._give_back_leaving()

    def resize(self, model: str, limits: SlotLimits) -> None:
        """New limits from now on, in all processes; what runs goes on and stays counted.

        Raises:
            TooManyLimitsError: a `ValueError`; `MODELS_RESIZED` other models have limits set.
            StateUnavailableError: the shared files cannot be used; nothing changes.
        """
        with self._store.lock:
            with self._store.transaction() as db:
                set_limits(db, model, limits)
                line = self._line(db, model)
                line.limits = limits
                promoted = line.hand_over(self._clock.monotonic())
                line.save()
                wake = self._elsewhere(db, promoted)
            self._deliver(promoted, wake)

    def limits(self, model: str) -> SlotLimits | None:
        """What `resize` set, in whichever process; None if nothing did."""
        with self._store.lock, self._store.transaction() as db:
            return limits_set(db, model)

    def resized(self) -> Mapping[str, SlotLimits]:
        """All limits that `resize` set, by model."""
        with self._store.lock, self._store.transaction() as db:
            rows = db.execute("SELECT model, parallel, max_queue, max_per_user FROM resized")
            return {row[0]: SlotLimits(*row[1:]) for row in rows.fetchall()}

    def counts(self, model: str) -> SlotCounts:
        """How many run and wait right now, over all processes."""
        with self._store.lock, self._store.transaction() as db:
            return self._line(db, model).counts

    def waiting(self) -> int:
        """How many wait, over all models and processes."""
        with self._store.lock, self._store.transaction() as db:
            (waiting,) = db.execute("SELECT coalesce(sum(waiting), 0) FROM line").fetchone()
            return int(waiting)

    def place(self, request_id: str) -> Place | None:
        """Where a waiting request stands, in whichever process. Costs a copy of the line."""
        if not request_id:
            return None
        with self._store.lock, self._store.transaction() as db:
            found = db.execute(
                "SELECT model, number FROM waiting WHERE request_id = ?", (request_id,)
            ).fetchone()
            if found is None:
                return None
            model, number = found
            snapshot, now = self._line(db, model).snapshot(), self._clock.monotonic()
        turns, everybody = snapshot.turns()
        sought = next(waiting for waiting in everybody if waiting.number == number)
        return place_of(model, sought, turns, now)

    def _line(self, db: Connection, model: str) -> StoredLine:
        return StoredLine.load(db, model, self._batch_patience_s)

    def _admit(self, db: Connection, own: OwnTicket) -> tuple[bool, list[Owner]]:
        """Let the request run or wait, if there is room; who else came up."""
        line = self._line(db, own.model)
        line.limits = limits_set(db, own.model) or own.limits
        promoted = line.hand_over(own.since)
        is_in = True
        if line.active < line.limits.parallel:
            line.run(own.owner, own.claim)
            own.granted = True
        elif line.has_place(own.claim.user):
            own.number = line.wait(own.owner, own.claim, own.since)
        else:
            is_in = False
        line.save()
        return is_in, promoted

    def _give_back_leaving(self) -> None:
        """Let those go that left; also those that could not before."""
        promoted: list[Owner] = []
        with self._store.transaction() as db:
            now = self._clock.monotonic()
            for own in self._leaving:
                line = self._line(db, own.model)
                waits = not own.granted and line.withdraw(own.owner, own.claim, own.number, now)
                if waits or line.stop(own.owner):
                    promoted += line.hand_over(now)
                    line.save()
            wake = self._elsewhere(db, promoted)
        self._leaving.clear()
        self._deliver(promoted, wake)

    def _reclaim(self, db: Connection, dead: list[int]) -> list[Owner]:
        """Give back what dead processes held; who came up for it."""
        promoted: list[Owner] = []
        for process in dead:
            promoted += reclaim(db, process, self._batch_patience_s, self._clock.monotonic())
        return promoted

    def _elsewhere(self, db: Connection, promoted: list[Owner]) -> set[str]:
        """The other processes among the owners, by name."""
        others = {process for process, _ in promoted} - {self._store.process}
        return {name for process in others if (name := self._store.name_of(db, process))}

    def _deliver(self, promoted: list[Owner], wake: set[str]) -> None:
        """After the transaction: tell those who may run now."""
        for process, number in promoted:
            own = self._by_ticket.get(number) if process == self._store.process else None
            if own is not None and not own.granted:
                own.granted = True
                own.ticket.grant()
        for name in wake:
            self._store.wakeups.nudge(name)

    def _enter_all(self, db: Connection) -> None:
        """The tables do not know this process: tell them what runs and waits here."""
        self._leaving.clear()
        for number, own in self._by_ticket.items():
            own.owner = (self._store.process, number)
            line = self._line(db, own.model)
            line.limits = limits_set(db, own.model) or own.limits
            if own.granted:
                line.run(own.owner, own.claim)
            else:
                own.number = line.wait(own.owner, own.claim, own.since)
            line.save()
        for model in {own.model for own in self._by_ticket.values()}:
            line = self._line(db, model)
            line.hand_over(self._clock.monotonic())
            line.save()
        self._store.wakeups.nudge_self()  # to find who of them runs, once this is committed

    def _listen(self) -> None:
        """Run by the thread: look when woken, and check everything now and then."""
        check_at = time.monotonic()
        while not self._is_stopping:
            is_due = time.monotonic() >= check_at
            if is_due:
                check_at = time.monotonic() + self._check_every_s
            try:
                self._look(is_thorough=is_due)
            except StateUnavailableError:
                pass  # the store has logged it; the next look tries again
            except Exception as error:  # noqa: BLE001 - one failure must not blind us for good
                log.error("looking after the slots failed", error=repr(error))
            self._store.wakeups.wait(max(0.0, check_at - time.monotonic()))

    def _look(self, *, is_thorough: bool) -> None:
        """Find what was given to this process; if thorough, also who died or could not leave."""
        dead: list[int] = []
        promoted: list[Owner] = []
        with self._store.lock:
            with self._store.transaction() as db:
                if is_thorough:
                    self._store.join(db)
                    dead = self._store.dead(db)
                    promoted = self._reclaim(db, dead) if dead else []
                    self._checks += 1
                    if self._checks % SWEEP_EVERY == 0:
                        sweep(db)
                wake = self._elsewhere(db, promoted)
                promoted = running_of(db, self._store.process)
            self._deliver(promoted, wake)
            if self._leaving:
                self._give_back_leaving()
        report(dead)


def report(dead: list[int]) -> None:
    """Tell the operator, with no lock held."""
    if dead:
        log.warning("gave back the slots and places of dead processes", processes=len(dead))
