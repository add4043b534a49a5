"""The values that travel through a request. All are frozen; what changes is `Exchange`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a principal may do."""

    USER = "user"
    ADMIN = "admin"


class Priority(StrEnum):
    """Class of a request in its model's queue."""

    INTERACTIVE = "interactive"
    """Somebody waits for it; comes before `batch`."""
    BATCH = "batch"
    """Served when nobody else waits, or when it has waited for long."""


class Outcome(StrEnum):
    """How an exchange ended, as seen by the client."""

    COMPLETE = "complete"
    """The whole answer, or a whole refusal, was handed to the client's connection."""
    CLIENT_CLOSED = "client_closed"
    """The client left before the end."""
    UPSTREAM_FAILED = "upstream_failed"
    """The upstream broke before or during its answer."""
    BLOCKED_MID_STREAM = "blocked_mid_stream"
    """The output guard ended an answer that had begun."""
    ABORTED = "aborted"
    """The worker died; written by a survivor or at the next start, never by the exchange itself."""


class AuditState(StrEnum):
    """Where a row of the audit log stands."""

    STARTED = "started"
    FINISHED = "finished"
    ABORTED = "aborted"


class GuardState(StrEnum):
    """What the guard can say about one direction of one exchange; written to the audit log."""

    NOT_SCANNED = "not_scanned"
    """The exchange ended, or needed no scan, before this direction was looked at."""
    OFF = "off"
    """Switched off by configuration, or no scanner is configured for this direction."""
    CLEAN = "clean"
    BLOCKED = "blocked"
    ERROR = "error"
    """A scanner failed. Whether the text passed is told by the response status."""


