"""One model's line in the shared database: the order of `turns.Turns`, in tables.

Both keep one order; a test compares them over random arrivals and departures. Look there for the
reasons. Here each step costs a few look-ups by index, however many wait.
"""

from dataclasses import dataclass
from sqlite3 import Connection

from ogp.core.slots import Claim, SlotCounts, SlotLimits
from ogp.core.types import Priority
from ogp.state.memory import MODELS_RESIZED, TooManyLimitsError
from ogp.state.turns import FIRST, LAST, Turns, Waiting

Owner = tuple[int, int]
"""Process and ticket."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first request of one user and class."""

    batch: int
    number: int
    owner: Owner
    weight: float
    since: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A line at a moment."""

    batch_patience_s: float
    virtual: float
    users: list[tuple[str, float, int, int | None]]
    waiting: list[tuple[str, int, int, int, int, float, float, str]]

    def turns(self) -> tuple[Turns[Owner], list[Waiting[Owner]]]:
        """The order as `Turns`, and all who wait, in order of arrival."""
        everybody = [
            Waiting((process, ticket), Claim(user, weight, class_of(batch), name), since, number)
            for user, batch, number, process, ticket, weight, since, name in self.waiting
        ]
        turns = Turns.restored(self.batch_patience_s, self.virtual, self.users, everybody)
        return turns, everybody


@dataclass(slots=True)
class StoredUser:
    """A row of `user`."""

    start: float = 0.0
    turn: int = 0
    rank: int | None = None


class StoredLine:
    """One model's line within one transaction: `load` it, change it, `save` it."""

    def __init__(self, db: Connection, model: str, batch_patience_s: float) -> None:
        self._execute = db.execute
        self._model, self._batch_patience_s = model, batch_patience_s
        self._is_stored = False
        self.limits = SlotLimits(parallel=0, max_queue=0)
        self.active = self.waiting = 0
        self._virtual, self._turn, self._arrivals = 0.0, 0, 0

    @classmethod
    def load(cls, db: Connection, model: str, batch_patience_s: float) -> "StoredLine":
        """The line as it is, an empty one if nothing of the model runs or waits."""
        line = cls(db, model, batch_patience_s)
        row = db.execute(
            "SELECT parallel, max_queue, max_per_user, active, waiting, virtual, turn, arrivals"
            " FROM line WHERE model = ?",
            (model,),
        ).fetchone()
        if row is not None:
            line._is_stored = True
            line.limits = SlotLimits(row[0], row[1], row[2])
            line.active, line.waiting, line._virtual, line._turn, line._arrivals = row[3:]
        return line

    @property
    def counts(self) -> SlotCounts:
        """How many run and wait."""
        return SlotCounts(self.active, self.waiting)

    def save(self) -> None:
        """Write what changed; a line that is idle is forgotten, its users too."""
        if not self.active and not self.waiting:
            if self._is_stored:
                self._execute("DELETE FROM line WHERE model = ?", (self._model,))
                self._execute("DELETE FROM user WHERE model = ?", (self._model,))
            return
        limits = self.limits
        row = (
            *(limits.parallel, limits.max_queue, limits.max_per_user, self.active, self.waiting),
            *(self._virtual, self._turn, self._arrivals, self._model),
        )
        if self._is_stored:
            self._execute(
                "UPDATE line SET parallel = ?, max_queue = ?, max_per_user = ?, active = ?,"
                " waiting = ?, virtual = ?, turn = ?, arrivals = ? WHERE model = ?",
                row,
            )
        else:
            self._execute(
                "INSERT INTO line (parallel, max_queue, max_per_user, active, waiting, virtual,"
                " turn, arrivals, model) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )

    def run(self, owner: Owner, claim: Claim) -> None:
        """Let a request run that did not have to wait."""
        user = self._user(claim.user)
        self._charge(user, claim.weight)
        self._put_user(claim.user, user, None)
        self._start(owner)

    def has_place(self, user: str) -> bool:
        """Whether one more request of this user may wait."""
        if self.waiting >= self.limits.max_queue:
            return False
        cap = self.limits.max_per_user
        if cap is None:
            return True
        (waiting,) = self._execute(
            "SELECT count(*) FROM (SELECT 1 FROM waiting WHERE model = ? AND user = ? LIMIT ?)",
            (self._model, user, cap),
        ).fetchone()
        return bool(waiting < cap)

    def wait(self, owner: Owner, claim: Claim, since: float) -> int:
        """Put the request behind the others of its user and class; its number in the line."""
        self._arrivals += 1
        self.waiting += 1
        number, rank = self._arrivals, FIRST
        if claim.priority is not Priority.INTERACTIVE:
            rank = LAST
        self._execute(
            "INSERT INTO waiting (model, user, batch, number, process, ticket, weight, since,"
            " request_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self._model, claim.user, rank, number, *owner, claim.weight, since, claim.request_id),
        )
        user = self._user(claim.user)
        if user.rank is None or rank < user.rank:
            self._begin(user, rank)
            self._put_user(claim.user, user, (since, number) if rank == LAST else None)
        return number

    def stop(self, owner: Owner) -> bool:
        """Forget a running request; False if it does not run."""
        gone = self._execute("DELETE FROM running WHERE process = ? AND ticket = ?", owner).rowcount
        self.active -= gone
        return gone > 0

    def withdraw(self, owner: Owner, claim: Claim, number: int, now: float) -> bool:
        """Forget a waiting request; False if it does not wait."""
        batch = LAST if claim.priority is not Priority.INTERACTIVE else FIRST
        key = (self._model, claim.user, batch, number)
        gone = self._execute(
            "DELETE FROM waiting WHERE model = ? AND user = ? AND batch = ? AND number = ?"
            " AND process = ? AND ticket = ?",
            (*key, *owner),
        ).rowcount
        if not gone:
            return False
        self.waiting -= 1
        user = self._user(claim.user)
        heads = [self._head(claim.user, which) for which in (FIRST, LAST)]
        self._settle(claim.user, user, heads[0], heads[1], now)
        return True

    def hand_over(self, now: float) -> list[Owner]:
        """Let those run for whom there is room, in their turn; who they are."""
        promoted = []
        while self.waiting and self.active < self.limits.parallel:
            promoted.append(self._take(now))
            self._start(promoted[-1])
        return promoted

    def snapshot(self) -> "Snapshot":
        """What the order consists of, as rows; to be looked at after the transaction."""
        users = self._execute(
            "SELECT name, start, turn, rank FROM user WHERE model = ?", (self._model,)
        )
        waiting = self._execute(
            "SELECT user, batch, number, process, ticket, weight, since, request_id FROM waiting"
            " WHERE model = ? ORDER BY number",
            (self._model,),
        )
        return Snapshot(self._batch_patience_s, self._virtual, users.fetchall(), waiting.fetchall())

    def _start(self, owner: Owner) -> None:
        self.active += 1
        self._execute(
            "INSERT INTO running (process, ticket, model) VALUES (?, ?, ?)", (*owner, self._model)
        )

    def _take(self, now: float) -> Owner:
        self._ripen(now)
        name, start, turn, rank = self._execute(
            "SELECT name, start, turn, rank FROM user WHERE model = ? AND rank IS NOT NULL"
            " ORDER BY rank, start, turn LIMIT 1",
            (self._model,),
        ).fetchone()
        user = StoredUser(start, turn, rank)
        heads = [self._head(name, which) for which in (FIRST, LAST)]
        head = earliest(heads[0], heads[1], rank == LAST, now - self._batch_patience_s)
        self._execute(
            "DELETE FROM waiting WHERE model = ? AND user = ? AND batch = ? AND number = ?",
            (self._model, name, head.batch, head.number),
        )
        self.waiting -= 1
        heads[head.batch] = self._head(name, head.batch)
        self._charge(user, head.weight)
        self._settle(name, user, heads[0], heads[1], now)
        return head.owner

    def _ripen(self, now: float) -> None:
        young = self._execute(
            "SELECT name, start FROM user WHERE model = ? AND since <= ? ORDER BY since, number",
            (self._model, now - self._batch_patience_s),
        ).fetchall()
        for name, start in young:
            user = StoredUser(start)
            self._begin(user, FIRST)
            self._put_user(name, user, None)

    def _begin(self, user: StoredUser, rank: int) -> None:
        self._turn += 1
        user.rank, user.turn, user.start = rank, self._turn, max(user.start, self._virtual)

    def _charge(self, user: StoredUser, weight: float) -> None:
        self._turn += 1
        self._virtual = max(user.start, self._virtual)
        user.start, user.turn = self._virtual + 1.0 / weight, self._turn

    def _settle(
        self, name: str, user: StoredUser, first: Head | None, batch: Head | None, now: float
    ) -> None:
        """Write the user's row after one of its requests has gone; these are at the head now."""
        if first is None and batch is None:
            user.rank = None
        elif first is None and batch and batch.since > now - self._batch_patience_s:
            user.rank = LAST
        young = (batch.since, batch.number) if batch and user.rank == LAST else None
        self._put_user(name, user, young)

    def _user(self, name: str) -> StoredUser:
        if not self._is_stored:
            return StoredUser()
        row = self._execute(
            "SELECT start, turn, rank FROM user WHERE model = ? AND name = ?", (self._model, name)
        ).fetchone()
        return StoredUser(*row) if row is not None else StoredUser()

    def _put_user(self, name: str, user: StoredUser, young: tuple[float, int] | None) -> None:
        since, number = young or (None, None)
        self._execute(
            "INSERT INTO user (model, name, start, turn, rank, since, number)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET start = excluded.start,"
            " turn = excluded.turn, rank = excluded.rank, since = excluded.since,"
            " number = excluded.number",
            (self._model, name, user.start, user.turn, user.rank, since, number),
        )

    def _head(self, user: str, batch: int) -> Head | None:
        row = self._execute(
            "SELECT number, process, ticket, weight, since FROM waiting"
            " WHERE model = ? AND user = ? AND batch = ? ORDER BY number LIMIT 1",
            (self._model, user, batch),
        ).fetchone()
        return Head(batch, row[0], (row[1], row[2]), row[3], row[4]) if row is not None else None


def earliest(first: Head | None, batch: Head | None, has_only_batch: bool, cutoff: float) -> Head:
    """The request that comes up when its user does: the earliest of those that take part."""
    takes_part = batch is not None and (has_only_batch or batch.since <= cutoff)
    heads = [head for head in (first, batch if takes_part else None) if head is not None]
    return min(heads, key=lambda head: head.number)


def class_of(batch: int) -> Priority:
    """The column `batch` as a class."""
    return Priority.BATCH if batch else Priority.INTERACTIVE


def limits_set(db: Connection, model: str) -> SlotLimits | None:
    """The limits that were set for the model, if any were."""
    row = db.execute(
        "SELECT parallel, max_queue, max_per_user FROM resized WHERE model = ?", (model,)
    ).fetchone()
    return SlotLimits(*row) if row is not None else None


def set_limits(db: Connection, model: str, limits: SlotLimits) -> None:
    """Keep limits for the model.

    Raises:
        TooManyLimitsError: `MODELS_RESIZED` other models have some.
    """
    others = db.execute("SELECT count(*) FROM resized WHERE model <> ?", (model,)).fetchone()[0]
    if others >= MODELS_RESIZED:
        raise TooManyLimitsError
    db.execute(
        "INSERT OR REPLACE INTO resized (model, parallel, max_queue, max_per_user)"
        " VALUES (?, ?, ?, ?)",
        (model, limits.parallel, limits.max_queue, limits.max_per_user),
    )


def running_of(db: Connection, process: int) -> list[Owner]:
    """The running requests of one process."""
    rows = db.execute("SELECT process, ticket FROM running WHERE process = ?", (process,))
    return rows.fetchall()


def reclaim(db: Connection, process: int, batch_patience_s: float, now: float) -> list[Owner]:
    """Give back all that a process held; who came up for it."""
    models = db.execute("SELECT ticket, model FROM running WHERE process = ?", (process,))
    lines: dict[str, StoredLine] = {}

    def line_of(model: str) -> StoredLine:
        if model not in lines:
            lines[model] = StoredLine.load(db, model, batch_patience_s)
        return lines[model]

    for ticket, model in models.fetchall():
        line_of(model).stop((process, ticket))
    waiting = db.execute(
        "SELECT model, user, batch, number, ticket FROM waiting WHERE process = ?", (process,)
    )
    for model, user, batch, number, ticket in waiting.fetchall():
        claim = Claim(user, priority=class_of(batch))
        line_of(model).withdraw((process, ticket), claim, number, now)
    promoted = []
    for line in lines.values():
        promoted += line.hand_over(now)
        line.save()
    return promoted


def sweep(db: Connection) -> None:
    """Forget users who would start at their line's virtual time anyway."""
    db.execute(
        "DELETE FROM user WHERE rank IS NULL AND start <="
        " (SELECT virtual FROM line WHERE line.model = user.model)"
    )
