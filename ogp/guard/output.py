"""Answers: held back until scanned, then passed on in their order and unchanged."""

from collections.abc import Iterator, Mapping, Sequence

from ogp.core.errors import UpstreamError
from ogp.core.ports import Report
from ogp.core.types import AnswerEvent, GuardState, InferenceRequest, Verdict
from ogp.guard.base import Scanner, ViewKind
from ogp.guard.cache import VerdictCache
from ogp.guard.hold import HeldAnswer, Policy
from ogp.guard.normalise import Normaliser
from ogp.guard.scanners import OUTPUT_NAMES, describe, output_scanners
from ogp.settings.schema import GuardSettings


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
        self._policy = Policy(
            tuple(scanners),
            normaliser if reads_normal else None,
            block_on_error,
            window_chars,
            cache,
        )

    def reads(self, request: InferenceRequest) -> bool:
        """Whether any scanner looks at this answer."""
        return request.scanned and bool(self._policy.scanners)

    def filter(
        self, request: InferenceRequest, events: Iterator[AnswerEvent], report: Report
    ) -> Iterator[AnswerEvent]:
        """Pass on what was scanned, see `OutputGuard.filter`.

        When the upstream breaks off, what came and is clean is passed on before its error.
        """
        if not self.reads(request):
            state = GuardState.OFF if request.scanned else GuardState.NOT_SCANNED
            report(Verdict(state))
            yield from events
            return
        answer = HeldAnswer(self._policy, request, report)
        try:
            try:
                for event in events:
                    yield from answer.push(event)
            except UpstreamError:
                yield from answer.finish()
                raise
            yield from answer.finish()
        finally:
            answer.report_once()  # the client may leave at any `yield`

    def describe(self) -> Mapping[str, Mapping[str, int | str]]:
        """The scanners of answers for `/health`."""
        return describe(self._policy.scanners, OUTPUT_NAMES, "output")


def build_output_guard(
    settings: GuardSettings, cache: VerdictCache | None = None, models: Sequence[Scanner] = ()
) -> AnswerGuard:
    """The guard for answers.

    Args:
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
