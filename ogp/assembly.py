"""The composition root: settings in, the object graph out; it alone names every class."""

from collections.abc import Callable
from dataclasses import dataclass
from wsgiref.types import WSGIApplication

import structlog

from ogp.admission.addresses import AddressGate
from ogp.admission.fields import FieldPolicy
from ogp.audit.recorder import AuditRecorder
from ogp.auth.open_door import OpenDoor
from ogp.auth.verifier import TokenVerifier
from ogp.core.clock import Clock, SystemClock
from ogp.core.ports import ServerBook
from ogp.core.slots import SlotTable, TallyBook
from ogp.dialects.base import Dialect
from ogp.dialects.coverage import DIALECTS
from ogp.gateway import Gateway
from ogp.guard.engine import GuardEngine
from ogp.http.admin import CacheCleanupResource, CacheClearResource
from ogp.http.app import build_app
from ogp.http.control import (
    ConfigResource,
    OwnResource,
    PublicReportResource,
    ReadyResource,
    ReportResource,
    RootResource,
)
from ogp.http.health import HealthReport
from ogp.http.queues import (
    QueuePositionResource,
    QueueResetResource,
    QueueStatsResource,
    QueueUpdateResource,
)
from ogp.http.scope import ExchangeScope
from ogp.http.servers import RouteExplainResource, ServersResource, ServerStateResource
from ogp.queueing.parallelism import memory_report
from ogp.queueing.queues import Queues
from ogp.routing.fleet import Fleet
from ogp.settings.problems import Problem, SettingsError
from ogp.settings.schema import Settings
from ogp.state.local import LocalSlotTable
from ogp.state.local_store import LocalStore
from ogp.state.local_tallies import LocalTallyBook
from ogp.state.memory import MemorySlotTable, MemoryTallyBook
from ogp.state.server_states import LocalServerBook, MemoryServerBook
from ogp.storage.engine import Database
from ogp.storage.model_limits import ModelLimitsStore
from ogp.storage.writer import GroupCommitWriter
from ogp.upstream.client import UpstreamClient
from ogp.upstream.watcher import ClientWatcher

log = structlog.get_logger(__name__)
MODELS_REMEMBERED = 256
"""Models whose statistics are kept; the one used longest ago makes room."""
STOP_TIMEOUT_S = 10.0
"""How long the writer may take for what is still waiting, in seconds."""


class Services:
    """Everything one worker process runs. `start` after the fork, `stop` before the exit."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._dialects = all_dialects(settings)
        self._engine = GuardEngine(settings, clock, dialects=self._dialects)
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
            configurations=self._engine.configurations,
        )
        self._state = shared_state(settings, clock)
        self._queues = Queues(
            settings,
            self._state.table,
            self._state.book,
            clock,
            ModelLimitsStore(self._database, self._writer),
        )
        self._watcher = ClientWatcher()
        self._fleet = Fleet(settings, self._state.servers, clock)
        self._upstreams = UpstreamClient(settings.upstream, max_connections=settings.threads)
        self._started: list[Callable[[], None]] = []
        self.app = self._build()

    def start(self) -> None:
        """Open files, threads and connections, in the order they need each other."""
        for start, stop in (
            (self._database.start, self._database.stop),
            (self._writer.start, lambda: self._writer.stop(STOP_TIMEOUT_S)),
            (self._audit.start, lambda: self._audit.stop(STOP_TIMEOUT_S)),
            (self._state.start, self._state.stop),
            (self._engine.start, self._engine.stop),
            (self._watcher.start, self._watcher.stop),
            (self._fleet.start, self._fleet.stop),
        ):
            start()
            self._started.append(stop)
        self._started.append(self._upstreams.stop)
        self._queues.live.start()
        log.info("started", upstream_servers=len(self._fleet.servers))

    def refuse_waiting(self) -> None:
        """Refuse who still waits in a queue: this process ends before its turn can come."""
        self._queues.manager.close()

    def stop(self) -> None:
        """Give everything back, last in, first out. What waits for the audit log is written."""
        while self._started:
            self._started.pop()()

    def _build(self) -> WSGIApplication:
        settings, clock = self._settings, self._clock
        engine = self._engine
        access = settings.access
        gateway = Gateway(
            dialects={dialect.name: dialect for dialect in self._dialects},
            policy=FieldPolicy(access.allow_restricted_fields, access.allow_model_management),
            router=self._fleet.router,
            input_guard=engine.input,
            queue=self._queues.manager,
            audit=self._audit,
            upstreams=self._fleet.listing_for(self._upstreams),
            output_guard=engine.output,
            max_answer_bytes=settings.upstream.max_response_bytes,
            keepalive_s=settings.queue.keepalive_s,
        )
        health = HealthReport(
            settings,
            clock,
            queues=self._queues.report,
            fleet=self._fleet,
            audit=self._audit.status,
            guard=engine,
        )
        app = build_app(
            settings=settings,
            gateway=gateway,
            dialects=self._dialects,
            gate=AddressGate(access),
            verifier=self._verifier(settings),
            own=self._own(settings, health),
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

    def _own(self, settings: Settings, health: HealthReport) -> dict[str, OwnResource]:
        queues, limits = self._queues, settings.limits
        statistics = {"/queue/stats": QueueStatsResource(queues.report)}
        return {
            **(statistics if settings.queue.stats_enabled else {}),
            "/": RootResource(self._fleet.monitor.any_up),
            "/up": PublicReportResource(lambda: {"status": "up"}),
            "/health": PublicReportResource(health),
            "/ready": ReadyResource(health.obstacles),
            "/config": ConfigResource(settings),
            "/queue/memory": ReportResource(memory_report),
            "/queue/position/{request_id}": QueuePositionResource(queues.report),
            "/admin/queue/update": QueueUpdateResource(queues.live, limits),
            "/admin/queue/reset": QueueResetResource(queues.report, limits),
            "/admin/cache/clear": CacheClearResource(self._engine.cache),
            "/admin/cache/cleanup": CacheCleanupResource(self._engine.cache),
            "/admin/servers": ServersResource(self._fleet),
            "/admin/servers/{name}": ServerStateResource(self._fleet, limits),
            "/admin/route/explain": RouteExplainResource(self._fleet, limits),
        }


def all_dialects(settings: Settings) -> tuple[Dialect, ...]:
    """Every client language, made for these limits."""
    most = settings.upstream.max_response_bytes
    return tuple(kind(settings.limits, max_document_bytes=most) for kind in DIALECTS)


@dataclass(frozen=True, slots=True)
class SharedState:
    """What limits and statistics rest on, and how it is opened and closed."""

    table: SlotTable
    book: TallyBook
    servers: ServerBook
    start: Callable[[], None] = lambda: None
    stop: Callable[[], None] = lambda: None


def shared_state(settings: Settings, clock: Clock) -> SharedState:
    """Slots and statistics of this process alone, or of all workers of this host."""
    patience_s = settings.queue.batch_patience_s
    if settings.state.backend == "memory":
        own = MemorySlotTable(clock, batch_patience_s=patience_s)
        tallies = MemoryTallyBook(clock, MODELS_REMEMBERED, counts=own.counts)
        return SharedState(own, tallies, MemoryServerBook())
    store = LocalStore(settings.state.directory or settings.data_dir / "run")
    table = LocalSlotTable(store, clock, batch_patience_s=patience_s)
    book = LocalTallyBook(store, clock, MODELS_REMEMBERED)

    def start() -> None:
        store.start()
        table.start()

    def stop() -> None:
        table.stop()
        store.stop()

    return SharedState(table, book, LocalServerBook(store), start, stop)


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
