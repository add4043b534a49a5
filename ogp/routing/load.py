"""What each server is doing for this process."""

from collections.abc import Callable, Iterable, Sequence
from threading import Lock

from ogp.core.clock import Clock
from ogp.routing.plan import Candidate
from ogp.routing.ranking import LOADED, Load, Order, nearness

MAX_PACES = 2048
"""Models whose first bytes are remembered, for each server."""
BUSY_S = 1.0
"""How long a server that said it is busy comes after the others, in seconds."""

Ranking = Callable[[Candidate, Load, str, float], Order]


class Loads:
    """Counts requests in flight and takes times. Thread-safe.

    Each worker process counts its own: of many requests spread at random over the workers each one
    sees its share, and a shared count would cost every request more than the whole choice.
    """

    def __init__(self, names: Iterable[str], clock: Clock) -> None:
        """Begin with nothing in flight."""
        self._clock = clock
        self._lock = Lock()  # guards the loads
        self._loads = {name: Load() for name in names}

    def take(
        self, candidates: Sequence[Candidate], model: str, ranking: Ranking
    ) -> tuple[Candidate, bool]:
        """Choose the best and count a request there, in one step; `give_back` it.

        Returns:
            The best, and whether the model was in its memory or on its way there.
        """
        now, loads = self._clock.monotonic(), self._loads
        with self._lock:
            best = candidates[0]
            if len(candidates) > 1:
                best = min(candidates, key=lambda c: ranking(c, loads[c.server.name], model, now))
            load = loads[best.server.name]
            is_loaded = nearness(best, load, model) == LOADED
            load.active += 1
            load.models[model] = load.models.get(model, 0) + 1
            least = min(loads[c.server.name].turn for c in candidates)
            load.turn = max(load.turn, least) + 1 / best.server.weight
        return best, is_loaded

    def give_back(self, name: str, model: str) -> None:
        """The request has left the server."""
        with self._lock:
            load = self._loads[name]
            load.active -= 1
            left = load.models[model] - 1
            if left:
                load.models[model] = left
            else:
                del load.models[model]

    def timed(self, name: str, model: str, first_byte_ms: float) -> None:
        """A first byte came after so long, from a model that was in memory."""
        pace = max(0, round(first_byte_ms)).bit_length()
        with self._lock:
            paces = self._loads[name].paces
            if len(paces) >= MAX_PACES and model not in paces:
                paces.clear()
            # One step at a time: a single late byte turns nothing round.
            known = paces.get(model, pace)
            paces[model] = known + (pace > known) - (pace < known)

    def busy(self, name: str) -> None:
        """The server said that it has too much to do."""
        with self._lock:
            self._loads[name].busy_until = self._clock.monotonic() + BUSY_S

    def active(self) -> dict[str, int]:
        """Requests in flight, by server."""
        with self._lock:
            return {name: load.active for name, load in self._loads.items()}

    def ranked(
        self, candidates: Sequence[Candidate], model: str, ranking: Ranking
    ) -> list[tuple[Candidate, Order]]:
        """All of them with what they are compared by, best first; counts nothing."""
        now = self._clock.monotonic()
        with self._lock:
            orders = [(c, ranking(c, self._loads[c.server.name], model, now)) for c in candidates]
        return sorted(orders, key=lambda pair: pair[1])
