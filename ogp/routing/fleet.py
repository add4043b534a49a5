"""All servers together: what is known of them, how they are watched, and who chooses."""

from collections.abc import Mapping, Sequence
from typing import Any

from ogp.core.clock import Clock
from ogp.core.ports import ServerBook, Upstreams
from ogp.core.types import canonical_model
from ogp.routing.catalog import Catalog
from ogp.routing.explain import explained
from ogp.routing.health import HealthMonitor, Listings, ServerStatus
from ogp.routing.knowledge import Sources
from ogp.routing.merged import MergedUpstreams
from ogp.routing.plan import Known, Need
from ogp.routing.ranking import ORDERS
from ogp.routing.router import UpstreamRouter
from ogp.routing.server import servers_of
from ogp.routing.states import ServerStates
from ogp.settings.schema import Settings


class Fleet:
    """The parts of routing, put together. Thread-safe once started."""

    def __init__(self, settings: Settings, book: ServerBook, clock: Clock) -> None:
        """Build the parts; `start` them.

        What servers have is asked only where something depends on it: one server without a limit
        gets every request.
        """
        self.servers = servers_of(settings)
        routing = settings.routing
        self._strategy = routing.strategy
        names = [server.name for server in self.servers]
        self.catalog = catalog = Catalog(names, clock, ttl_s=routing.cache_ttl_s)
        has_choice = len(self.servers) > 1 or self.servers[0].max_memory_gb is not None
        self.monitor = HealthMonitor(
            [server.route for server in self.servers],
            interval_s=settings.upstream.health_interval_s,
            clock=clock,
            listings=Listings(catalog, routing.listing_timeout_s) if has_choice else None,
            busy_threshold_ms=routing.busy_threshold_ms,
        )
        self.states = ServerStates(self.servers, book)
        sources = Sources(self.servers, catalog, self.monitor, self.states)
        self.router = UpstreamRouter(sources, routing, clock)

    def start(self) -> None:
        """Read what administrators want, then begin to watch."""
        self.states.start()
        self.monitor.start()

    def stop(self) -> None:
        """End the threads."""
        self.monitor.stop()
        self.states.stop()

    def listing_for(self, upstreams: Upstreams) -> Upstreams:
        """Who sends requests, but answers merged listings without asking anybody."""
        return MergedUpstreams(upstreams, self.router.knowledge)

    def overview(self) -> Sequence[tuple[Known, ServerStatus, int]]:
        """Of each server what is known, its last probe, and its requests in flight."""
        statuses, active = self.monitor.statuses(), self.router.active()
        return [
            (known, statuses[known.server.name], active[known.server.name])
            for known in self.router.knowledge.known()
        ]

    def explain(self, model: str) -> Mapping[str, Any]:
        """Where a request for a model would go now, and why not elsewhere."""
        name = canonical_model(model)
        plan = self.router.knowledge.plan_for(name, Need.MODEL)
        ranked = self.router.loads.ranked(plan.candidates, name, ORDERS[self._strategy])
        return explained(plan, ranked, self._strategy)

    def described(self) -> list[dict[str, Any]]:
        """Every server, for administrators: addresses and models included."""
        return [
            {
                "name": known.server.name,
                "url": known.server.url,
                "state": str(known.state),
                "status": "up" if status.is_up else "down",
                "is_probed": status.healthy is not None,
                "error": status.error,
                "breaker": str(status.breaker.state),
                "response_time_ms": status.response_time_ms,
                "is_slow": status.is_slow,
                "priority": known.server.priority,
                "weight": known.server.weight,
                "parallel": known.server.parallel,
                "max_memory_gb": known.server.max_memory_gb,
                "tags": list(known.server.tags),
                "active": active,
                "installed": None if known.listing is None else len(known.listing.installed),
                "in_memory": [] if known.listing is None else sorted(known.listing.resident),
            }
            for known, status, active in self.overview()
        ]
