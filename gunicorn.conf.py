"""What gunicorn takes from our settings. It reads this file at start and again at SIGHUP.

At start a bad configuration ends it with a list of the mistakes. At SIGHUP an exception here would
end the service, so that a bad file is reported and the last good one stays (`ogp.settings.reload`).

The master imports the application's code, without running any: workers share its memory and come
up at once after a crash. New code is therefore seen by a restart, not by SIGHUP.
"""

import os
import signal
import socket
import sys
from contextlib import suppress
from math import ceil, inf
from pathlib import Path
from time import monotonic

import structlog
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http import wsgi
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import TConn, ThreadWorker

from ogp.assembly import check
from ogp.cli.options import config_path
from ogp.settings.load import Loaded, load_settings
from ogp.settings.problems import SettingsError
from ogp.settings.reload import effective_config
from ogp.storage.migrate import is_current
from ogp.telemetry.logs import configure_logging
from ogp.wsgi import SNAPSHOT_VARIABLE

URL_FILE_VARIABLE = "OGP_URL_FILE"
"""Names a file that `run_proxy.sh` waits for; it gets the address once the socket is open."""
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what to dial instead
LINGER_S, LINGER_BYTES = 2.0, 65_536
"""How long a client may take to close its end, and what it may still send; as gunicorn has it."""
REFUSE_BEFORE_S = 2.0
"""So long before its graceful time ends, a stopping worker answers those who still wait."""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

log = structlog.get_logger("gunicorn.conf")


def load() -> Loaded:
    """The settings to run with from now on; workers find them through the environment."""
    path = config_path(None)
    snapshot = Path(os.environ.get(SNAPSHOT_VARIABLE, ""))
    if snapshot.name == snapshot_name():
        return reloaded(path, snapshot)
    try:
        settings = load_settings(path, environ=os.environ, flags={}).settings
        snapshot = (settings.data_dir / "run" / snapshot_name()).resolve()
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        snapshot.unlink(missing_ok=True)
        os.environ[SNAPSHOT_VARIABLE] = str(snapshot)
        return effective_config(path, snapshot, environ=os.environ, flags={}, log=log, accept=check)
    except (SettingsError, OSError) as error:
        sys.exit(f"The configuration cannot be used:\n{error}")


def snapshot_name() -> str:
    """One for each service that shares the data directory; tells a reload from a start as well."""
    return f"config-{os.getpid()}.yaml"


def reloaded(path: Path | None, snapshot: Path) -> Loaded:
    """What holds after SIGHUP."""
    try:
        return effective_config(path, snapshot, environ=os.environ, flags={}, log=log, accept=check)
    except OSError as error:  # the disk is full: the new file is good but cannot be handed on
        log.error("configuration cannot be kept, the last one stays", error=type(error).__name__)
        return load_settings(snapshot, environ=os.environ, flags={})


class QuietLogger(Logger):
    """gunicorn's own lines join our log; no line per request, as the audit log has them all."""

    def setup(self, cfg: Config) -> None:
        """Hand everything to the root logger, which `configure_logging` set up."""
        self.cfg = cfg
        self._access_log_enabled = False
        self.loglevel = self.LOG_LEVELS[cfg.loglevel]
        self.error_log.handlers = []
        self.error_log.propagate = True
        self.error_log.setLevel(self.loglevel)


class PoliteWorker(ThreadWorker):
    """Waits for clients to close in the thread of their request, and cuts off nobody who waits.

    gunicorn waits in its main thread: a client that keeps its end of a finished connection open
    would stop the worker from accepting others for two seconds, and the next one for two more.
    """

    refuse_at: float | None = None
    """Monotonic time at which a stopping worker refuses who waits; None while it runs."""

    def wait_for_and_dispatch_events(self, timeout: float | None) -> None:
        """One round of the main loop; they come every second, also in a worker that stops."""
        super().wait_for_and_dispatch_events(timeout)
        if self.alive:
            return
        if self.refuse_at is None:
            self.refuse_at = monotonic() + self.cfg.graceful_timeout - REFUSE_BEFORE_S
        if monotonic() >= self.refuse_at:
            self.refuse_at = inf
            self.wsgi.refuse_waiting()

    def handle(self, conn: TConn) -> bool:
        """Serve one request; a connection that is not kept is at its end when this returns."""
        kept = super().handle(conn)
        if not kept:
            linger(conn.sock)
        return kept


