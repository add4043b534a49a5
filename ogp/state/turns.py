"""The order in which waiting requests come up: users take turns by weight, FIFO inside a user.

Start-time fair queueing. Each user has a virtual time at which its next request may start; serving
one advances it by 1/weight. The line's virtual time is the start of whoever was served last, and
a user who begins to wait starts there at the earliest: absence saves nothing up, and requests that
leave unserved cost nothing.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ogp.core.slots import Claim
from ogp.core.types import Priority

T = TypeVar("T")

FIRST, LAST = 0, 1
"""Ranks of waiting users: those of rank LAST have nothing but `batch` requests that are young."""

SWEEP_FLOOR = 64
"""Users remembered before the first look for those that can be forgotten."""


@dataclass(frozen=True, slots=True, eq=False)
class Waiting(Generic[T]):
    """One request in the line."""

    ticket: T
    claim: Claim
    since: float
    """Monotonic time of its arrival, in seconds."""
    number: int
    """Rises with each arrival."""


class UserTurns(Generic[T]):
    """What the line knows of one user."""

    __slots__ = ("batch", "interactive", "name", "rank", "start", "turn")

    def __init__(self, name: str) -> None:
        self.name = name
        self.start = 0.0
        self.turn = 0
        """When `start` was given, as a number; breaks ties."""
        self.rank: int | None = None
        """None while the user does not wait."""
        # `OrderedDict`: a plain dict searches over the gaps of its removed heads.
        self.interactive: OrderedDict[int, Waiting[T]] = OrderedDict()
        self.batch: OrderedDict[int, Waiting[T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.interactive) + len(self.batch)

    @property
    def key(self) -> tuple[int | None, float, int, str]:
        """The user's place among the users."""
        return self.rank, self.start, self.turn, self.name

    @property
    def batch_head(self) -> Waiting[T]:
        """The first of its `batch` requests; there must be one."""
        return next(iter(self.batch.values()))

    def head(self, cutoff: float) -> Waiting[T]:
        """The request that comes up when the user does: the earliest of those that take part."""
        heads = [next(iter(self.interactive.values()))] if self.interactive else []
        if self.batch and (self.rank == LAST or self.batch_head.since <= cutoff):
            heads.append(self.batch_head)
        return min(heads, key=lambda waiting: waiting.number)

    def line_of(self, claim: Claim) -> OrderedDict[int, Waiting[T]]:
        """Those of the claim's class."""
        return self.interactive if claim.priority is Priority.INTERACTIVE else self.batch

    def copy(self) -> "UserTurns[T]":
        """The same, independent of this one."""
        twin: UserTurns[T] = UserTurns(self.name)
        twin.start, twin.turn, twin.rank = self.start, self.turn, self.rank
        twin.interactive, twin.batch = self.interactive.copy(), self.batch.copy()
        return twin


