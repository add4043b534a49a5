"""Servers for tests of routing, said in few words."""

from collections.abc import Mapping

from ogp.core.types import InferenceRequest
from ogp.routing.listing import ListedModel, Listing
from ogp.routing.plan import Known, ServerState
from ogp.routing.server import Server

GB = 1_000_000_000


def models(sizes_gb: Mapping[str, float | None]) -> dict[str, ListedModel]:
    """Models by name with their sizes, as a server lists them."""
    return {
        name: ListedModel(
            None if size is None else int(size * GB), {"name": name, "modified_at": "2026-01-01"}
        )
        for name, size in sizes_gb.items()
    }


def listing(installed: Mapping[str, float | None], *resident: str) -> Listing:
    """What a server has; `resident` is in its memory."""
    found = models(installed)
    return Listing(found, {name: found[name] for name in resident})


def known(
    name: str,
    installed: Mapping[str, float | None] | None = None,
    *resident: str,
    place: int = 0,
    priority: int = 1,
    max_memory_gb: float | None = None,
    state: ServerState = ServerState.ENABLED,
    **facts: bool | str,
) -> Known:
    """One server; None lists nothing at all."""
    server = Server(
        name, f"http://{name}", priority=priority, max_memory_gb=max_memory_gb, place=place
    )
    has = None if installed is None else listing(installed, *resident)
    return Known(server, state=state, listing=has, **facts)  # type: ignore[arg-type]  # the rest


def request_for(model: str = "m", **facts: object) -> InferenceRequest:
    """A chat with a model, or what `facts` make of it."""
    fields: dict[str, object] = {
        "dialect": "ollama",
        "operation": "chat",
        "method": "POST",
        "upstream_path": "/api/chat",
        "model": model,
        **facts,
    }
    return InferenceRequest(**fields)  # type: ignore[arg-type]  # names are those of the class
