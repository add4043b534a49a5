"""A scanner of llm-guard as a `Model`: its verdict on one window, and the number behind it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import local
from typing import Any

from ogp.guard.llmguard_scanners import LLMGuardScanner
from ogp.guard.llmguard_scores import CLEAR
from ogp.guard.llmguard_text import SHOWN, Room, TextTooLongError, readable
from ogp.guard.model import ScannerFailedError, Score


class Watched:
    """Stands where a scanner computes: refuses what would be cut, and keeps what came out."""

    def __init__(
        self, part: Callable[..., Any], check: Callable[[str], None], fixed: Mapping[str, Any]
    ) -> None:
        """Store.

        Args:
            part: what computes, a pipeline for example.
            check: raises if a text would be cut.
            fixed: arguments that win over those of the scanner.
        """
        self._part, self._check, self._fixed = part, check, fixed
        self._kept = local()

    @property
    def results(self) -> Sequence[Any]:
        """Of the calls since the `with` began, in this thread."""
        return tuple(self._kept.results)

    def __enter__(self) -> None:
        self._kept.results = []

    def __exit__(self, *_: object) -> None:
        del self._kept.results  # holds pieces of the text

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Check the texts, which come first, and compute."""
        for text in _texts(*args):
            self._check(text)
        result = self._part(*args, **{**kwargs, **self._fixed})
        self._kept.results.append(result)
        return result


def _texts(first: Any = (), *_: Any) -> Iterable[str]:
    return (first,) if isinstance(first, str) else first


@dataclass(frozen=True, slots=True)
class Parts:
    """What a scanner was taken apart into. `room` is None where there is no model."""

    scan: Callable[[str, str], bool]
    """Whether a text is valid, from prompt and text."""
    watched: Watched
    facts: Mapping[str, str | int]
    room: Room | None = None
    extract: Callable[[str], Sequence[str]] = lambda text: (text,)
    """What of a text is looked at; that is then cut into windows."""


class LLMGuardModel:
    """One scanner of llm-guard.

    Thread-safe: its pipeline keeps nothing between calls, all calls ask the tokenizer for the same
    truncation and padding, and results are kept per thread.
    """

    takes_batches = False

    def __init__(
        self,
        spec: LLMGuardScanner,
        parameters: Mapping[str, Any],
        parts: Parts,
        ends_at: float | None = None,
    ) -> None:
        """Store; `llmguard.load_llmguard` makes the parts.

        Args:
            ends_at: the risk that counts as a hit, if it is not the threshold of the parameters,
                which llm-guard's own scanner was made with.
        """
        self._spec, self._parameters, self._parts = spec, parameters, parts
        self._threshold = float(parameters["threshold"])
        self._ends_at = self._threshold if ends_at is None else ends_at
        self._shown = SHOWN.get(spec.name, readable)

    def windows(self, text: str) -> Sequence[str]:
        """Slices of the text; of `malicious_urls` only the addresses, of `code` its blocks.

        A text with nothing to look at has one empty window, which passes.
        """
        if not text.strip():
            return ()
        room = self._parts.room
        if room is None:
            return (text,)
        return tuple(w for part in self._parts.extract(text) for w in room.cut(part)) or ("",)

    def scores(self, windows: Sequence[tuple[str, str]]) -> Sequence[Score]:
        """Risk of each window, at least llm-guard's threshold where it says invalid; one by one.

        A long prompt is compared in parts. Where agreement counts, the part that agrees best; else
        the worst. No more parts are looked at once the side of the threshold is clear.

        Raises:
            ScannerFailedError: the scanner failed, or would have cut a text.
        """
        return [self._score(window, prompt) for window, prompt in windows]

    def judged_at(self, threshold: float) -> "LLMGuardModel":
        """As it is, but parts of a prompt are looked at until this side is clear."""
        return LLMGuardModel(self._spec, self._parameters, self._parts, threshold)

    def describe(self) -> Mapping[str, str | int]:
        """Hash of the files, precision, device, version of llm-guard."""
        return self._parts.facts

    def _score(self, window: str, prompt: str) -> Score:
        kind, room = self._spec.compares, self._parts.room
        if not window.strip() or (kind == "agreement" and not prompt.strip()):
            return CLEAR
        if room is None or not kind:
            return self._judge(window, "")
        best: Score | None = None
        for part in self._prompt_parts(room, prompt):
            found = self._judge(window, part)
            if best is None or (found.value > best.value) == (kind == "together"):
                best = found
            if (best.value >= self._ends_at) == (kind == "together"):
                break
        return best or CLEAR

    def _prompt_parts(self, room: Room, prompt: str) -> Sequence[str]:
        try:
            return room.prompt_parts(prompt)
        except TextTooLongError:
            raise ScannerFailedError(f"{self._spec.name}: TextTooLongError") from None

    def _judge(self, window: str, prompt: str) -> Score:
        """What llm-guard says of two texts that its model sees whole."""
        watched = self._parts.watched
        try:
            with watched:
                is_valid = self._parts.scan(readable(prompt), readable(self._shown(window)))
                score = self._spec.read(watched.results, self._parameters)
        except Exception as error:  # noqa: BLE001 - its message and traceback could hold the text
            failure = type(error).__name__
        else:
            if is_valid or score.value >= self._threshold:
                return score
            return Score(self._threshold if self._spec.weights else 1.0, score.label)
        raise ScannerFailedError(f"{self._spec.name}: {failure}")