class TextKind(StrEnum):
    """How the model meets a piece of text."""

    CONTENT = "content"
    """Running text of the prompt: scanned alone and joined with its neighbours."""
    FIELD = "field"
    """Any other decoded string, keys included: scanned alone."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking. `user_id` is None only where authentication is switched off."""

    username: str
    role: Role
    user_id: int | None = None
    token_id: str | None = None
    priority: Priority | None = None
    """Class that the token was made for; None leaves it to the settings and the request."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """One decoded string of a request and where it stood, e.g. `messages[0].content`."""

    where: str
    text: str
    kind: TextKind = TextKind.FIELD


@dataclass(frozen=True, slots=True)
class Upload:
    """A body of any size, passed on piece by piece and never read."""

    chunks: Iterator[bytes]
    length: int | None
    """In bytes, as the client declared it; None for a chunked one."""


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """A parsed request, ready to be scanned and sent. Built by a dialect from one strict parse."""

    dialect: str
    operation: str
    """Name of the dialect's operation, e.g. `chat`."""
    method: str
    upstream_path: str
    """Path from our own table, never the client's bytes."""
    body: bytes = b""
    """A fresh serialisation of the checked document; what is scanned is what is sent."""
    model: str = ""
    """Canonical model name (see `canonical_model`); empty where the operation names no model."""
    stream: bool = False
    """The answer is a stream of events rather than one document."""
    scanned: bool = True
    """The guard looks at both directions."""
    queued: bool = True
    """The request takes one of the model's slots."""
    managed: bool = False
    """It changes what is installed: for administrators, and those they allow. It may take hours."""
    upload: Upload | None = field(default=None, repr=False, compare=False)
    """The body, where it is a file; `body` is empty then."""
    texts: tuple[TextPart, ...] = ()
    unscanned: tuple[str, ...] = ()
    """Kinds of content no text scanner can read that are present, e.g. `images`; audited."""
    restricted: tuple[str, ...] = ()
    """Fields that blind the guard (`raw`, `template`, ...); refused for ordinary users."""
    priority: Priority | None = None
    """Class in the queue that the client asks for."""
    server: str | None = None
    """The server that an administrator asks for; None leaves it to the rules."""
    vault: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Placeholder -> what it stands for, of this request alone; put back into the answer."""


@dataclass(frozen=True, slots=True)
class ScannerResult:
    """What one scanner said of one text."""

    scanner: str
    passed: bool
    score: float = 0.0
    """Risk between 0 and 1; rule scanners say 0 or 1."""
    reason: str = ""
    """What was hit, in words that never repeat the scanned text (a rule's name, a class)."""
    error: bool = False
    """The scanner failed; `passed` is then False and means nothing."""
    redacted: int = 0
    """Pieces it took out of the text."""
    elapsed_ms: float | None = None
    """Time it took; None where nobody asked the clock."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guard said of one direction of one exchange."""

    state: GuardState
    results: tuple[ScannerResult, ...] = ()
    unscanned: tuple[str, ...] = ()
    """Kinds of content that no scanner could read, e.g. `images`."""
    cached: bool = False
    """Given earlier to the same text under the same scanners; nothing was scanned now."""
    configuration: str = ""
    """Id of the scanners with their settings and models; empty where none looked."""

    @property
    def failed(self) -> tuple[ScannerResult, ...]:
        """The results that did not pass, in scan order."""
        return tuple(result for result in self.results if not result.passed)

    @property
    def flagged(self) -> tuple[ScannerResult, ...]:
        """Hits that were recorded and let through."""
        return tuple(
            result
            for result in self.results
            if result.passed and result.reason and not result.redacted
        )

    @property
    def redacted(self) -> tuple[ScannerResult, ...]:
        """The scanners that took something out of the text."""
        return tuple(result for result in self.results if result.redacted)

    def summary(self) -> str:
        """Text for the audit log: `clean`, `blocked:ban_substrings`, `error:secrets`, `off`.

        Notes follow a semicolon: `clean;cached;flagged:injection_rules;unscanned:images`.
        """
        names = ",".join(result.scanner for result in self.failed)
        notes = [f"{self.state}:{names}" if names else str(self.state)]
        if self.cached:
            notes.append("cached")
        if self.flagged:
            notes.append("flagged:" + ",".join(result.scanner for result in self.flagged))
        if self.redacted:
            notes.append("redacted:" + ",".join(result.scanner for result in self.redacted))
        if self.unscanned:
            notes.append("unscanned:" + ",".join(self.unscanned))
        return ";".join(notes)


@dataclass(frozen=True, slots=True)
class Route:
    """One upstream server that may serve a request."""

    name: str
    url: str
    """Base URL without a trailing slash, e.g. `http://127.0.0.1:11434`."""


@dataclass(frozen=True, slots=True)
class UpstreamResponse:
    """The head of an upstream's answer, its first byte in hand, and the rest as an iterator.

    `chunks` yields the bytes as the upstream sent them, decoded from their transfer coding only. It
    raises `UpstreamError` when the upstream breaks off and `ClientGoneError` when the client left.
    """

    status: int
    headers: Mapping[str, str]
    """Only what may be passed on (see `upstream.client.PASSED_HEADERS`), lower-case names."""
    chunks: Iterator[bytes]
    streamed: bool = False
    """The upstream answered in chunks of unknown number, i.e. not with one sized document."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the upstream counted them; None where it did not say."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one request was served, from the moment it had its slot."""

    first_byte_ms: float
    held_ms: float
    """Until the answer's end."""
    completion_tokens: int
    """As the upstream counted them."""


@dataclass(frozen=True, slots=True)
class AnswerEvent:
    """A piece of an answer that is sent whole or not at all, and the text in it.

    Joined in order, the `raw` of all events that a dialect has cut is the answer byte for byte. The
    guard changes it where it takes something out or puts something back.
    """

    raw: bytes
    texts: tuple[tuple[str, str], ...] = ()
    """(channel, text) pairs; a channel is text read as one, e.g. `message.content`."""
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the edge sends to the client: either a whole `body` or `chunks`, never both."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    chunks: Iterator[bytes] | None = None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One row of `request_logs` as the exchange knows it. Never holds prompt or answer text."""

    request_id: str
    http_method: str
    path: str
    created_at: float
    """Unix time in seconds."""
    row_id: int | None = None
    """None until the row is committed."""
    user_id: int | None = None
    username: str | None = None
    token_id: str | None = None
    client_ip: str | None = None
    dialect: str | None = None
    model: str | None = None
    server_used: str | None = None
    outcome: Outcome | None = None
    response_status: int | None = None
    queue_wait_ms: float | None = None
    first_byte_ms: float | None = None
    response_time_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    guard_input: str = GuardState.NOT_SCANNED
    guard_output: str = GuardState.NOT_SCANNED
    error_code: str | None = None
    error_message: str | None = None
    finished_at: float | None = None
    """Unix time in seconds."""
    guard_input_details: str | None = None
    """JSON: which scanners looked at the prompt, under which configuration, what each said."""
    guard_output_details: str | None = None
    """The same of the answer."""


def canonical_model(name: str) -> str:
    """One spelling for one model, so that another spelling is no way around its limits.

    Ollama adds `registry.ollama.ai/library/` and `:latest` to short names and finds installed
    models whatever their case (`types/model.ParseName`, `server.getExistingName`). The short form
    is kept here, as its own listings and documents use it.
    """
    short = name.lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return short.removesuffix(":latest")
