"""The composition root: settings in, the object graph out; it alone names every class."""

from collections.abc import Callable
from wsgiref.types import WSGIApplication

import structlog

from ogp.admission.addresses import AddressGate
from ogp.admission.fields import FieldPolicy
from ogp.audit.recorder import AuditRecorder
from ogp.auth.open_door import OpenDoor
from ogp.auth.verifier import TokenVerifier
from ogp.core.clock import Clock, SystemClock
from ogp.core.types import Route
from ogp.dialects.ollama import OllamaDialect
from ogp.gateway import Gateway
from ogp.guard.engine import GuardEngine
from ogp.http.admin import CacheCleanupResource, CacheClearResource
from ogp.http.app import build_app
from ogp.http.control import (
    ConfigResource,
    OwnResource,
    PublicReportResource,
    QueueStatsResource,
    ReadyResource,
    ReportResource,
    RootResource,
)
from ogp.http.health import HealthReport
from ogp.http.scope import ExchangeScope
from ogp.queueing.manager import QueueManager
from ogp.queueing.parallelism import memory_report, resolve_parallel
from ogp.routing.health import HealthMonitor
from ogp.routing.router import UpstreamRouter
from ogp.settings.problems import Problem, SettingsError
from ogp.settings.schema import ACTIVE_RESERVE, OWN_RESERVE, Settings
from ogp.state.memory import MemorySlotTable
from ogp.storage.engine import Database
from ogp.storage.writer import GroupCommitWriter
from ogp.upstream.client import UpstreamClient
from ogp.upstream.watcher import ClientWatcher

log = structlog.get_logger(__name__)
STOP_TIMEOUT_S = 10.0
"""How long the writer may take for what is still waiting, in seconds."""


class Services:
    """Everything one worker process runs. `start` after the fork, `stop` before the exit."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._database = Database(settings.database_path, durability=settings.audit.durability)
        self._writer = GroupCommitWriter(
            self._database, max_pending=settings.audit.max_pending, name="audit"
        )
        self._audit = AuditRecorder(
            self._database,
            self._writer,
            run_directory=settings.data_dir / "run",
            settings=settings.audit,
            clock=clock,
        )
        self._engine = GuardEngine(settings, clock)
        self._watcher = ClientWatcher()
        routes = (Route("ollama", settings.upstream.url.rstrip("/")),)
        self._monitor = HealthMonitor(
            routes, interval_s=settings.upstream.health_interval_s, clock=clock
        )
        self._router = UpstreamRouter(routes)
        self._upstreams = UpstreamClient(settings.upstream, max_connections=settings.threads)
        self._started: list[Callable[[], None]] = []
        self.app = self._build()

    def start(self) -> None:
        """Open files, threads and connections, in the order they need each other."""
        for start, stop in (
            (self._database.start, self._database.stop),
            (self._writer.start, lambda: self._writer.stop(STOP_TIMEOUT_S)),
            (self._audit.start, lambda: self._audit.stop(STOP_TIMEOUT_S)),
            (self._engine.start, self._engine.stop),
            (self._watcher.start, self._watcher.stop),
            (self._monitor.start, self._monitor.stop),
        ):
            start()
            self._started.append(stop)
        self._started.append(self._upstreams.stop)
        log.info("started", upstream_servers=len(self._monitor.statuses()))

    def stop(self) -> None:
        """Give everything back, last in, first out. What waits for the audit log is written."""
        while self._started:
            self._started.pop()()

    def _build(self) -> WSGIApplication:
        settings, clock = self._settings, self._clock
        engine = self._engine
        parallel = resolve_parallel(settings.queue.parallel)
        queues = QueueManager(
            settings.queue,
            MemorySlotTable(),
            clock,
            parallel=parallel,
            max_waiting_total=settings.threads - OWN_RESERVE - ACTIVE_RESERVE,
        )
        dialect = OllamaDialect(
            settings.limits, max_document_bytes=settings.upstream.max_response_bytes
        )
        gateway = Gateway(
            dialects={dialect.name: dialect},
            policy=FieldPolicy(settings.access.allow_restricted_fields),
            router=self._router,
            input_guard=engine.input,
            queue=queues,
            audit=self._audit,
            upstreams=self._upstreams,
            output_guard=engine.output,
            max_answer_bytes=settings.upstream.max_response_bytes,
        )
        health = HealthReport(
            settings,
            clock,
            queues=queues,
            monitor=self._monitor,
            router=self._router,
            audit=self._audit.status,
            guard=engine,
        )
        app = build_app(
            settings=settings,
            gateway=gateway,
            dialects=[dialect],
            gate=AddressGate(settings.access),
            verifier=self._verifier(settings),
            own=self._own(settings, health, queues),
        )
        return ExchangeScope(
            app,
            watch=self._watcher,
            audit=self._audit,
            clock=clock,
            timeout_s=settings.queue.request_timeout_s,
            access_log=settings.logging.access_log,
        )

    def _verifier(self, settings: Settings) -> TokenVerifier | OpenDoor:
        if settings.auth.enabled:
            return TokenVerifier(self._database, self._writer, settings.auth, self._clock)
        log.warning("AUTHENTICATION IS OFF: everyone on this machine is the administrator 'local'")
        return OpenDoor()

    def _own(
        self, settings: Settings, health: HealthReport, queues: QueueManager
    ) -> dict[str, OwnResource]:
        statistics = {"/queue/stats": QueueStatsResource(queues)}
        return {
            **(statistics if settings.queue.stats_enabled else {}),
            "/": RootResource(self._monitor.any_up),
            "/up": PublicReportResource(lambda: {"status": "up"}),
            "/health": PublicReportResource(health),
            "/ready": ReadyResource(health.obstacles),
            "/config": ConfigResource(settings),
            "/queue/memory": ReportResource(memory_report),
            "/admin/cache/clear": CacheClearResource(self._engine.cache),
            "/admin/cache/cleanup": CacheCleanupResource(self._engine.cache),
        }


def check(settings: Settings) -> None:
    """See whether everything can be built, patterns of the guard included; touches nothing.

    Raises:
        SettingsError: it names what cannot be used and says why.
    """
    try:
        build(settings)
    except ValueError as error:
        raise SettingsError([Problem("guard", "", "as configured", str(error))]) from error


def build(settings: Settings, *, clock: Clock | None = None) -> Services:
    """Create the object graph, without side effects."""
    return Services(settings, clock or SystemClock())
