"""What `/health` and `/ready` say. Public, hence without addresses, secrets or names of models."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ogp import __version__
from ogp.audit.health import AuditStatus
from ogp.core.clock import Clock
from ogp.core.errors import StateUnavailableError
from ogp.guard.engine import GuardEngine
from ogp.queueing.parallelism import memory_report
from ogp.queueing.report import QueueReport
from ogp.routing.fleet import Fleet
from ogp.settings.schema import Settings

SERVER_WORDS = {True: "healthy", False: "unhealthy", None: "unknown"}


class HealthReport:
    """Gathers what the stages know of themselves; asks no server and scans no table."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        queues: QueueReport,
        fleet: Fleet,
        audit: Callable[[], AuditStatus],
        guard: GuardEngine,
    ) -> None:
        """Keep the sources."""
        self._settings, self._clock = settings, clock
        self._queues, self._fleet = queues, fleet
        self._audit, self._guard = audit, guard
        self._since = clock.monotonic()

    def __call__(self) -> dict[str, Any]:
        """The body of `/health`."""
        servers = self._servers()
        audit = self._audit()
        problems = [
            f"server {name} is down"
            for name, server in servers.items()
            if server["status"] == "unhealthy" and server["state"] == "enabled"
        ]
        if not audit.available:
            problems.append("audit log cannot be written")
        queues = self._concurrency()
        if queues is None:
            problems.append("shared state of the queues is unavailable")
        problems += self._guard.problems()
        return {
            "status": self._word(problems),
            "problems": problems,
            "timestamp": self._clock.now().isoformat(timespec="seconds"),
            "version": __version__,
            "concurrency": queues or {"status": "unknown", "memory": memory_report()},
            "guards": self._guards(),
            "cache": self._guard.describe_cache(),
            "performance": {
                "uptime_seconds": round(self._clock.monotonic() - self._since, 1),
                "in_flight": sum(self._fleet.router.active().values()),
                "waiting": self._queues.waiting,
            },
            "whitelist": {
                "enabled": self._settings.access.ip_filter_enabled,
                "count": len(self._settings.access.ip_allow),
            },
            "auth": {"enabled": self._settings.auth.enabled},
            "servers": servers,
            "audit": asdict(audit),
        }

    def obstacles(self) -> list[str]:
        """What keeps requests from being served; empty when nothing does."""
        audit = [] if self._audit().available else ["audit log"]
        state = ["shared state of the queues"] if self._concurrency() is None else []
        return audit + state + self._guard.obstacles()

    def _concurrency(self) -> dict[str, Any] | None:
        """The queues; None while nobody can say."""
        try:
            return {**self._queues.summary(), "memory": memory_report()}
        except StateUnavailableError:
            return None

    def _word(self, problems: list[str]) -> str:
        """The overall word; a guard that has missed what it must see comes before all else."""
        if self._guard.canaries.missed():
            return "guard_degraded"
        return "degraded" if problems else "healthy"

    def _guards(self) -> dict[str, Any]:
        guard = self._settings.guard
        return {
            "input_guard": "enabled" if guard.input_enabled else "disabled",
            "output_guard": "enabled" if guard.output_enabled else "disabled",
            "block_on_guard_error": guard.block_on_error,
            "device": self._guard.describe_device(),
            "scanners": self._guard.describe(),
            "canaries": self._guard.canaries.describe(),
        }

    def _servers(self) -> dict[str, dict[str, Any]]:
        """Of each server what may be told to everybody: neither addresses nor models."""
        found = {}
        for known, status, active in self._fleet.overview():
            healthy = status.healthy if status.is_up else False
            found[known.server.name] = {
                "status": SERVER_WORDS[healthy],
                "response_time_ms": status.response_time_ms,
                "priority": known.server.priority,
                "max_memory_gb": known.server.max_memory_gb,
                "error": status.error,
                "state": str(known.state),
                "breaker": str(status.breaker.state),
                "active": active,
            }
        return found
