"""Prompts: every text alone and the running text as one, before anything goes upstream."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ogp.core.errors import InvalidRequestError, PromptBlockedError, TooLargeError
from ogp.core.ports import Report, TextRewriter
from ogp.core.types import GuardState, InferenceRequest, Principal, TextKind, Verdict
from ogp.guard.base import Finder, Scanner, View, ViewKind, redactors_of
from ogp.guard.cache import Direction, VerdictCache, remembered, verdict_key
from ogp.guard.normalise import Normaliser
from ogp.guard.redaction import FinderScanner, PromptRedaction, Redaction, noted
from ogp.guard.scanners import INPUT_NAMES, describe, input_scanners
from ogp.guard.tally import Tally, blocking_names, refusal_facts
from ogp.settings.guard_schema import GuardSettings


class PromptGuard:
    """The `InputGuard` of the builtin scanners. Immutable, hence thread-safe."""

    def __init__(
        self,
        scanners: Sequence[Scanner],
        normaliser: Normaliser,
        *,
        block_on_error: bool,
        cache: VerdictCache | None = None,
        finders: Sequence[Finder] = (),
        restore: bool = True,
    ) -> None:
        """Keep what every prompt needs.

        Args:
            scanners: in the order they are asked.
            normaliser: makes the second view.
            block_on_error: a scanner that fails refuses the prompt.
            cache: asked before any scanner; None scans every prompt.
            finders: what they find is hidden from the model.
            restore: what was hidden comes back in the answer.
        """
        self._cache = cache
        self._redaction = PromptRedaction(redactors_of(scanners), finders, restore=restore)
        self._shown = (*map(FinderScanner, finders), *scanners)
        self._scanners = tuple(scanners)
        self._normaliser = normaliser
        self._block_on_error = block_on_error
        self._normalises = any(ViewKind.NORMALISED in scanner.reads for scanner in scanners)

    def scan(
        self,
        request: InferenceRequest,
        principal: Principal,  # noqa: ARG002 - all are alike to it
        rewriter: TextRewriter,
        report: Report,
    ) -> InferenceRequest:
        """Scan every text in both views; the first scanner that blocks ends the scan.

        What finders find is replaced before. Where a scan blocks what redactors can take out, it is
        taken out and the rest is scanned anew: what is scanned last is what is sent.

        Raises:
            PromptBlockedError: a scanner refused a text, whatever became of the others.
            GuardError: a scanner failed, none refused, and failures block.
            InvalidRequestError, TooLargeError: the text cannot be scanned, or not be sent changed.
        """
        if not request.scanned:
            report(Verdict(GuardState.NOT_SCANNED))
            return request
        if not self._shown:
            report(Verdict(GuardState.OFF, unscanned=request.unscanned))
            return request
        try:
            redaction, tally, verdict = self._judged(request, rewriter)
        except (InvalidRequestError, TooLargeError):  # the row says that it was not scanned
            report(Verdict(GuardState.NOT_SCANNED))
            raise
        if redaction.tally:
            verdict = noted(verdict, redaction.tally.verdict())
        verdict = replace(verdict, unscanned=(*verdict.unscanned, *request.unscanned))
        report(verdict)
        if verdict.state is GuardState.BLOCKED:
            raise PromptBlockedError(
                f"The prompt was refused by the guard ({blocking_names(verdict)}).",
                verdict,
                **refusal_facts(verdict),
            )
        for failed in (tally, redaction.tally):
            if failed and failed.has_errors and self._block_on_error:
                error = failed.failure("the prompt was not accepted")
                error.verdict = verdict
                raise error
        return redaction.request

    def describe(self) -> Mapping[str, Mapping[str, int | str]]:
        """The scanners of prompts for `/health`."""
        return describe(self._shown, INPUT_NAMES, "input")

    def _judged(
        self, request: InferenceRequest, rewriter: TextRewriter
    ) -> tuple[Redaction, Tally, Verdict]:
        """The request that may go on, who was asked, and the verdict on its texts."""
        redaction = Redaction(request)
        if self._redaction.finders:
            redaction = self._redaction.apply(request, rewriter)
        tally, verdict = self._verdict(redaction.request)
        if (
            verdict.state is GuardState.BLOCKED
            and self._redaction.redactors
            and not self._redaction.finders  # else it was done already
        ):
            redaction = self._redaction.apply(request, rewriter)
            if redaction.request is not request:
                tally, verdict = self._verdict(redaction.request)
        return redaction, tally, verdict

    def _verdict(self, request: InferenceRequest) -> tuple[Tally, Verdict]:
        tally = Tally()  # stays empty if the verdict is remembered
        return tally, remembered(
            self._cache, lambda: self._key(request), lambda: self._ask(tally, request)
        )

    def _key(self, request: InferenceRequest) -> bytes:
        pieces = [piece for part in request.texts for piece in (part.kind, part.text)]
        return verdict_key(Direction.INPUT, self._scanners, pieces)

    def _ask(self, tally: Tally, request: InferenceRequest) -> Verdict:
        views: list[View] = []
        for text in texts_of(request):
            views.append(View(text))
            if self._normalises:
                views.append(View(self._normaliser(text), ViewKind.NORMALISED))
        views.append(View(running_text(request), ViewKind.JOINED))
        for scanner in self._scanners:
            tally.ask(scanner, views)
            if tally.is_blocked:
                break
        return tally.verdict()


def texts_of(request: InferenceRequest) -> tuple[str, ...]:
    """Every different text of a request, and its running text joined in two ways.

    Templates put pieces together with or without something between, so a phrase can be split over
    messages and parts either way.
    """
    content = [part.text for part in request.texts if part.kind is TextKind.CONTENT]
    texts = (*(part.text for part in request.texts), "".join(content), running_text(request))
    return tuple(dict.fromkeys(text for text in texts if text))


def running_text(request: InferenceRequest) -> str:
    """What the model reads, one piece below the other."""
    return "\n".join(part.text for part in request.texts if part.kind is TextKind.CONTENT)


def build_input_guard(
    settings: GuardSettings,
    cache: VerdictCache | None = None,
    models: Sequence[Scanner] = (),
    finders: Sequence[Finder] = (),
) -> PromptGuard:
    """The guard for prompts.

    Args:
        settings: which scanners, and what their hits do.
        cache: remembers its verdicts.
        models: scanners that are asked last, as they are slow.
        finders: what they find is hidden from the model.

    Raises:
        ValueError: a phrase or pattern cannot be used; names it and says what would be right.
    """
    normaliser = Normaliser()
    return PromptGuard(
        (*input_scanners(settings, normaliser), *models),
        normaliser,
        block_on_error=settings.block_on_error,
        cache=cache,
        finders=finders if settings.input_enabled else (),
        restore=settings.input_scanners.anonymize.restore,
    )
