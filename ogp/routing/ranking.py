"""Which of the servers that can take a request is best: a function of what they are doing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ogp.routing.plan import Candidate

Order = tuple[float, ...]
"""Lower is better; compared from left to right."""

FREE, BUSY, ON_TRIAL = 0, 1, 2
LOADED, ROOM, CROWDED, EVICTING = 0, 1, 2, 3


@dataclass(slots=True)
class Load:
    """What one server is doing for this process. Whoever holds its lock may read and change it."""

    active: int = 0
    """Requests in flight."""
    models: dict[str, int] = field(default_factory=dict)
    """Requests in flight by model; those at nought are left out."""
    paces: dict[str, int] = field(default_factory=dict)
    """Power of two of the milliseconds to the first byte, by model."""
    turn: float = 0.0
    """Turns it has had, divided by its weight."""
    busy_until: float = 0.0
    """It said that it is busy; monotonic seconds."""


def availability(candidate: Candidate, load: Load, now: float) -> int:
    """Whether it can begin at once."""
    if candidate.is_trial and load.active:
        return ON_TRIAL
    server = candidate.server
    is_full = server.parallel is not None and load.active >= server.parallel
    return BUSY if is_full or candidate.is_slow or load.busy_until > now else FREE


def nearness(candidate: Candidate, load: Load, model: str) -> int:
    """How near the model is to the server's memory.

    A model with requests in flight is there or on its way: simultaneous requests for a cold model
    load it once.
    """
    in_flight = load.models.get(model, 0)
    if candidate.is_resident or in_flight:
        return LOADED
    if not candidate.is_crowded:
        return ROOM
    return EVICTING if load.active > in_flight else CROWDED


def _priority_with_memory(candidate: Candidate, load: Load, model: str, now: float) -> Order:
    server = candidate.server
    return (
        availability(candidate, load, now),
        server.priority,
        nearness(candidate, load, model),
        load.active / server.weight,
        load.paces.get(model, 0),
        server.place,
    )


def _least_loaded(candidate: Candidate, load: Load, model: str, now: float) -> Order:
    server = candidate.server
    return (
        availability(candidate, load, now),
        load.active / server.weight,
        server.priority,
        nearness(candidate, load, model),
        load.paces.get(model, 0),
        server.place,
    )


def _round_robin(candidate: Candidate, load: Load, _model: str, now: float) -> Order:
    return (availability(candidate, load, now), load.turn, candidate.server.place)


def _resident_first(candidate: Candidate, load: Load, model: str, now: float) -> Order:
    server = candidate.server
    return (
        availability(candidate, load, now),
        nearness(candidate, load, model),
        server.priority,
        load.active / server.weight,
        load.paces.get(model, 0),
        server.place,
    )


ORDERS: Mapping[str, Callable[[Candidate, Load, str, float], Order]] = {
    "priority_with_memory": _priority_with_memory,
    "least_loaded": _least_loaded,
    "round_robin": _round_robin,
    "resident_first": _resident_first,
}
"""By `routing.strategy`."""

CRITERIA: Mapping[str, tuple[str, ...]] = {
    "priority_with_memory": ("available", "priority", "memory", "load", "pace", "place"),
    "least_loaded": ("available", "load", "priority", "memory", "pace", "place"),
    "round_robin": ("available", "turn", "place"),
    "resident_first": ("available", "memory", "priority", "load", "pace", "place"),
}
"""What each number of an order is about."""
