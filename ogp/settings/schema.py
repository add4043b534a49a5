"""Every key of config.yaml: one frozen model per section, checked on load."""

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ogp.settings.guard_schema import GuardSettings
from ogp.settings.queue_schema import QueueSettings
from ogp.settings.routing_schema import RoutingSettings, ServerEntry
from ogp.settings.section import (
    MAX_WAITING,
    AtLeastOne,
    Networks,
    Positive,
    Section,
    Words,
)

DEFAULT_URL = "http://127.0.0.1:11434"
LogLevel = Literal["debug", "info", "warning", "error"]


class ServerSettings(Section):
    """The listening socket and gunicorn (`server:`)."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs `auth.enabled: true`."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """TCP port; 0 lets the kernel choose."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Worker processes; they share queues (`state.backend`). See docs/architecture.md first."""
    concurrency: Annotated[int, Field(ge=0, le=MAX_WAITING)] = 0
    """Least number of threads per worker; raised to what slots and queue need."""
    graceful_timeout_s: Positive = 120.0
    """How long a stopping worker lets streams run on, in seconds."""
    keepalive_s: Positive = 75.0
    """How long an idle client connection is kept, in seconds; more than nginx keeps it."""


class UpstreamSettings(Section):
    """The Ollama servers behind us, or the only one (`upstream:`)."""

    url: str = DEFAULT_URL
    """Base URL of the only server, http or https; several stand under `servers`."""
    connect_timeout_s: Positive = 3.0
    """Longest wait for a connection, in seconds."""
    idle_timeout_s: Positive = 300.0
    """Longest gap between two bytes of a running answer, in seconds."""
    max_response_bytes: AtLeastOne = 64 * 1024 * 1024
    """Largest answer that is not streamed; a larger one is refused with 502."""
    health_interval_s: Positive = 10.0
    """Seconds between two background probes."""

    @model_validator(mode="after")
    def _http_only(self) -> "UpstreamSettings":
        scheme, _, rest = self.url.partition("://")
        if scheme not in ("http", "https") or not rest.strip("/"):
            raise ValueError("url must look like http://HOST:PORT")
        return self


class AuthSettings(Section):
    """Tokens (`auth:`)."""

    enabled: bool = True
    """False lets everyone in as one local user; allowed on loopback only."""
    bcrypt_cost: Annotated[int, Field(ge=4, le=14)] = 6
    """Work factor of new token hashes. Secrets carry 178 random bits, so a low one is enough."""
    cache_s: Positive = 60.0
    """How long a verified token needs no new hash, in seconds; revocation is seen at once."""


class AccessSettings(Section):
    """Who may connect at all (`access:`)."""

    ip_filter_enabled: bool = False
    """Whether `ip_allow` and `ip_deny` are looked at."""
    ip_allow: Networks = ()
    """Addresses and networks let in; empty lets in all that are not denied."""
    ip_deny: Networks = ()
    """Addresses and networks kept out; wins over `ip_allow`."""
    trusted_proxies: Networks = (ip_network("127.0.0.1/32"), ip_network("::1/128"))
    """Peers whose `X-Forwarded-For` is believed."""
    public_paths: Words = ()
    """Own endpoints that answer without a token, e.g. `/queue/stats`; never /api, /v1, /admin."""
    allow_restricted_fields: Words = ()
    """Of `context, raw, template, debug_render, cloud_model, web_search, mcp_servers, audio,
    documents`: what ordinary users may send."""
    allow_model_management: Words = ()
    """Users that may pull, push, create, copy and delete models as administrators may."""
    cors_allow_origins: Words = ()
    """Origins whose pages may call us from a browser, e.g. https://chat.example.org; * is a
    wildcard."""


class LimitSettings(Section):
    """Sizes of requests (`limits:`)."""

    max_body_bytes: AtLeastOne = 32 * 1024 * 1024
    """Largest request body; images travel as base64 inside it."""
    max_upload_bytes: AtLeastOne = 1024**4
    """Largest file of a model that an administrator may send (`/api/blobs`)."""
    max_prompt_chars: AtLeastOne = 100_000
    """Most characters of text in one request, images not counted."""
    max_messages: AtLeastOne = 100
    """Most messages in one chat request."""
    max_message_chars: AtLeastOne = 50_000
    """Most characters in one string of a message."""
    body_timeout_s: Positive = 30.0
    """Longest time a client may take to send its body, in seconds."""
    write_timeout_s: Positive = 60.0
    """Longest time a client may take to accept one piece of its answer, in seconds."""


