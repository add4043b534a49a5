"""What shared state promises to the queue: who may run, who waits, and what happened so far.

One set of promises for every backend. `memory` keeps it for one process, `local` for all worker
processes of one host, exact also while some of them are replaced or killed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ogp.core.types import Priority


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request brings to its model's line."""

    user: str = ""
    """Whose turn this is; users take turns."""
    weight: float = 1.0
    """Turns of this user, compared with 1 of everybody else."""
    priority: Priority = Priority.INTERACTIVE
    request_id: str = ""
    """To be asked for its place; empty cannot be."""


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """How many requests of one model may run, and how many may wait."""

    parallel: int
    max_queue: int
    max_per_user: int | None = None
    """Of those that wait; None: no cap."""


@dataclass(frozen=True, slots=True)
class SlotCounts:
    """What one model's table holds at a moment, over all processes."""

    active: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where one waiting request stands."""

    model: str
    claim: Claim
    ahead: int
    """Requests that come up before it if nobody else arrives; 0 is the next."""
    waiting: int
    """Requests in the model's line, this one included."""
    waited_s: float


class SlotTicket(Protocol):
    """One request's place. The table calls `grant` at most once, possibly from another thread."""

    @property
    def claim(self) -> Claim:
        """Who asks."""
        ...

    def grant(self) -> None:
        """You may run. Must return at once."""
        ...


class SlotTable(Protocol):
    """Who may run. It never waits: waiting is `queueing.slots`, the same for every backend.

    Order: users take turns, each as often as the weight says, and a user's own requests in the
    order they came. `batch` requests come up when no other waits, or take turns with the others
    after `batch_patience_s`, which the table is made with.
    """

    def enter(self, model: str, ticket: SlotTicket, limits: SlotLimits) -> None:
        """Take a slot (`grant` is called before this returns) or a place in the line.

        Args:
            limits: the configured ones; limits that `resize` set before this count instead.

        Raises:
            QueueFullError: no slot and no place.
        """
        ...

    def leave(self, model: str, ticket: SlotTicket) -> None:
        """Give back a slot or a place; whoever may run now is granted.

        May be called again, and for a ticket that was refused: neither changes anything.
        """
        ...

    def resize(self, model: str, limits: SlotLimits) -> None:
        """New limits from now on, in all processes; what runs goes on and stays counted."""
        ...

    def limits(self, model: str) -> SlotLimits | None:
        """What `resize` set; None if nothing did."""
        ...

    def resized(self) -> Mapping[str, SlotLimits]:
        """All limits that `resize` set, by model."""
        ...

    def counts(self, model: str) -> SlotCounts:
        """How many run and wait right now."""
        ...

    def waiting(self) -> int:
        """How many wait, all models together."""
        ...

    def place(self, request_id: str) -> Place | None:
        """Where a waiting request stands, in whichever process; None if it does not wait."""
        ...


BUCKETS_MS = tuple(round(2 ** (exponent / 2), 1) for exponent in range(44))
"""Upper bounds of the histograms' buckets, in milliseconds: 1 ms to 49 minutes, two per octave.
The last bucket also holds what is longer."""


@dataclass(slots=True)
class Tally:
    """What was counted for one model since it was first seen or reset, over all processes."""

    since: float
    """Unix time at which counting began, in seconds."""
    processed: int = 0
    """Requests that held a slot and have given it back, however they ended."""
    rejected: int = 0
    """Requests refused: the line was full, or no slot came free in time."""
    waited_ms: float = 0.0
    """Sum over the processed ones."""
    held_ms: float = 0.0
    """Sum over the processed ones."""
    waits: tuple[int, ...] = (0,) * len(BUCKETS_MS)
    """Processed requests by their wait; buckets as in `BUCKETS_MS`."""
    holds: tuple[int, ...] = (0,) * len(BUCKETS_MS)
    """Processed requests by the time they held their slot."""
    recent_held_ms: float = 0.0
    """Exponentially weighted mean of the time a slot was held; 0.0 before the first."""


RECENT_SHARE = 0.2
"""Weight of the newest request in `Tally.recent_held_ms`."""


class TallyBook(Protocol):
    """Tallies of the models used last, shared as the slots are. Bounded: clients name models."""

    def processed(self, model: str, *, waited_ms: float, held_ms: float) -> None:
        """Count a request that gave its slot back."""
        ...

    def rejected(self, model: str) -> None:
        """Count a refusal."""
        ...

    def tally(self, model: str) -> Tally | None:
        """One model's; None if it is not remembered."""
        ...

    def tallies(self) -> Mapping[str, Tally]:
        """All, by name of the model, sorted."""
        ...

    def see(self, model: str) -> None:
        """Remember a model, with nothing counted yet; nothing changes if it is remembered."""
        ...

    def reset(self, model: str | None = None) -> None:
        """Begin to count anew, for one model or all; slots and places are not touched."""
        ...
