"""Why a model's requests go where they go, server by server."""

from collections.abc import Mapping, Sequence
from typing import Any

from ogp.routing.plan import Candidate, Plan
from ogp.routing.ranking import BUSY, CRITERIA, CROWDED, EVICTING, FREE, LOADED, ROOM, Order
from ogp.routing.server import Server

AVAILABLE = {FREE: "free", BUSY: "busy"}
MEMORY = {
    LOADED: "in memory or on its way there",
    ROOM: "to be loaded",
    CROWDED: "to be loaded, pushing out another model",
    EVICTING: "to be loaded, pushing out a model in use",
}


def explained(
    plan: Plan, ranked: Sequence[tuple[Candidate, Order]], strategy: str
) -> Mapping[str, Any]:
    """A plan, and how its candidates stand now.

    Args:
        plan: who can take a request and who cannot.
        ranked: the candidates with what they are compared by, best first.
        strategy: `routing.strategy`.
    """
    candidates = [
        _entry(candidate.server, *_won_or_lost(place, ranked, strategy, plan))
        | _facts(order, strategy)
        for place, (candidate, order) in enumerate(ranked)
    ]
    excluded = [{"server": name, "result": "excluded", "why": why} for name, why in plan.refused]
    return {
        "model": plan.wish.model,
        "size_gb": round(plan.size.gb, 3),
        "size_source": plan.size.source,
        "strategy": strategy,
        "rule": plan.rule,
        "server": ranked[0][0].server.name if ranked else None,
        "candidates": candidates + excluded,
    }


def _entry(server: Server, result: str, why: str) -> dict[str, Any]:
    return {
        "server": server.name,
        "result": result,
        "why": why,
        "priority": server.priority,
        "max_memory_gb": server.max_memory_gb,
    }


def _won_or_lost(
    place: int, ranked: Sequence[tuple[Candidate, Order]], strategy: str, plan: Plan
) -> tuple[str, str]:
    """The result of one candidate, and what decided: the first number in which two differ."""
    if len(ranked) == 1:
        return "won", plan.rule or "nobody else can take it"
    mine, other = ranked[place][1], ranked[1 if place == 0 else 0][1]
    pairs = zip(CRITERIA[strategy], mine, other, strict=True)
    criterion = next(name for name, own, its in pairs if own != its)
    against = ranked[1 if place == 0 else 0][0].server.name
    return ("won" if place == 0 else "lost"), f"{criterion}, against {against}"


def _facts(order: Order, strategy: str) -> dict[str, Any]:
    """The numbers that were compared, in words where they stand for some."""
    numbers = dict(zip(CRITERIA[strategy], order, strict=True))
    facts: dict[str, Any] = {
        "available": AVAILABLE.get(int(numbers["available"]), "on trial, and in use")
    }
    if "memory" in numbers:
        facts["memory"] = MEMORY[int(numbers["memory"])]
    if "load" in numbers:
        facts["load"] = round(numbers["load"], 3)
    if numbers.get("pace"):
        facts["first_byte_ms_below"] = 2 ** int(numbers["pace"])
    if "turn" in numbers:
        facts["turn"] = round(numbers["turn"], 3)
    return facts
