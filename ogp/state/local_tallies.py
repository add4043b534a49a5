"""Tallies that all worker processes of one host count together, in the slots' database."""

from collections.abc import Mapping
from sqlite3 import Connection
from struct import Struct
from typing import Any

from ogp.core.clock import Clock
from ogp.core.slots import BUCKETS_MS, RECENT_SHARE, Tally
from ogp.state.local_store import LocalStore
from ogp.state.memory import bucket_of

HISTOGRAM = Struct(f"<{len(BUCKETS_MS)}Q")
NOTHING = bytes(HISTOGRAM.size)
COLUMNS = "since, processed, rejected, waited_ms, held_ms, waits, holds, recent_held_ms"


class LocalTallyBook:
    """A `TallyBook` for all processes of one host that share a store. Thread-safe.

    Every method raises `StateUnavailableError` while the shared files cannot be used.
    """

    def __init__(self, store: LocalStore, clock: Clock, capacity: int = 256) -> None:
        """Keep the parts.

        Args:
            clock: its monotonic time must be that of the other processes.
            capacity: models remembered; the idle one used longest ago makes room.
        """
        self._store, self._clock, self._capacity = store, clock, capacity

    def processed(self, model: str, *, waited_ms: float, held_ms: float) -> None:
        """Count a request that gave its slot back."""
        with self._store.lock, self._store.transaction() as db:
            self._see(db, model)
            waits, holds = db.execute(
                "SELECT waits, holds FROM tally WHERE model = ?", (model,)
            ).fetchone()
            db.execute(
                "UPDATE tally SET processed = processed + 1, waited_ms = waited_ms + ?,"
                " held_ms = held_ms + ?, waits = ?, holds = ?, recent_held_ms = recent_held_ms +"
                " (? - recent_held_ms) * CASE processed WHEN 0 THEN 1.0 ELSE ? END"
                " WHERE model = ?",
                (
                    *(waited_ms, held_ms, raised(waits, waited_ms), raised(holds, held_ms)),
                    *(held_ms, RECENT_SHARE, model),
                ),
            )

    def rejected(self, model: str) -> None:
        """Count a refusal."""
        with self._store.lock, self._store.transaction() as db:
            self._see(db, model)
            db.execute("UPDATE tally SET rejected = rejected + 1 WHERE model = ?", (model,))

    def tally(self, model: str) -> Tally | None:
        """One model's, as it is now; None if it is not remembered."""
        with self._store.lock, self._store.transaction() as db:
            row = db.execute(f"SELECT {COLUMNS} FROM tally WHERE model = ?", (model,)).fetchone()  # noqa: S608 - a constant
        return tally_of(row) if row is not None else None

    def tallies(self) -> Mapping[str, Tally]:
        """All, by name of the model, sorted."""
        with self._store.lock, self._store.transaction() as db:
            rows = db.execute(f"SELECT model, {COLUMNS} FROM tally ORDER BY model").fetchall()  # noqa: S608 - a constant
        return {row[0]: tally_of(row[1:]) for row in rows}

    def see(self, model: str) -> None:
        """Remember a model as used now; what was counted stays."""
        with self._store.lock, self._store.transaction() as db:
            self._see(db, model)

    def reset(self, model: str | None = None) -> None:
        """Begin to count anew, for one model or all; which models are remembered stays."""
        anew = (self._clock.now().timestamp(), NOTHING, NOTHING)
        with self._store.lock, self._store.transaction() as db:
            db.execute(
                "UPDATE tally SET since = ?, waits = ?, holds = ?, processed = 0, rejected = 0,"
                " waited_ms = 0, held_ms = 0, recent_held_ms = 0 WHERE ? IS NULL OR model = ?",
                (*anew, model, model),
            )

    def _see(self, db: Connection, model: str) -> None:
        used = self._clock.monotonic()
        if db.execute("UPDATE tally SET used = ? WHERE model = ?", (used, model)).rowcount:
            return
        db.execute(
            "INSERT INTO tally (model, since, used, waits, holds) VALUES (?, ?, ?, ?, ?)",
            (model, self._clock.now().timestamp(), used, NOTHING, NOTHING),
        )
        (remembered,) = db.execute("SELECT count(*) FROM tally").fetchone()
        if remembered > self._capacity:
            db.execute(
                "DELETE FROM tally WHERE model = (SELECT model FROM tally WHERE model <> ?"
                " ORDER BY model IN (SELECT model FROM line), used LIMIT 1)",
                (model,),
            )


def raised(histogram: bytes, duration_ms: float) -> bytes:
    """The histogram with one more duration."""
    counts = list(HISTOGRAM.unpack(histogram))
    counts[bucket_of(duration_ms)] += 1
    return HISTOGRAM.pack(*counts)


def tally_of(row: tuple[Any, ...]) -> Tally:
    """A row of `COLUMNS` as a tally."""
    since, processed, rejected, waited_ms, held_ms, waits, holds, recent_held_ms = row
    return Tally(
        since=since,
        processed=processed,
        rejected=rejected,
        waited_ms=waited_ms,
        held_ms=held_ms,
        waits=HISTOGRAM.unpack(waits),
        holds=HISTOGRAM.unpack(holds),
        recent_held_ms=recent_held_ms,
    )
