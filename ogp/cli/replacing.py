"""What the guard would take out of a text before its scanners see it, counted and timed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from ogp.core.types import AnswerEvent, InferenceRequest, TextKind, TextPart
from ogp.guard.base import Finder, Redactor, Span
from ogp.guard.redaction import PromptRedaction


@dataclass(frozen=True, slots=True)
class Found:
    """What a finder found."""

    finder: str
    kinds: Mapping[str, int]
    """How many pieces of each kind, in their order."""
    took_ms: float
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Replaced:
    """A text as its scanners see it."""

    text: str
    found: tuple[Found, ...]
    taken_out: Mapping[str, int]
    """Pieces by the scanner that takes them out; those of finders are in `found`."""


class Replacements:
    """Replaces as the guard does in a value of a request. Immutable, hence thread-safe."""

    def __init__(self, redactors: Sequence[Redactor], finders: Sequence[Finder]) -> None:
        """Keep who says what is replaced."""
        self._redactors, self._finders = tuple(redactors), tuple(finders)

    def apply(self, text: str) -> Replaced:
        """The text without what they find; one that fails replaces nothing."""
        if not self._redactors and not self._finders:
            return Replaced(text, (), {})
        noting = [NotingFinder(finder) for finder in self._finders]
        part = TextPart("text", text, TextKind.CONTENT)
        request = InferenceRequest("none", "scan", "POST", "/", texts=(part,))
        redaction = PromptRedaction(self._redactors, noting, restore=False)
        done = redaction.apply(request, OneText())
        results = done.tally.verdict().results if done.tally else ()
        names = {redactor.name for redactor in self._redactors}
        taken_out = {each.scanner: each.redacted for each in results if each.scanner in names}
        return Replaced(done.request.texts[0].text, tuple(each.found for each in noting), taken_out)


class NotingFinder:
    """Notes what a finder says. One that fails has found nothing. For one text and thread."""

    required = True

    def __init__(self, finder: Finder) -> None:
        """Begin without findings."""
        self.name = finder.name
        self._finder = finder
        self.found = Found(self.name, {}, 0.0)

    def find(self, text: str) -> Sequence[Span]:
        """What the finder finds."""
        began = perf_counter()
        spans: Sequence[Span] = ()
        error: Exception | None = None
        try:
            spans = self._finder.find(text)
        except Exception as failure:  # noqa: BLE001 - shown as the finder's state
            error = failure
        kinds = Counter(span.label for span in spans)
        self.found = Found(self.name, kinds, 1e3 * (perf_counter() - began), error)
        return spans

    def describe(self) -> Mapping[str, int | str]:
        """What the finder says of itself."""
        return self._finder.describe()

    def identity(self) -> str:
        """The finder's."""
        return self._finder.identity()


class OneText:
    """Stands for a dialect: the text is all there is."""

    def with_texts(
        self, request: InferenceRequest, replacements: Mapping[str, str]
    ) -> InferenceRequest:
        """The request with other texts."""
        texts = tuple(
            replace(part, text=replacements.get(part.text, part.text)) for part in request.texts
        )
        return replace(request, texts=texts)

    def with_answer_texts(
        self, event: AnswerEvent, texts: Sequence[tuple[str, str]]
    ) -> AnswerEvent:
        """The event with other texts; its bytes mean nothing."""
        return replace(event, texts=tuple(texts))
