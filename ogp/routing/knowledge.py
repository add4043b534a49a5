"""All that is known of the servers at one moment, and the plans that follow from it."""

from collections.abc import Sequence
from dataclasses import dataclass

from ogp.core.types import InferenceRequest
from ogp.routing.assignments import Assignments
from ogp.routing.breaker import BreakerState
from ogp.routing.catalog import Catalog
from ogp.routing.health import HealthMonitor
from ogp.routing.plan import Known, Need, Plan, Wish, make_plan
from ogp.routing.server import Server
from ogp.routing.sizes import SizeRules
from ogp.routing.states import ServerStates
from ogp.settings.routing_schema import RoutingSettings

MAX_PLANS = 2048
"""Wishes whose plans are kept; names of models come from clients, and there is no end of them."""
BY_OPERATION = {
    "pull": Need.INSTALL,
    "create": Need.BASE,
    "blob": Need.BASE,
}


@dataclass(frozen=True, slots=True)
class Sources:
    """Who knows what of the servers."""

    servers: Sequence[Server]
    catalog: Catalog
    monitor: HealthMonitor
    states: ServerStates


class Knowledge:
    """Makes plans, and makes them anew only when something has changed. Thread-safe.

    A plan depends on listings, health and states, each of which has a version. Plans are kept with
    the versions they follow from; a change makes a new, empty store.
    """

    def __init__(self, sources: Sources, settings: RoutingSettings) -> None:
        """Keep the sources."""
        self._sources = sources
        self._sizes = SizeRules(settings)
        self._assignments = Assignments(settings.assignments)
        self._has_fallback = settings.assignment_fallback
        self._kept: tuple[tuple[int, int, int], dict[tuple[str, str, str | None], Plan]]
        self._kept = (-1, -1, -1), {}

    def plan(self, request: InferenceRequest) -> Plan:
        """Who can take a request."""
        return self.plan_for(request.model, need_of(request), request.server)

    def plan_for(self, model: str, need: Need, asked: str | None = None) -> Plan:
        """Who can take a request of this kind."""
        stamp, plans = self._kept
        now = self._stamp()
        if stamp != now:
            plans = {}
            self._kept = now, plans
        key = (model, need, asked)
        plan = plans.get(key)
        if plan is None:
            plan = make_plan(self._wish(model, need, asked), self.known(), self._sizes)
            if len(plans) >= MAX_PLANS:
                plans.clear()
            plans[key] = plan
        return plan

    def known(self) -> tuple[Known, ...]:
        """What is known of every server."""
        listings = self._sources.catalog.listings()
        statuses = self._sources.monitor.statuses()
        states = self._sources.states.states()
        found = []
        for server in self._sources.servers:
            status = statuses[server.name]
            found.append(
                Known(
                    server=server,
                    state=states[server.name],
                    is_up=status.is_up,
                    is_trial=status.breaker.state is BreakerState.HALF_OPEN,
                    is_slow=status.is_slow,
                    error=status.error,
                    listing=listings[server.name],
                )
            )
        return tuple(found)

    def _stamp(self) -> tuple[int, int, int]:
        sources = self._sources
        return sources.catalog.version, sources.monitor.version, sources.states.version

    def _wish(self, model: str, need: Need, asked: str | None) -> Wish:
        assigned = None
        if model and need in (Need.MODEL, Need.INSTALL):
            assigned = self._assignments.server_for(model)
        return Wish(model, need, asked, assigned, self._has_fallback)


def need_of(request: InferenceRequest) -> Need:
    """What a request wants of its server."""
    need = BY_OPERATION.get(request.operation)
    if need is not None:
        return need
    if not request.model:
        return Need.ANY
    return Need.MODEL if request.queued or request.scanned else Need.HOLDER
