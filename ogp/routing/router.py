"""The choice of a server for one request."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ogp.core.clock import Clock
from ogp.core.errors import (
    GatewayError,
    InvalidRequestError,
    ModelNotFoundError,
    NoUpstreamError,
    Refused,
    RequestTimeoutError,
    UpstreamError,
)
from ogp.core.types import InferenceRequest, Route
from ogp.routing.knowledge import Knowledge, Sources
from ogp.routing.load import Loads
from ogp.routing.merged import ALL_SERVERS, DELETE, MERGED
from ogp.routing.plan import Candidate, Plan
from ogp.routing.ranking import ORDERS
from ogp.settings.routing_schema import RoutingSettings

MAX_TRIES = 3
"""Servers that are tried for one request."""


class ServerLease:
    """One request's server; the next one after a failure. Owned by one thread."""

    def __init__(
        self, router: "UpstreamRouter", request: InferenceRequest, plan: Plan, clock: Clock
    ) -> None:
        self._router, self._request, self._plan, self._clock = router, request, plan, clock
        self._left = list(plan.candidates)
        self._tries = 0
        self._take()

    def _take(self) -> None:
        self._candidate, self._was_loaded = self._router.take(self._left, self._request.model)
        self._left.remove(self._candidate)
        self._since = self._clock.monotonic()
        self._tries += 1

    @property
    def route(self) -> Route:
        """Where to send it now."""
        return self._candidate.server.route

    @property
    def told(self) -> str:
        """Why it is this server."""
        rule = self._plan.rule or self._router.strategy
        loaded = "yes" if self._was_loaded else "no"
        return (
            f'server="{self._candidate.server.name}", rule="{rule}", '
            f"candidates={len(self._plan.candidates)}, loaded={loaded}, tries={self._tries}"
        )

    @property
    def has_spare(self) -> bool:
        """Whether another server could take the request if this one does not."""
        return bool(self._left) and self._tries < MAX_TRIES and self._request.upload is None

    def failed(self, error: GatewayError) -> None:
        """The server gave no first byte: go on to the next, or raise `error`."""
        name = self._candidate.server.name
        self._router.failed(name, error)
        is_untouched = isinstance(error, UpstreamError) and error.refused is not None
        if not is_untouched or not self.has_spare:
            raise error
        self._router.give_back(name, self._request.model)
        self._take()

    def answered(self) -> None:
        """The first byte is in hand."""
        elapsed_ms = (self._clock.monotonic() - self._since) * 1e3
        timed = self._was_loaded and self._request.queued
        self._router.answered(
            self._candidate.server.name, self._request.model, elapsed_ms if timed else None
        )

    def end(self) -> None:
        """Count the request as in flight no more."""
        self._router.give_back(self._candidate.server.name, self._request.model)


class MergedLease:
    """Of a listing that is put together from what all servers said."""

    route = Route(ALL_SERVERS, "")
    told = f'server="{ALL_SERVERS}"'
    has_spare = False

    def failed(self, error: GatewayError) -> None:
        """Nothing was asked."""
        raise error

    def answered(self) -> None:
        """Nothing was asked."""


class UpstreamRouter:
    """Chooses a server for each request by what is known in the background. Thread-safe."""

    def __init__(self, sources: Sources, settings: RoutingSettings, clock: Clock) -> None:
        """Keep who knows what.

        Args:
            sources: the servers, what they have, how they are, what is wanted of them.
            settings: the rules.
            clock: times first bytes.
        """
        self.knowledge = Knowledge(sources, settings)
        self.loads = Loads([server.name for server in sources.servers], clock)
        self.strategy = settings.strategy
        self._ranking = ORDERS[settings.strategy]
        self._sources, self._clock = sources, clock
        self._names = frozenset(server.name for server in sources.servers)

    def candidates(self, request: InferenceRequest) -> Sequence[Route]:
        """Servers that could take the request, best first.

        Raises:
            ModelNotFoundError: none has the model.
            NoUpstreamError: none can take it; the error says why, for each.
            InvalidRequestError: it asks for a server that does not exist.
        """
        if self._is_merged(request):
            return (MergedLease.route,)
        return [candidate.server.route for candidate in self._plan(request).candidates]

    @contextmanager
    def lease(self, request: InferenceRequest) -> Iterator[ServerLease | MergedLease]:
        """Take the best one and count the request there for the body of the `with`."""
        if self._is_merged(request):
            yield MergedLease()
            if request.managed:
                for name in self._names:
                    self._sources.monitor.list_again(name)
            return
        lease = ServerLease(self, request, self._plan(request), self._clock)
        try:
            yield lease
        finally:
            lease.end()
            if request.managed:
                self._sources.monitor.list_again(lease.route.name)

    def active(self) -> dict[str, int]:
        """Requests in flight, by server."""
        return self.loads.active()

    def take(self, candidates: Sequence[Candidate], model: str) -> tuple[Candidate, bool]:
        """The best one, counted, and whether the model was in its memory or on its way there."""
        return self.loads.take(candidates, model, self._ranking)

    def give_back(self, name: str, model: str) -> None:
        """The request has left the server."""
        self.loads.give_back(name, model)

    def failed(self, name: str, error: GatewayError) -> None:
        """Remember that a server gave no first byte, if that is its fault."""
        if isinstance(error, UpstreamError):
            if error.refused is Refused.BUSY:
                self.loads.busy(name)
            else:
                self._sources.monitor.failed(name, is_certain=error.refused is Refused.AWAY)
        elif isinstance(error, RequestTimeoutError):
            self._sources.monitor.look_again(name)  # it may only compute for long

    def answered(self, name: str, model: str, first_byte_ms: float | None) -> None:
        """Remember that a server gave its first byte, after so long where that tells something."""
        self._sources.monitor.answered(name)
        if first_byte_ms is not None:
            self.loads.timed(name, model, first_byte_ms)

    def _is_merged(self, request: InferenceRequest) -> bool:
        if request.server == ALL_SERVERS:
            return request.operation == DELETE
        several = len(self._names) > 1
        return several and request.server is None and request.operation in MERGED

    def _plan(self, request: InferenceRequest) -> Plan:
        if request.server is not None and request.server not in self._names:
            known = ", ".join(server.name for server in self._sources.servers)
            raise InvalidRequestError(f"There is no such server; there are {known}.")
        plan = self.knowledge.plan(request)
        if not plan.candidates:
            raise refusal(plan)
        return plan


def refusal(plan: Plan) -> GatewayError:
    """Why a request that nobody can take is refused."""
    model, reasons = plan.wish.model, dict(plan.refused)
    facts = {"model": model} if model else {}
    if plan.rule is None and model and not plan.is_installed:
        return ModelNotFoundError(
            f"Model {model!r} was not found on any server.", servers=reasons, **facts
        )
    told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    message = "No server can take this request now" + (f" ({told})." if told else ".")
    return NoUpstreamError(message, servers=reasons, **facts)