class Turns(Generic[T]):
    """One model's line. Not thread-safe; the table that owns it holds a lock.

    Among users of equal weight a request with k of its user's before it is passed by at most
    k + 1 requests of any other. Nothing here is proportional to the number of requests; the lists
    below are sorted, and Python moves their elements at some GB per second.
    """

    def __init__(self, batch_patience_s: float) -> None:
        """Keep after which wait, in seconds, a `batch` request takes turns with the others."""
        self._batch_patience_s = batch_patience_s
        self._users: dict[str, UserTurns[T]] = {}
        self._order: list[tuple[int | None, float, int, str]] = []
        self._young: list[tuple[float, int, str]] = []
        """Users of rank LAST by the arrival of their first request."""
        self._virtual = 0.0
        self._turn = 0
        self._length = 0
        self._sweep_at = SWEEP_FLOOR

    @classmethod
    def restored(
        cls,
        batch_patience_s: float,
        virtual: float,
        users: Iterable[tuple[str, float, int, int | None]],
        waiting: Iterable[Waiting[T]],
    ) -> "Turns[T]":
        """A line as it was kept elsewhere.

        Args:
            virtual: the line's virtual time.
            users: name, start, turn and rank of each user.
            waiting: in order of arrival; of those users only.
        """
        turns: Turns[T] = cls(batch_patience_s)
        turns._virtual = virtual
        for name, start, turn, rank in users:
            user = turns._users[name] = UserTurns(name)
            user.start, user.turn, user.rank = start, turn, rank
            turns._turn = max(turns._turn, turn)
        for entry in waiting:
            turns._users[entry.claim.user].line_of(entry.claim)[entry.number] = entry
            turns._length += 1
        for user in turns._users.values():
            turns._list(user)
        return turns

    def __len__(self) -> int:
        """How many requests wait."""
        return self._length

    def waiting_of(self, user: str) -> int:
        """How many requests of one user wait."""
        turns = self._users.get(user)
        return len(turns) if turns is not None else 0

    def add(self, waiting: Waiting[T]) -> None:
        """Put the request behind the others of its user and class."""
        user = self._user(waiting.claim.user)
        user.line_of(waiting.claim)[waiting.number] = waiting
        self._length += 1
        rank = FIRST if waiting.claim.priority is Priority.INTERACTIVE else LAST
        if user.rank is None or rank < user.rank:
            self._unlist(user)
            self._begin(user, rank)
            self._list(user)

    def discard(self, waiting: Waiting[T], now: float) -> None:
        """Remove the request, which must be here, wherever it stands."""
        user = self._users[waiting.claim.user]
        self._unlist(user)
        self._remove(user, waiting, now)
        self._list(user)

    def take(self, now: float) -> Waiting[T]:
        """Remove the request whose turn it is.

        Raises:
            IndexError: nobody waits.
        """
        self._ripen(now)
        user = self._users[self._order[0][-1]]
        waiting = user.head(now - self._batch_patience_s)
        self._unlist(user)
        self._charge(user, waiting.claim.weight)
        self._remove(user, waiting, now)
        self._list(user)
        return waiting

    def serve(self, claim: Claim) -> None:
        """Count a request as served that did not have to wait; nobody else waits either."""
        self._charge(self._user(claim.user), claim.weight)

    def copy(self) -> "Turns[T]":
        """The same line, independent of this one."""
        twin: Turns[T] = Turns(self._batch_patience_s)
        twin._users = {name: user.copy() for name, user in self._users.items()}
        twin._order, twin._young = self._order.copy(), self._young.copy()
        twin._virtual, twin._turn, twin._length = self._virtual, self._turn, self._length
        return twin

    def _user(self, name: str) -> UserTurns[T]:
        user = self._users.get(name)
        if user is None:
            if len(self._users) >= self._sweep_at:
                self._sweep()
            user = self._users[name] = UserTurns(name)
        return user

    def _sweep(self) -> None:
        """Forget those who would start at the virtual time anyway."""
        for user in list(self._users.values()):
            if not user and user.start <= self._virtual:
                del self._users[user.name]
        self._sweep_at = 2 * len(self._users) + SWEEP_FLOOR

    def _begin(self, user: UserTurns[T], rank: int) -> None:
        """From now on the user takes part at this rank, behind those who start at its time."""
        user.rank = rank
        user.start = max(user.start, self._virtual)
        self._turn += 1
        user.turn = self._turn

    def _charge(self, user: UserTurns[T], weight: float) -> None:
        """One of the user's requests is served."""
        self._virtual = max(user.start, self._virtual)
        user.start = self._virtual + 1.0 / weight
        self._turn += 1
        user.turn = self._turn

    def _remove(self, user: UserTurns[T], waiting: Waiting[T], now: float) -> None:
        del user.line_of(waiting.claim)[waiting.number]
        self._length -= 1
        if not user:
            user.rank = None
        elif not user.interactive and user.batch_head.since > now - self._batch_patience_s:
            user.rank = LAST

    def _ripen(self, now: float) -> None:
        """Let users of rank LAST take turns with the others whose `batch` waited long enough."""
        while self._young and self._young[0][0] <= now - self._batch_patience_s:
            user = self._users[self._young[0][-1]]
            self._unlist(user)
            self._begin(user, FIRST)
            self._list(user)

    def _list(self, user: UserTurns[T]) -> None:
        if user.rank is not None:
            insort(self._order, user.key)
        if user.rank == LAST:
            head = user.batch_head
            insort(self._young, (head.since, head.number, user.name))

    def _unlist(self, user: UserTurns[T]) -> None:
        """Take the user out of the sorted lists; its requests must not have changed since."""
        if user.rank is not None:
            del self._order[bisect_left(self._order, user.key)]
        if user.rank == LAST:
            head = user.batch_head
            del self._young[bisect_left(self._young, (head.since, head.number, user.name))]
