"""Stand-ins for the stages, for tests of one part of the spine or the edge."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ogp.core.clock import SystemClock
from ogp.core.errors import GatewayError
from ogp.core.exchange import Cancellation, Exchange
from ogp.core.ports import Report, TextRewriter
from ogp.core.types import (
    AnswerEvent,
    AuditRecord,
    GuardState,
    InferenceRequest,
    Pace,
    Principal,
    Role,
    Route,
    UpstreamResponse,
    Verdict,
)

ROUTE = Route("lab", "http://127.0.0.1:1")
ALICE = Principal("alice", Role.USER)


def make_exchange(timeout_s: float = 5.0) -> Exchange:
    return Exchange(
        request_id="r1", method="POST", path="/api/chat", clock=SystemClock(), timeout_s=timeout_s
    )


class RecordingAudit:
    """Keeps what it is told, in order."""

    def __init__(self, fails_with: GatewayError | None = None) -> None:
        self.begun: list[AuditRecord] = []
        self.finished: list[tuple[AuditRecord, bool]] = []
        self._fails_with = fails_with

    def begin(self, record: AuditRecord) -> AuditRecord:
        if self._fails_with is not None:
            raise self._fails_with
        self.begun.append(record)
        return replace(record, row_id=len(self.begun))

    def finish(self, record: AuditRecord, *, wait: bool) -> None:
        self.finished.append((record, wait))


class NoRewriter:
    """For tests in which no text may change."""

    def with_texts(
        self, request: InferenceRequest, replacements: Mapping[str, str]
    ) -> InferenceRequest:
        raise AssertionError("no text of the request may change")

    def with_answer_texts(
        self, event: AnswerEvent, texts: Sequence[tuple[str, str]]
    ) -> AnswerEvent:
        raise AssertionError("no text of the answer may change")


class NoWatch:
    """Watches nothing."""

    @contextmanager
    def watch(self, client: object | None, cancellation: Cancellation) -> Iterator[None]:
        yield


class FixedLease:
    """The one server."""

    route, told, has_spare = ROUTE, 'server="lab"', False

    def failed(self, error: GatewayError) -> None:
        raise error

    def answered(self) -> None:
        pass


class FixedTurn:
    """Has its slot after so many waits, a quarter of a second after it was asked for."""

    waited_s = 0.25

    def __init__(self, waits: int, refusal: Exception | None) -> None:
        self._waits, self._refusal = waits, refusal

    def wait(self, at_most_s: float | None = None) -> bool:
        if at_most_s is not None and self._waits:
            self._waits -= 1
            return False
        if self._refusal is not None:
            raise self._refusal
        return True


class Stages:
    """Every stage of the gateway; each notes when it was passed and may be told to refuse."""

    def __init__(
        self,
        chunks: Sequence[bytes] = (b"answer",),
        *,
        streamed: bool = False,
        status: int = 200,
        refuse: dict[str, Exception] | None = None,
        waits: int = 0,
    ) -> None:
        self.observed: list[tuple[str, Pace | None]] = []
        self._waits = waits
        self.passed: list[str] = []
        self.given_back: list[str] = []
        self._chunks, self._streamed, self._status = chunks, streamed, status
        self._refuse = refuse or {}

    def _pass(self, stage: str) -> None:
        self.passed.append(stage)
        if stage in self._refuse:
            raise self._refuse[stage]

    def candidates(self, request: InferenceRequest) -> Sequence[Route]:
        self._pass("candidates")
        return (ROUTE,)

    @contextmanager
    def lease(self, request: InferenceRequest) -> Iterator[FixedLease]:
        self._pass("lease")
        yield FixedLease()
        self.given_back.append("lease")

    def scan(
        self,
        request: InferenceRequest,
        principal: Principal,
        rewriter: TextRewriter,
        report: Report,
    ) -> InferenceRequest:
        report(Verdict(GuardState.CLEAN))
        self._pass("input guard")
        return request

    @contextmanager
    def turn(
        self,
        request: InferenceRequest,
        principal: Principal,
        *,
        request_id: str,
        timeout_s: float,
        cancellation: Cancellation,
    ) -> Iterator["FixedTurn"]:
        self._pass(f"slot of {principal.username}")
        yield FixedTurn(self._waits, self._refuse.get("wait"))
        self.given_back.append("slot")

    def observe(self, model: str, pace: Pace | None) -> None:
        self.observed.append((model, pace))

    def begin(self, record: AuditRecord) -> AuditRecord:
        self._pass("audit")
        return replace(record, row_id=1)

    def finish(self, record: AuditRecord, *, wait: bool) -> None:
        self._pass("audit finish")

    @contextmanager
    def send(
        self,
        request: InferenceRequest,
        route: Route,
        exchange: Exchange,
        *,
        has_spare: bool = False,
    ) -> Iterator[UpstreamResponse]:
        self._pass("send")
        yield UpstreamResponse(
            self._status,
            {"content-type": "application/x-ndjson"},
            self._answer(),
            streamed=self._streamed,
        )
        self.given_back.append("connection")

    def _answer(self) -> Iterator[bytes]:
        yield from self._chunks
        self._pass("end of answer")

    def reads(self, request: InferenceRequest, principal: Principal) -> bool:
        return True

    def filter(
        self,
        request: InferenceRequest,
        principal: Principal,
        rewriter: TextRewriter,
        events: Iterator[AnswerEvent],
        report: Report,
    ) -> Iterator[AnswerEvent]:
        self._pass("output guard")
        yield from events
        report(Verdict(GuardState.CLEAN))