class CacheSettings(Section):
    """Verdicts that are remembered, so that a text seen before is not scanned again (`cache:`)."""

    enabled: bool = True
    """Whether verdicts are remembered; errors never are."""
    backend: Literal["auto", "memory", "redis"] = "auto"
    """`auto` is `memory`, each worker for itself; `redis` is not built yet and means `memory`."""
    ttl_s: Positive = 3600.0
    """How long a verdict counts, in seconds from the scan."""
    max_entries: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Most verdicts; the one unused for longest makes room."""
    max_bytes: AtLeastOne = 16 * 1024 * 1024
    """Most memory for them, in bytes, estimated; a verdict takes about 1 KB and holds no text."""


class AuditSettings(Section):
    """The request log (`audit:`)."""

    durability: Literal["normal", "full"] = "normal"
    """`normal` survives kill -9 of everything, `full` also a power cut; SQLite `synchronous`."""
    on_failure: Literal["refuse", "continue"] = "refuse"
    """`refuse` answers 503 when the row cannot be committed; `continue` counts and goes on."""
    commit_timeout_s: Positive = 5.0
    """Longest wait for a row's commit, in seconds."""
    max_pending: AtLeastOne = 10_000
    """Rows that may wait for the writer; beyond that the log counts as unavailable."""


class LoggingSettings(Section):
    """Log lines (`logging:`)."""

    level: LogLevel = "info"
    """Least severe level written."""
    file: Path | None = Path("logs/ollama_guard_proxy.log")
    """JSON lines, relative to the working directory; null writes to standard output only."""
    access_log: bool = False
    """One line per finished request."""


class StateSettings(Section):
    """Where limits and counters are kept that several workers share (`state:`)."""

    backend: Literal["auto", "memory", "local"] = "auto"
    """`local` is exact over all workers of this host, also while they are replaced; `memory`
    counts in each worker alone; `auto` is `local`."""
    directory: Path | None = None
    """Its files, best in memory (/run, /dev/shm); null takes `run` below `data_dir`."""


class Settings(Section):
    """The whole configuration."""

    data_dir: Path = Path("data")
    """Database, locks and run files; created with mode 0700."""
    servers: Mapping[str, ServerEntry] = {}
    """Ollama servers by name; empty: the one of `upstream.url`."""
    server: ServerSettings = ServerSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    routing: RoutingSettings = RoutingSettings()
    auth: AuthSettings = AuthSettings()
    access: AccessSettings = AccessSettings()
    limits: LimitSettings = LimitSettings()
    queue: QueueSettings = QueueSettings()
    guard: GuardSettings = GuardSettings()
    cache: CacheSettings = CacheSettings()
    state: StateSettings = StateSettings()
    audit: AuditSettings = AuditSettings()
    logging: LoggingSettings = LoggingSettings()

    @property
    def database_path(self) -> Path:
        """The SQLite file of tokens and request log."""
        return self.data_dir / "ogp.db"

    @property
    def threads(self) -> int:
        """Threads per worker: what may wait, what may run, and a reserve for own endpoints.

        A waiting request occupies a thread (about 30 KiB), so fewer would queue unseen in gunicorn.
        """
        queue = self.queue
        longest = max([queue.max_queue, *(entry.max_queue or 0 for entry in queue.models)])
        return max(self.server.concurrency, longest + self.running_places + OWN_RESERVE)

    @property
    def running_places(self) -> int:
        """Threads per worker for requests that hold a slot, all models together."""
        queue = self.queue
        configured = (queue.parallel, *(entry.parallel for entry in queue.models))
        numbers = [number for number in configured if isinstance(number, int)]
        return max([ACTIVE_RESERVE, *numbers])

    @property
    def waiting_places(self) -> int:
        """Threads per worker for requests that wait, all models together."""
        return self.threads - self.running_places - OWN_RESERVE

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> "Settings":
        loopback = self.server.host in ("localhost", "::1") or self.server.host.startswith("127.")
        if not self.auth.enabled and not loopback:
            raise ValueError(
                f"auth.enabled is false and server.host is {self.server.host!r}: "
                "without tokens the proxy listens on loopback only; "
                "set auth.enabled: true or server.host: 127.0.0.1"
            )
        return self


ACTIVE_RESERVE = 112
"""Threads for requests that hold a slot, all models together, unless one model may hold more."""
OWN_RESERVE = 16
"""Threads that no waiting request may take, so that /health always finds one."""