def linger(connection: socket.socket) -> None:
    """Say that no more comes, and read what the client still sends, until it closes its end.

    To close at once would make the kernel reset the connection, and the client lose the answer.
    """
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        deadline, left = monotonic() + LINGER_S, LINGER_BYTES
        while left > 0 and (left_s := deadline - monotonic()) > 0:
            connection.settimeout(left_s)
            piece = connection.recv(min(left, 4096))
            if not piece:
                break
            left -= len(piece)
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)  # so that gunicorn finds nothing to wait for


def check_and_tell(arbiter: Arbiter) -> None:
    """Refuse to start where `ogp setup` has not been."""
    if not is_current(settings.database_path):
        sys.exit(f"{settings.database_path} is not set up for this version: run `ogp setup` first")
    tell_consequences(arbiter)


def tell_consequences(arbiter: Arbiter) -> None:
    """Say what follows from the settings and may surprise."""
    server = settings.server
    if server.workers > 1 and settings.state.backend == "memory":
        arbiter.log.warning(
            "state.backend is memory: slots, queues and their figures count in each of %s workers "
            "by itself, so the upstream may see %s times as many requests at once; "
            "state.backend local shares them",
            server.workers,
            server.workers,
        )
    if 0 < server.concurrency < settings.threads:
        arbiter.log.info(
            "threads per worker raised from %s to %s, so that whoever waits in a queue has one",
            server.concurrency,
            settings.threads,
        )


def tell_address(arbiter: Arbiter) -> None:
    """Say where clients reach us; the port may have been chosen by the kernel."""
    host, port = arbiter.LISTENERS[0].sock.getsockname()[:2]
    host = ANY_ADDRESS.get(host, host)
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    sys.stdout.write(f"Ollama Guard Proxy listens on {url}\n")
    sys.stdout.flush()
    file = os.environ.get(URL_FILE_VARIABLE)
    if file:
        Path(file).write_text(f"{url}\n", encoding="utf-8")


def after_fork(arbiter: Arbiter, worker: Worker) -> None:
    """With --reload, a new worker takes the code from the files and not from the master."""
    # Until the worker installs its own handlers, signals end up in its copy of this queue.
    worker.early_signals = arbiter.SIG_QUEUE
    if worker.cfg.reload:
        for name in [name for name in sys.modules if name.partition(".")[0] == "ogp"]:
            del sys.modules[name]


def obey_early_signals(worker: Worker) -> None:
    """A stop that came while the worker was starting must not be lost.

    The master says it once: it would wait for the whole graceful timeout, then kill the worker.
    """
    while not worker.early_signals.empty():
        if worker.early_signals.get() in STOP_SIGNALS:
            os.kill(os.getpid(), signal.SIGTERM)


def stop_application(_arbiter: Arbiter, worker: Worker) -> None:
    """Give back what the worker's application holds, and write its audit log to the end."""
    # The master also calls this, for workers it finds gone.
    if worker.pid == os.getpid() and hasattr(worker, "wsgi"):
        worker.wsgi.stop()


def forget_snapshot(_arbiter: Arbiter) -> None:
    """The last act of the master."""
    Path(os.environ[SNAPSHOT_VARIABLE]).unlink(missing_ok=True)


loaded = load()
settings = loaded.settings
configure_logging(settings.logging)
wsgi.SERVER = "Ollama-Guard-Proxy"  # type: ignore[misc]  # the `Server` header has no setting

wsgi_app = "ogp.wsgi:create_app()"
proc_name = "ollama-guard-proxy"
bind = (
    f"[{settings.server.host}]:{settings.server.port}"
    if ":" in settings.server.host
    else f"{settings.server.host}:{settings.server.port}"
)
worker_class = PoliteWorker
workers = settings.server.workers
threads = settings.threads
worker_connections = 2 * threads + 64
"""Must exceed the threads, else gunicorn closes every connection after one answer."""
timeout = 60
"""Seconds without a sign of life from a worker's main loop; no limit for requests."""
graceful_timeout = ceil(settings.server.graceful_timeout_s)
keepalive = ceil(settings.server.keepalive_s)
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - heartbeats
preload_app = False
"""A fork after scanners have started threads would copy their locks."""
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 16384
header_map = "refuse"
"""`X_Forwarded_For` is refused, as it would come out under the same name as `X-Forwarded-For`."""
forwarder_headers = ""
forwarded_allow_ips = "127.0.0.1,::1"
control_socket_disable = True
accesslog = None
loglevel = settings.logging.level
logger_class = QuietLogger
on_starting = check_and_tell
on_reload = tell_consequences
when_ready = tell_address
post_fork = after_fork
post_worker_init = obey_early_signals
worker_exit = stop_application
on_exit = forget_snapshot
