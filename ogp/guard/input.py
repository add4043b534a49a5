"""Prompts: every text alone and the running text as one, before anything goes upstream."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ogp.core.errors import PromptBlockedError, TooLargeError
from ogp.core.ports import Report
from ogp.core.types import GuardState, InferenceRequest, TextKind, Verdict
from ogp.guard.base import Scanner, View, ViewKind
from ogp.guard.cache import Direction, VerdictCache, remembered, verdict_key
from ogp.guard.normalise import Normaliser
from ogp.guard.scanners import INPUT_NAMES, describe, input_scanners
from ogp.guard.tally import Tally, blocking_names, refusal_facts
from ogp.settings.schema import GuardSettings


class PromptGuard:
    """The `InputGuard` of the builtin scanners. Immutable, hence thread-safe."""

    def __init__(
        self,
        scanners: Sequence[Scanner],
        normaliser: Normaliser,
        *,
        block_on_error: bool,
        cache: VerdictCache | None = None,
    ) -> None:
        """Keep what every prompt needs.

        Args:
            scanners: in the order they are asked.
            normaliser: makes the second view.
            block_on_error: a scanner that fails refuses the prompt.
            cache: asked before any scanner; None scans every prompt.
        """
        self._cache = cache
        self._scanners = tuple(scanners)
        self._normaliser = normaliser
        self._block_on_error = block_on_error
        self._normalises = any(ViewKind.NORMALISED in scanner.reads for scanner in scanners)

    def scan(self, request: InferenceRequest, report: Report) -> None:
        """Scan every text in both views; the first scanner that blocks ends the scan.

        Raises:
            PromptBlockedError: a scanner refused a text, whatever became of the others.
            GuardError: a scanner failed, none refused, and failures block.
        """
        if not request.scanned:
            report(Verdict(GuardState.NOT_SCANNED))
            return
        if not self._scanners:
            report(Verdict(GuardState.OFF, unscanned=request.unscanned))
            return
        tally = Tally()  # stays empty if the verdict is remembered
        try:
            verdict = remembered(
                self._cache, lambda: self._key(request), lambda: self._ask(tally, request)
            )
        except TooLargeError:  # the text is refused for its size; the row says it was not scanned
            report(Verdict(GuardState.NOT_SCANNED))
            raise
        verdict = replace(verdict, unscanned=(*verdict.unscanned, *request.unscanned))
        report(verdict)
        if verdict.state is GuardState.BLOCKED:
            raise PromptBlockedError(
                f"The prompt was refused by the guard ({blocking_names(verdict)}).",
                verdict,
                **refusal_facts(verdict),
            )
        if tally.has_errors and self._block_on_error:
            raise tally.failure("the prompt was not accepted")

    def describe(self) -> Mapping[str, Mapping[str, int | str]]:
        """The scanners of prompts for `/health`."""
        return describe(self._scanners, INPUT_NAMES, "input")

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
    settings: GuardSettings, cache: VerdictCache | None = None, models: Sequence[Scanner] = ()
) -> PromptGuard:
    """The guard for prompts.

    Args:
        cache: remembers its verdicts.
        models: scanners that are asked last, as they are slow.

    Raises:
        ValueError: a phrase or pattern cannot be used; names it and says what would be right.
    """
    normaliser = Normaliser()
    return PromptGuard(
        (*input_scanners(settings, normaliser), *models),
        normaliser,
        block_on_error=settings.block_on_error,
        cache=cache,
    )
