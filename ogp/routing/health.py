"""Background probes: whether a server answers and what it has. Never run inside a request."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Event, Lock, Thread

import requests
import structlog

from ogp.core.clock import Clock
from ogp.core.types import Route
from ogp.routing.breaker import Breaker, BreakerState
from ogp.routing.catalog import Catalog
from ogp.routing.listing import ListingError, fetch_listing

log = structlog.get_logger(__name__)

PROBE_TIMEOUT_S = 3.0
"""A server that needs longer for `GET /api/version` counts as down."""
SCATTER = 0.1
"""Pauses are longer or shorter by up to this part, so that workers do not probe all at once."""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What the last probe saw, and what requests met since."""

    healthy: bool | None = None
    """None before the first probe has ended."""
    response_time_ms: float | None = None
    error: str | None = None
    """The kind of failure, without addresses: this is public."""
    breaker: Breaker = field(default_factory=Breaker)
    is_slow: bool = False
    """The probe took longer than `routing.busy_threshold_ms`."""

    @property
    def is_up(self) -> bool:
        """Whether requests may go there."""
        return self.breaker.state is not BreakerState.OPEN


@dataclass(frozen=True, slots=True)
class Listings:
    """Where what servers have is kept, and how long they may take to say it."""

    catalog: Catalog
    timeout_s: float


class HealthMonitor:
    """Asks every server for its version and its models, again and again. Thread-safe."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        interval_s: float,
        clock: Clock,
        listings: Listings | None = None,
        busy_threshold_ms: float = 1000.0,
    ) -> None:
        """Keep what to ask.

        Args:
            routes: the servers.
            interval_s: pause between two rounds, in seconds.
            clock: times the answers.
            listings: None asks for versions only.
            busy_threshold_ms: a server that answers later counts as slow.
        """
        self._routes, self._interval_s, self._clock = tuple(routes), interval_s, clock
        self._listings, self._busy_threshold_ms = listings, busy_threshold_ms
        self._lock = Lock()  # guards the two below
        self._statuses = {route.name: ServerStatus() for route in routes}
        self.version = 0
        """Grows whenever something changes that a choice depends on; read it without the lock."""
        self._wishes = {route.name: Event() for route in routes}
        self._unlisted: dict[str, str] = {}
        """Why a listing could not be had; each entry belongs to the thread of its server."""
        self._stopping = Event()
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Begin probing, one thread a server, so that one asleep delays no other."""
        for route in self._routes:
            thread = Thread(
                target=self._run, args=(route,), name=f"probe-{route.name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End the threads; one that is waiting for an answer is not waited for."""
        self._stopping.set()
        for wish in self._wishes.values():
            wish.set()

    def status(self, name: str) -> ServerStatus:
        """The last probe of one server."""
        with self._lock:
            return self._statuses[name]

    def statuses(self) -> dict[str, ServerStatus]:
        """The last probe of every server, by name."""
        with self._lock:
            return dict(self._statuses)

    def any_up(self) -> bool:
        """Whether some server is not known to be down."""
        return any(status.healthy is not False for status in self.statuses().values())

    def look_again(self, name: str) -> None:
        """Probe a server now rather than later; returns at once."""
        self._wishes[name].set()

    def list_again(self, name: str) -> None:
        """Something may have been installed or deleted there."""
        if self._listings is not None:
            self.look_again(name)

    def failed(self, name: str, *, is_certain: bool) -> None:
        """A request to a server got no first byte; `is_certain` if nobody was there."""
        with self._lock:
            before = self._statuses[name]
            breaker = before.breaker.failed(is_certain=is_certain)
            error = before.error or ("connection_failed" if is_certain else "no_answer")
            self._keep(name, replace(before, breaker=breaker, error=error))
        if breaker.state is BreakerState.OPEN and before.is_up:
            log.warning("upstream left out", server=name, error=error)
            self.look_again(name)

    def answered(self, name: str) -> None:
        """A request to a server got its first byte."""
        status = self._statuses[name]
        if status.breaker == Breaker() and status.error is None:
            return  # nearly always: no lock for it
        with self._lock:
            before = self._statuses[name]
            if before.healthy is not False:
                self._keep(name, replace(before, breaker=before.breaker.answered(), error=None))

    def _run(self, route: Route) -> None:
        wish = self._wishes[route.name]
        with requests.Session() as session:
            session.trust_env = False
            while not self._stopping.is_set():
                status = self._probe(session, route)
                if self._listings is not None:
                    self._list(session, route, self._listings, is_well=status.healthy is True)
                self._note(route, status)
                pause_s = self.status(route.name).breaker.pause_s(self._interval_s)
                wish.wait(pause_s * random.uniform(1 - SCATTER, 1 + SCATTER))  # noqa: S311 - no secret
                wish.clear()

    def _probe(self, session: requests.Session, route: Route) -> ServerStatus:
        started = self._clock.monotonic()
        try:
            with session.get(
                f"{route.url}/api/version",
                timeout=PROBE_TIMEOUT_S,
                allow_redirects=False,
                stream=True,
            ) as answer:
                next(answer.iter_content(4096), b"")  # a version; of anything longer not the rest
        except requests.Timeout:
            return ServerStatus(healthy=False, error="timeout")
        except requests.RequestException:
            return ServerStatus(healthy=False, error="connection_failed")
        elapsed_ms = round((self._clock.monotonic() - started) * 1e3, 1)
        if answer.status_code != 200:
            return ServerStatus(
                healthy=False, response_time_ms=elapsed_ms, error=f"status_{answer.status_code}"
            )
        is_slow = elapsed_ms > self._busy_threshold_ms
        return ServerStatus(healthy=True, response_time_ms=elapsed_ms, is_slow=is_slow)

    def _list(
        self, session: requests.Session, route: Route, listings: Listings, *, is_well: bool
    ) -> None:
        """Renew the listing. One that cannot be had says nothing of the server's health."""
        if is_well:
            try:
                found = fetch_listing(session, route.url, timeout_s=listings.timeout_s)
            except (ListingError, requests.RequestException) as error:
                reason = str(error) if isinstance(error, ListingError) else type(error).__name__
                if self._unlisted.get(route.name) != reason:
                    self._unlisted[route.name] = reason
                    log.warning("models not listed", server=route.name, error=reason)
            else:
                self._unlisted.pop(route.name, None)
                listings.catalog.put(route.name, found)
                return
        listings.catalog.missed(route.name)

    def _note(self, route: Route, status: ServerStatus) -> None:
        with self._lock:
            before = self._statuses[route.name]
            breaker = before.breaker.probed(is_well=status.healthy is True)
            self._keep(route.name, replace(status, breaker=breaker))
        if before.healthy is not status.healthy:
            level = log.info if status.healthy else log.warning
            level(
                "upstream up" if status.healthy else "upstream down",
                server=route.name,
                error=status.error,
            )

    def _keep(self, name: str, status: ServerStatus) -> None:
        """Keep a status; with the lock held."""
        before = self._statuses[name]
        self._statuses[name] = status
        if (before.breaker.state, before.is_slow, before.error) != (
            status.breaker.state,
            status.is_slow,
            status.error,
        ):
            self.version += 1
