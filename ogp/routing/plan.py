"""Which servers can take a request, and why the others cannot: a function of what is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ogp.routing.listing import ListedModel, Listing
from ogp.routing.server import Server
from ogp.routing.sizes import GB, Size, SizeRules


class Need(StrEnum):
    """What a request wants of its server."""

    MODEL = "model"
    """To have the model, and room for it."""
    HOLDER = "holder"
    """To have the model: it is read, copied, sent away or deleted there."""
    INSTALL = "install"
    """Room for the model; best the server that has it already."""
    BASE = "base"
    """Always the same one: files come first and the model that is made of them later."""
    ANY = "any"
    """Nothing in particular."""


class ServerState(StrEnum):
    """What the operator wants of a server."""

    ENABLED = "enabled"
    DRAINING = "draining"
    """It ends what it has begun and gets nothing new."""
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one server."""

    server: Server
    state: ServerState = ServerState.ENABLED
    is_up: bool = True
    """No probe or request has lately found it away; also while nothing is known."""
    is_trial: bool = False
    """It was away until lately: one request at a time tries it."""
    is_slow: bool = False
    """Its probes take longer than `routing.busy_threshold_ms`."""
    error: str | None = None
    """Why it is away."""
    listing: Listing | None = None
    """None where it has never said what it has, or long ago."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks of routing."""

    model: str
    """By its canonical name; empty where it names none."""
    need: Need = Need.MODEL
    asked: str | None = None
    """The server that an administrator asks for."""
    assigned: str | None = None
    """The server that the configuration names for the model."""
    has_fallback: bool = False
    """Whether the other rules decide while the assigned server cannot take requests."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server that can take the request."""

    server: Server
    is_resident: bool = False
    """The model is in its memory."""
    is_crowded: bool = False
    """Loading the model would push another one out of its memory."""
    is_slow: bool = False
    is_trial: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Everybody who can take the request, in the order of the configuration, and who cannot."""

    wish: Wish
    size: Size
    candidates: tuple[Candidate, ...]
    refused: tuple[tuple[str, str], ...] = ()
    """Server and reason, in words without addresses."""
    is_installed: bool = True
    """Some server has the model, or may have it."""
    rule: str | None = None
    """`asked` or `assigned` where nothing was left to choose."""


def make_plan(wish: Wish, known: Sequence[Known], sizes: SizeRules) -> Plan:
    """Look at every server.

    An assignment comes before sizes and listings; who asks for a server by name gets it in any
    state. The only server that is configured is never left out for being away or for what it
    lists: the attempt costs one refused connection, and its own answer says most.
    """
    listed = [model for k in known if (model := _model_of(k, wish.model)) is not None]
    size = sizes.size(wish.model, (m.size_bytes for m in listed if m.size_bytes is not None))
    is_silent = any(k.listing is None and k.state is ServerState.ENABLED for k in known)
    is_installed = bool(listed) or is_silent or len(known) == 1
    if wish.asked is not None:
        chosen = tuple(_candidate(k, wish, size) for k in known if k.server.name == wish.asked)
        return Plan(wish, size, chosen, rule="asked")
    refused: dict[str, str] = {}
    if wish.assigned is not None:
        assigned = next((k for k in known if k.server.name == wish.assigned), None)
        reason = "there is no such server" if assigned is None else _absence(assigned, len(known))
        if assigned is not None and reason is None:
            return Plan(wish, size, (_candidate(assigned, wish, size),), rule="assigned")
        refused[wish.assigned] = f"assigned, but {reason}"
        if not wish.has_fallback:
            return Plan(wish, size, (), tuple(refused.items()), is_installed, "assigned")
    able = []
    for k in known:
        reason = _absence(k, len(known)) or _misfit(k, wish, size)
        if reason is None:
            able.append(k)
        else:
            refused.setdefault(k.server.name, reason)
    able = _having(able, known, wish, refused)
    candidates = tuple(_candidate(k, wish, size) for k in able)
    return Plan(wish, size, candidates, tuple(refused.items()), is_installed)


def _model_of(known: Known, model: str) -> ListedModel | None:
    return None if known.listing is None else known.listing.installed.get(model)


def _absence(known: Known, servers: int) -> str | None:
    """Why a server takes nothing now, or None."""
    if known.state is not ServerState.ENABLED:
        return str(known.state)
    if not known.is_up and servers > 1:
        return f"down ({known.error})" if known.error else "down"
    return None


def _misfit(known: Known, wish: Wish, size: Size) -> str | None:
    """Why a server cannot hold the model, or None."""
    limit_gb = known.server.max_memory_gb
    if wish.need not in (Need.MODEL, Need.INSTALL) or not wish.model or limit_gb is None:
        return None
    if size.gb <= limit_gb:
        return None
    return f"the model needs {size.gb:.3g} GB ({size.source}), it takes up to {limit_gb:.3g} GB"


def _having(
    able: list[Known], known: Sequence[Known], wish: Wish, refused: dict[str, str]
) -> list[Known]:
    """Those that have the model; else those that may have it."""
    if wish.need is Need.BASE:
        return sorted(able, key=lambda k: (k.server.priority, k.server.place))[:1]
    if wish.need is Need.ANY or not wish.model or len(known) == 1:
        return able
    kept = [k for k in able if _model_of(k, wish.model) is not None]
    if not kept:
        kept = able if wish.need is Need.INSTALL else [k for k in able if k.listing is None]
    for k in able:
        if k not in kept:
            unknown = k.listing is None
            reason = "has not said yet what it has" if unknown else "does not have the model"
            refused[k.server.name] = reason
    return kept


def _candidate(known: Known, wish: Wish, size: Size) -> Candidate:
    listing = known.listing
    resident = listing is not None and wish.model in listing.resident
    crowded = False
    limit_gb = known.server.max_memory_gb
    if listing is not None and limit_gb is not None and wish.model and not resident:
        used_gb = sum(m.size_bytes or 0 for m in listing.resident.values()) / GB
        crowded = bool(listing.resident) and used_gb + size.gb > limit_gb
    return Candidate(known.server, resident, crowded, known.is_slow, known.is_trial)
