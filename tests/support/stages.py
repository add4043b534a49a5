"""Stand-ins for the stages, for tests of one part of the spine or the edge."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ogp.core.clock import SystemClock
from ogp.core.errors import GatewayError
from ogp.core.exchange import Cancellation, Exchange
from ogp.core.ports import Report
from ogp.core.types import (
    AnswerEvent,
    AuditRecord,
    GuardState,
    InferenceRequest,
    Route,
    UpstreamResponse,
    Verdict,
)

ROUTE = Route("lab", "http://127.0.0.1:1")


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


class NoWatch:
    """Watches nothing."""

    @contextmanager
    def watch(self, client: object | None, cancellation: Cancellation) -> Iterator[None]:
        yield


class Stages:
    """Every stage of the gateway; each notes when it was passed and may be told to refuse."""

    def __init__(
        self,
        chunks: Sequence[bytes] = (b"answer",),
        *,
        streamed: bool = False,
        status: int = 200,
        refuse: dict[str, Exception] | None = None,
    ) -> None:
        self.passed: list[str] = []
        self.given_back: list[str] = []
        self._chunks, self._streamed, self._status = chunks, streamed, status
        self._refuse = refuse or {}

    def _pass(self, stage: str) -> None:
        self.passed.append(stage)
        if stage in self._refuse:
            raise self._refuse[stage]

    def candidates(self, model: str) -> Sequence[Route]:
        self._pass("candidates")
        return (ROUTE,)

    @contextmanager
    def lease(self, candidates: Sequence[Route]) -> Iterator[Route]:
        self._pass("lease")
        yield candidates[0]
        self.given_back.append("lease")

    def scan(self, request: InferenceRequest, report: Report) -> None:
        report(Verdict(GuardState.CLEAN))
        self._pass("input guard")

    @contextmanager
    def slot(
        self, model: str, *, timeout_s: float, cancellation: Cancellation, user: str = ""
    ) -> Iterator[float]:
        self._pass(f"slot of {user}")
        yield 0.25
        self.given_back.append("slot")

    def begin(self, record: AuditRecord) -> AuditRecord:
        self._pass("audit")
        return replace(record, row_id=1)

    def finish(self, record: AuditRecord, *, wait: bool) -> None:
        self._pass("audit finish")

    @contextmanager
    def send(
        self, request: InferenceRequest, route: Route, exchange: Exchange
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

    def reads(self, request: InferenceRequest) -> bool:
        return True

    def filter(
        self, request: InferenceRequest, events: Iterator[AnswerEvent], report: Report
    ) -> Iterator[AnswerEvent]:
        self._pass("output guard")
        yield from events
        report(Verdict(GuardState.CLEAN))
