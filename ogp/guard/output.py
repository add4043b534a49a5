"""Answers: held back until scanned, then passed on in their order."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from ogp.core.errors import UpstreamError
from ogp.core.ports import Report, TextRewriter
from ogp.core.types import AnswerEvent, GuardState, InferenceRequest, Principal, Verdict
from ogp.guard.base import Finding, Scanner, ViewKind, redactors_of
from ogp.guard.cache import VerdictCache
from ogp.guard.hold import HeldAnswer, Policy
from ogp.guard.normalise import Normaliser
from ogp.guard.redaction import noted
from ogp.guard.rewriting import AnswerRewriter, RedactingEditor, RestoringEditor
from ogp.guard.scanners import OUTPUT_NAMES, describe, output_scanners
from ogp.guard.tally import Tally
from ogp.guard.vault import Placeholders
from ogp.settings.guard_schema import GuardSettings


class Stage(Protocol):
    """Something that events pass through, one after another. For one thread."""

    def push(self, event: AnswerEvent) -> list[AnswerEvent]:
        """Take an event; what may leave now."""
        ...

    def finish(self) -> list[AnswerEvent]:
        """Nothing follows; what is left."""
        ...


class AnswerGuard:
    """The `OutputGuard` of the builtin scanners. Immutable, hence thread-safe."""

    def __init__(
        self,
        scanners: Sequence[Scanner],
        normaliser: Normaliser,
        *,
        block_on_error: bool,
        window_chars: int,
        cache: VerdictCache | None = None,
    ) -> None:
        """Keep what every answer needs.

        Args:
            scanners: in the order they are asked.
            normaliser: makes the second view.
            block_on_error: a scanner that fails ends the answer.
            window_chars: most characters that are gathered before they are scanned.
            cache: knows clean answers that were not streamed; None scans every answer.
        """
        reads_normal = any(ViewKind.NORMALISED in scanner.reads for scanner in scanners)
        self._redactors = redactors_of(scanners)
        self._policy = Policy(
            tuple(scanners),
            normaliser if reads_normal else None,
            block_on_error,
            window_chars,
            cache,
        )

    def reads(
        self,
        request: InferenceRequest,
        principal: Principal,  # noqa: ARG002 - all are alike to it
    ) -> bool:
        """Whether any scanner looks at this answer, or words come back in it."""
        return request.scanned and bool(self._policy.scanners or request.vault)

    def filter(
        self,
        request: InferenceRequest,
        principal: Principal,
        rewriter: TextRewriter,
        events: Iterator[AnswerEvent],
        report: Report,
    ) -> Iterator[AnswerEvent]:
        """Take out, scan what is left, put back; see `OutputGuard.filter`.

        When the upstream breaks off, what came and is clean is passed on before its error.
        """
        if not self.reads(request, principal) or not self._policy.scanners:
            report(Verdict(GuardState.OFF if request.scanned else GuardState.NOT_SCANNED))
            yield from self._restored(events, request, rewriter)
            return
        taken_out: Counter[str] = Counter()
        answer = HeldAnswer(self._policy, request, partial(_report_all, report, taken_out))
        if self._redactors:
            stage = self._redaction(answer, taken_out, rewriter, streamed=request.stream)
            events = _through(stage, events)
        try:
            yield from self._restored(_through(answer, events), request, rewriter)
        finally:
            answer.report_once()  # the client may leave at any `yield`

    def describe(self) -> Mapping[str, Mapping[str, int | str]]:
        """The scanners of answers for `/health`."""
        return describe(self._policy.scanners, OUTPUT_NAMES, "output")

    def _redaction(
        self,
        answer: HeldAnswer,
        taken_out: Counter[str],
        rewriter: TextRewriter,
        *,
        streamed: bool,
    ) -> AnswerRewriter:
        def refuse(_: AnswerEvent, scanner: str) -> AnswerEvent:
            answer.refuse(scanner, Finding("where it cannot be taken out"))

        window_chars = self._policy.window_chars
        hold_chars = max(redactor.hold_chars for redactor in self._redactors)
        return AnswerRewriter(
            partial(RedactingEditor, self._redactors, window_chars, taken_out),
            rewriter,
            refuse,
            streamed=streamed,
            patience_chars=window_chars + hold_chars,
        )

    def _restored(
        self, events: Iterator[AnswerEvent], request: InferenceRequest, rewriter: TextRewriter
    ) -> Iterator[AnswerEvent]:
        """Words of the client's own come back last: nobody scans or keeps them."""
        if not request.vault:
            return events
        placeholders = Placeholders(request.vault)
        stage = AnswerRewriter(
            partial(RestoringEditor, placeholders),
            rewriter,
            lambda event, _: event,
            streamed=request.stream,
            patience_chars=placeholders.max_chars,
        )
        return _through(stage, events)


def build_output_guard(
    settings: GuardSettings, cache: VerdictCache | None = None, models: Sequence[Scanner] = ()
) -> AnswerGuard:
    """The guard for answers.

    Args:
        settings: which scanners, and what their hits do.
        cache: remembers clean ones that are not streamed.
        models: scanners that are asked last, as they are slow.

    Raises:
        ValueError: a phrase or pattern cannot be used; names it and says what would be right.
    """
    normaliser = Normaliser()
    return AnswerGuard(
        (*output_scanners(settings, normaliser), *models),
        normaliser,
        block_on_error=settings.block_on_error,
        window_chars=settings.output_window_chars,
        cache=cache,
    )


def _through(stage: Stage, events: Iterator[AnswerEvent]) -> Iterator[AnswerEvent]:
    """Events as they leave a stage; what it holds when the upstream breaks off leaves first."""
    try:
        for event in events:
            yield from stage.push(event)
    except UpstreamError:
        yield from stage.finish()
        raise
    yield from stage.finish()


def _report_all(report: Report, taken_out: Counter[str], verdict: Verdict) -> None:
    if taken_out:
        redaction = Tally()
        for scanner, pieces in taken_out.items():
            redaction.note_redaction(scanner, pieces)
        verdict = noted(verdict, redaction.verdict())
    report(verdict)
