"""Background probes: whether a server answers. Never run inside a request."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event, Lock, Thread

import requests
import structlog

from ogp.core.clock import Clock
from ogp.core.types import Route

log = structlog.get_logger(__name__)

PROBE_TIMEOUT_S = 3.0
"""A server that needs longer for `GET /api/version` counts as down."""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What the last probe saw."""

    healthy: bool | None = None
    """None before the first probe has ended."""
    response_time_ms: float | None = None
    error: str | None = None
    """The kind of failure, without addresses: this is public."""


class HealthMonitor:
    """Asks every server for its version, again and again. Thread-safe."""

    def __init__(self, routes: Sequence[Route], *, interval_s: float, clock: Clock) -> None:
        """Keep what to ask.

        Args:
            routes: the servers.
            interval_s: pause between two rounds, in seconds.
            clock: times the answers.
        """
        self._routes, self._interval_s, self._clock = tuple(routes), interval_s, clock
        self._lock = Lock()  # guards the statuses
        self._statuses = {route.name: ServerStatus() for route in routes}
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

    def _run(self, route: Route) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not self._stopping.is_set():
                self._note(route, self._probe(session, route))
                self._stopping.wait(self._interval_s)

    def _probe(self, session: requests.Session, route: Route) -> ServerStatus:
        started = self._clock.monotonic()
        try:
            answer = session.get(
                f"{route.url}/api/version", timeout=PROBE_TIMEOUT_S, allow_redirects=False
            )
        except requests.Timeout:
            return ServerStatus(healthy=False, error="timeout")
        except requests.RequestException:
            return ServerStatus(healthy=False, error="connection_failed")
        elapsed_ms = round((self._clock.monotonic() - started) * 1e3, 1)
        if answer.status_code != 200:
            return ServerStatus(
                healthy=False, response_time_ms=elapsed_ms, error=f"status_{answer.status_code}"
            )
        return ServerStatus(healthy=True, response_time_ms=elapsed_ms)

    def _note(self, route: Route, status: ServerStatus) -> None:
        with self._lock:
            before = self._statuses[route.name]
            self._statuses[route.name] = status
        if before.healthy is not status.healthy:
            level = log.info if status.healthy else log.warning
            level(
                "upstream up" if status.healthy else "upstream down",
                server=route.name,
                error=status.error,
            )
