"""Listings of all servers as one: no model twice, each in the words of the server that leads."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any

import orjson

from ogp.core.errors import UpstreamError
from ogp.core.exchange import Exchange
from ogp.core.ports import Upstreams
from ogp.core.types import InferenceRequest, Route, UpstreamResponse
from ogp.routing.knowledge import Knowledge
from ogp.routing.listing import ListedModel
from ogp.routing.plan import Known, ServerState

ALL_SERVERS = "all"
"""Name in the record and in headers where no single server answers."""
MERGED = frozenset({"tags", "ps", "models"})
"""Operations, by the names of the dialects."""
DELETE = "delete"
"""May be asked for on all servers."""
FRACTION = re.compile(r"(\.\d{6})\d+")
JSON = {"content-type": "application/json; charset=utf-8"}


class MergedUpstreams:
    """Answers listings of all servers from memory, and sends everything else. Thread-safe."""

    def __init__(self, upstreams: Upstreams, knowledge: Knowledge) -> None:
        """Keep who sends, and who knows what servers have."""
        self._upstreams, self._knowledge = upstreams, knowledge

    def send(
        self,
        request: InferenceRequest,
        route: Route,
        exchange: Exchange,
        *,
        has_spare: bool = False,
    ) -> AbstractContextManager[UpstreamResponse]:
        """Send, or answer; see `Upstreams.send`."""
        if route.name == ALL_SERVERS:
            deletes = request.operation == DELETE
            return self._deleted(request, exchange) if deletes else self._answer(request)
        return self._upstreams.send(request, route, exchange, has_spare=has_spare)

    @contextmanager
    def _answer(self, request: InferenceRequest) -> Iterator[UpstreamResponse]:
        document = merged(request.operation, self._knowledge.known())
        body = b"" if request.method == "HEAD" else orjson.dumps(document)
        yield UpstreamResponse(200, JSON, iter([body] if body else []))

    @contextmanager
    def _deleted(self, request: InferenceRequest, exchange: Exchange) -> Iterator[UpstreamResponse]:
        """Delete a model on every server that has it, in any state; one after the other."""
        told: dict[str, int | str] = {}
        for known in self._knowledge.known():
            if known.listing is not None and request.model not in known.listing.installed:
                continue
            told[known.server.name] = (
                self._status(request, known.server.route, exchange) if known.is_up else "down"
            )
        words = set(told.values())
        status = 404 if words <= {404} else 200 if words <= {200, 404} else 502
        document: dict[str, Any] = {"servers": told}
        if status != 200:
            document["error"] = f"model {request.model!r} was not deleted everywhere"
        yield UpstreamResponse(status, JSON, iter([orjson.dumps(document)]))

    def _status(self, request: InferenceRequest, route: Route, exchange: Exchange) -> int | str:
        try:
            with self._upstreams.send(request, route, exchange) as response:
                for _ in response.chunks:  # read to its end, so that the connection is kept
                    pass
                return response.status
        except UpstreamError as error:
            return error.message


def merged(operation: str, known: Sequence[Known]) -> Mapping[str, Any]:
    """The document of one operation of `MERGED`.

    Installed models include those of a server that is away for a moment, those in memory do not.
    """
    kept = [k for k in known if k.listing is not None and k.state is not ServerState.DISABLED]
    if operation == "ps":
        resident = [k.listing.resident for k in kept if k.listing is not None and k.is_up]
        return {"models": [model.entry for model in united(resident)]}
    kept.sort(key=lambda k: (not k.is_up, k.server.priority, k.server.place))
    installed = united([k.listing.installed for k in kept if k.listing is not None])
    if operation == "models":
        return {"object": "list", "data": [_openai_entry(model.entry) for model in installed]}
    return {"models": [model.entry for model in installed]}


def united(listings: Sequence[Mapping[str, ListedModel]]) -> list[ListedModel]:
    """Every model once, of the first listing that has it."""
    found: dict[str, ListedModel] = {}
    for listing in listings:
        for name, model in listing.items():
            found.setdefault(name, model)
    return list(found.values())


def _openai_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A model as Ollama's own `/v1/models` tells it."""
    name = str(entry.get("name") or entry.get("model"))
    parts = name.split("/")
    return {
        "id": name,
        "object": "model",
        "created": _unix(entry.get("modified_at")),
        "owned_by": parts[-2] if len(parts) > 1 else "library",
    }


def _unix(text: Any) -> int:
    """Go's time, which has nanoseconds, in whole seconds; 0 for nonsense."""
    try:
        return int(datetime.fromisoformat(FRACTION.sub(r"\1", str(text))).timestamp())
    except (ValueError, OverflowError):
        return 0
