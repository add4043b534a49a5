"""Every key of config.yaml: one frozen model per section, checked on load."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Network = IPv4Network | IPv6Network
YEAR_S = 31_536_000
Positive = Annotated[float, Field(gt=0, le=YEAR_S, allow_inf_nan=False)]
MAX_WAITING = 16_384
"""Each place in a queue is a thread of the process."""
AtLeastOne = Annotated[int, Field(ge=1)]
LogLevel = Literal["debug", "info", "warning", "error"]


def split_list(value: Any) -> Any:
    """Accept a YAML list or a comma string; other values are left for the type to refuse."""
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return value


def parse_networks(value: Any) -> Any:
    """Addresses and CIDR ranges, IPv4 and IPv6; host bits may be set (`10.0.0.1/8`)."""
    items = split_list(value)
    if not isinstance(items, list | tuple):
        return items
    return tuple(ip_network(str(item), strict=False) for item in items)


Networks = Annotated[tuple[Network, ...], BeforeValidator(parse_networks)]
Words = Annotated[tuple[str, ...], BeforeValidator(split_list)]


class Section(BaseModel):
    """Frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ServerSettings(Section):
    """The listening socket and gunicorn (`server:`)."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs `auth.enabled: true`."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """TCP port; 0 lets the kernel choose."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Worker processes. Limits are exact with one; see docs/architecture.md before raising it."""
    concurrency: Annotated[int, Field(ge=0, le=MAX_WAITING)] = 0
    """Least number of threads per worker; raised to what slots and queue need."""
    graceful_timeout_s: Positive = 120.0
    """How long a stopping worker lets streams run on, in seconds."""
    keepalive_s: Positive = 75.0
    """How long an idle client connection is kept, in seconds; more than nginx keeps it."""


class UpstreamSettings(Section):
    """The Ollama server behind us (`upstream:`)."""

    url: str = "http://127.0.0.1:11434"
    """Base URL, http or https."""
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
    """Of `context, raw, template, debug_render, cloud_model`: what ordinary users may send."""


class LimitSettings(Section):
    """Sizes of requests (`limits:`)."""

    max_body_bytes: AtLeastOne = 32 * 1024 * 1024
    """Largest request body; images travel as base64 inside it."""
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


class QueueSettings(Section):
    """Limits of each model's queue (`queue:`)."""

    parallel: Literal["auto"] | AtLeastOne = "auto"
    """Requests of one model served at once; `auto`: 4, 2 or 1 by available RAM."""
    max_queue: Annotated[int, Field(ge=0, le=MAX_WAITING)] = 512
    """Requests of one model that may wait; the next gets 503. Ollama's own default is 512."""
    request_timeout_s: Positive = 300.0
    """From arrival to the first byte of the answer, the wait for a slot included, in seconds."""
    stats_enabled: bool = True
    """Whether there is a `/queue/stats`."""


class BanSubstringsSettings(Section):
    """Literal phrases, case-insensitive, over the raw and the normalised text."""

    enabled: bool = True
    """Has no effect while `substrings` is empty."""
    substrings: Words = ()
    """The phrases, each at most 200 characters."""
    match_type: Literal["str", "word"] = "str"
    """`word` asks for a word boundary at both ends."""


class RegexPattern(Section):
    """One operator pattern."""

    name: str
    """What a refusal calls it."""
    pattern: str
    """Python `re` syntax, case-insensitive, checked at load for catastrophic forms."""
    max_length: Annotated[int, Field(ge=1, le=1000)] = 200
    """Longest possible match in characters; streams hold back that much."""


class RegexSettings(Section):
    """Operator patterns."""

    enabled: bool = True
    """Has no effect while `patterns` is empty."""
    patterns: tuple[RegexPattern, ...] = ()
    """The patterns."""


class SecretsSettings(Section):
    """Keys, tokens and passwords, by the detectors of detect-secrets."""

    enabled: bool = True
    """Whether it scans."""


class InvisibleTextSettings(Section):
    """Tag characters, zero-width runs, bidirectional overrides, private use characters."""

    enabled: bool = True
    """Whether it scans."""


class InjectionRulesSettings(Section):
    """Rules against override and prompt-extraction attempts; English; most attacks pass them."""

    enabled: bool = True
    """Whether it scans."""
    action: Literal["block", "flag"] = "block"
    """`flag` lets the text pass and records the hit."""


class TokenLimitSettings(Section):
    """Refuses prompts of more than `limit` tokens, estimated as one token per 4 characters."""

    enabled: bool = False
    """Whether it scans."""
    limit: AtLeastOne = 4000
    """Most tokens."""


class ModelScannerSettings(Section):
    """A scanner that asks a model."""

    enabled: bool | Literal["auto", "optional"] = "auto"
    """`auto` scans if the weights are there, `true` is degraded without them (requests are refused
    while `block_on_error` holds), `optional` is degraded but lets requests pass."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Least score that counts as a hit, between 0 and 1."""
    action: Literal["block", "flag"] = "block"
    """`flag` lets the text pass and records the hit."""
    path: Path | None = None
    """Directory of the weights; null takes the scanner's own below `guard.models.path`."""


class LLMGuardSettings(Section):
    """One scanner of llm-guard, an entry of `guard.llm_guard`; docs/models.md lists them."""

    scanner: str
    """Its name, e.g. `ban_topics`."""
    direction: Literal["input", "output"]
    """What it looks at."""
    name: str = ""
    """What a refusal calls it; empty takes the scanner's name."""
    enabled: bool | Literal["auto", "optional"] = True
    """As of other model scanners."""
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Least score that counts as a hit; null takes llm-guard's own."""
    action: Literal["block", "flag"] = "block"
    """`flag` lets the text pass and records the hit."""
    path: Path | None = None
    """Directory of the weights; null takes the scanner's own below `guard.models.path`."""
    topics: Words = ()
    """Of ban_topics."""
    multi_label: bool | None = None
    """Of ban_topics."""
    languages: Words = ()
    """Of language and code."""
    blocked: bool | None = None
    """Of code."""
    competitors: Words = ()
    """Of ban_competitors."""
    required_elements: Annotated[int, Field(ge=0)] | None = None
    """Of json."""
    max_minutes: Positive | None = None
    """Of reading_time."""


class ModelsSettings(Section):
    """Where models lie and how they run (`guard.models:`)."""

    path: Path = Path("models")
    """One directory per scanner; only local files are read."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where models run; `auto` takes mps, then cuda, then cpu. A device that is absent: cpu."""
    threads: Literal["auto"] | Annotated[int, Field(ge=1, le=64)] = "auto"
    """Windows scored at once; `auto`: one per core and worker. Set 1 on a GPU."""
    timeout_s: Positive = 30.0
    """Longest time for all models of one text, the wait for a thread included, in seconds."""
    max_pending: Annotated[int, Field(ge=1, le=100_000)] = 2048
    """Windows that may wait for a thread; a text that does not fit any more gets 503."""
    max_windows: Annotated[int, Field(ge=1, le=10_000)] = 512
    """Windows of one text; a longer one gets 413, nothing is ever cut off."""


class InputScannersSettings(Section):
    """What looks at prompts (`guard.input_scanners:`)."""

    ban_substrings: BanSubstringsSettings = BanSubstringsSettings()
    regex: RegexSettings = RegexSettings()
    secrets: SecretsSettings = SecretsSettings()
    invisible_text: InvisibleTextSettings = InvisibleTextSettings()
    injection_rules: InjectionRulesSettings = InjectionRulesSettings()
    token_limit: TokenLimitSettings = TokenLimitSettings()
    prompt_injection: ModelScannerSettings = ModelScannerSettings(threshold=0.92)
    toxicity: ModelScannerSettings = ModelScannerSettings()


class OutputScannersSettings(Section):
    """What looks at answers (`guard.output_scanners:`)."""

    ban_substrings: BanSubstringsSettings = BanSubstringsSettings()
    regex: RegexSettings = RegexSettings()
    secrets: SecretsSettings = SecretsSettings(enabled=False)
    invisible_text: InvisibleTextSettings = InvisibleTextSettings()
    toxicity: ModelScannerSettings = ModelScannerSettings()


class GuardSettings(Section):
    """Scanners for both directions (`guard:`)."""

    input_enabled: bool = True
    """Whether prompts are scanned."""
    output_enabled: bool = True
    """Whether answers are scanned."""
    block_on_error: bool = True
    """A scanner that fails refuses the request (503) rather than letting it pass unscanned."""
    output_window_chars: AtLeastOne = 200
    """Most characters of a streamed answer that are gathered before they are scanned."""
    models: ModelsSettings = ModelsSettings()
    llm_guard: tuple[LLMGuardSettings, ...] = ()
    """Further scanners, by llm-guard on local weights."""
    input_scanners: InputScannersSettings = InputScannersSettings()
    output_scanners: OutputScannersSettings = OutputScannersSettings()


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


class Settings(Section):
    """The whole configuration."""

    data_dir: Path = Path("data")
    """Database, locks and run files; created with mode 0700."""
    server: ServerSettings = ServerSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    auth: AuthSettings = AuthSettings()
    access: AccessSettings = AccessSettings()
    limits: LimitSettings = LimitSettings()
    queue: QueueSettings = QueueSettings()
    guard: GuardSettings = GuardSettings()
    cache: CacheSettings = CacheSettings()
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
        return max(self.server.concurrency, self.queue.max_queue + ACTIVE_RESERVE + OWN_RESERVE)

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
"""Threads for requests that hold a slot, all models together."""
OWN_RESERVE = 16
"""Threads that no waiting request may take, so that /health always finds one."""
