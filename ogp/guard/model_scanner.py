"""A model as a `Scanner`: loaded in the background, asked in the pool, window by window."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from ogp.core.clock import Clock
from ogp.core.errors import TooLargeError
from ogp.guard.base import Finding, View, ViewKind, identity_of
from ogp.guard.batching import Together
from ogp.guard.job import More, PoolFullError, PoolStoppedError, PoolTimeoutError, Task
from ogp.guard.model import (
    LoadModel,
    Model,
    ModelUnavailableError,
    ScannerBusyError,
    ScannerFailedError,
    Score,
)
from ogp.guard.model_source import WARM_UP_TEXT, ModelSource, SourceState
from ogp.guard.pool import ScannerPool

SENTENCE_END = re.compile(r"[.!?…؟।](?=\s)|[\n。！？．｡]")
"""A sentence may end here, a host name does not; an abbreviation costs a scan, no safety."""
WHOLE_CHARS = 1_000_000
"""Context of scanners that judge complete answers only; streams hold fewer bytes anyway."""
MIN_SENTENCE_CHARS = 20
"""Shorter ends of sentences wait for more: models judge single words badly."""
WARM_UP_S = 120.0
"""Longest first score, in seconds; it allocates what later ones reuse."""


class ScoreError(ScannerFailedError):
    """A model gave a score that is none, as half precision can (NaN is no hit at any threshold)."""


@dataclass(frozen=True, slots=True)
class ModelRule:
    """How one model is asked and what its scores mean."""

    name: str
    direction: Literal["input", "output"]
    threshold: float
    """Least score that is a hit."""
    blocks: bool
    """False records a hit and lets the text pass."""
    required: bool
    """False: where the model cannot be loaded, texts may pass without it."""
    timeout_s: float
    """Longest scan of one text, the wait for the model and for a thread included, in seconds."""
    max_windows: int
    """Windows of one text; more are refused."""
    window_chars: int
    """Of a stream: most characters that wait for the end of their sentence."""
    whole: bool = False
    """Says something about a complete answer only: a stream waits for its end."""


class ModelScanner:
    """Scores every window of a text; the highest score counts. Thread-safe.

    `begin` starts loading. A text that comes earlier waits for the model, within its time. Streams
    are scanned sentence by sentence, each with what the channel kept of the text before it.
    """

    def __init__(
        self,
        rule: ModelRule,
        load_model: LoadModel,
        pool: ScannerPool,
        clock: Clock,
        source: ModelSource | None = None,
    ) -> None:
        """Keep the parts; nothing is loaded yet.

        Args:
            rule: what scores mean.
            load_model: called once, on a thread for such work.
            pool: where the model computes.
            clock: the pool's.
            source: of the model, where another scanner has one; `begin` is then that one's.
        """
        self.name, self.required = rule.name, rule.required
        self.reads = (ViewKind.JOINED if rule.direction == "input" else ViewKind.RAW,)
        self.hold_chars = WHOLE_CHARS if rule.whole else rule.window_chars
        self._rule, self._load_model, self._pool, self._clock = rule, load_model, pool, clock
        what = f"scanner={rule.name} direction={rule.direction}"
        self._source = source or ModelSource(what, load_model, clock)
        self._judge: tuple[Model, Model] | None = None
        self._others: dict[float, ModelScanner] = {}  # by threshold; there are a few in settings
        self._identity = self._identified(self._source.state)

    def begin(self) -> None:
        """Load the model in the background, then score one sentence in the pool. Call it once."""
        self._pool.run_background(partial(self._source.load, self._warm_up))

    def judged_at(self, threshold: float, *, blocks: bool) -> "ModelScanner":
        """A scanner by the same model with a rule of its own; nothing is loaded again.

        Args:
            threshold: least score that is a hit.
            blocks: False records a hit and lets the text pass.
        """
        rule = replace(self._rule, threshold=threshold, blocks=blocks)
        return ModelScanner(rule, self._load_model, self._pool, self._clock, self._source)

    def judge(self, view: View, threshold: float) -> Finding | None:
        """As `scan`, with another least score of a hit; what a hit leads to is the rule's."""
        other = self._others.get(threshold)
        if other is None:
            other = self.judged_at(threshold, blocks=self._rule.blocks)
            self._others[threshold] = other
        return other.scan(view)

    def obstacle(self) -> str | None:
        """What keeps texts waiting, for `/ready`; None also where loading failed: that is known."""
        return f"{self.name} is loading" if self._source.state.word == "loading" else None

    def scan(self, view: View) -> Finding | None:
        """Score the text, of an open one what `settled` tells; None if there is nothing to score.

        Raises:
            ModelUnavailableError: loading failed.
            ScannerBusyError: the pool is full, or the time was not enough.
            TooLargeError: the text has too many windows.
            ScannerFailedError: the model gave a score that is none.
        """
        deadline = self._clock.monotonic() + self._rule.timeout_s
        end = self.settled(view)
        if not view.text[view.start : end].strip():
            return None
        try:
            model = self._ready_model(deadline)
            scores = self._scores(model, view.text[:end], view.prompt, deadline)
        except TooLargeError:
            raise  # the text's fault
        except Exception:
            self._source.note(failed=True)
            raise
        self._source.note(failed=False)
        return self._finding(scores) if scores else None

    def settled(self, view: View) -> int:
        """Where the scanned part of an open text ends: all of it, or its last whole sentence."""
        end = len(view.text)
        if not view.open or end - view.start >= self.hold_chars:
            return end
        if self._rule.whole:
            return view.start
        ends = [match.end() for match in SENTENCE_END.finditer(view.text, view.start)]
        end = ends[-1] if ends else view.start
        return end if end - view.start >= MIN_SENTENCE_CHARS else view.start

    def describe(self) -> Mapping[str, int | str]:
        """State, its reason, counts, threshold and action, and what the model says of itself."""
        state = self._source.state
        shown: dict[str, int | str] = {"state": state.word}
        if state.reason:
            shown["reason"] = state.reason
        elif self._source.is_failing:
            shown["state"] = "failing"
        shown |= self._source.counts()
        shown["threshold"] = f"{self._rule.threshold:g}"
        shown["action"] = "block" if self._rule.blocks else "flag"
        return shown | dict(state.facts)

    def identity(self) -> str:
        """Rule, state and model; changes when the model is there."""
        state, identity = self._identity
        if state is not self._source.state:  # several threads may find that; all make the same
            state, identity = self._identity = self._identified(self._source.state)
        return identity

    def _identified(self, state: SourceState) -> tuple[SourceState, str]:
        return state, identity_of(self.name, self._rule, state.word, state.facts)

    def _warm_up(self, model: Model) -> None:
        prompt = WARM_UP_TEXT if self._rule.direction == "output" else ""
        tasks = _score_tasks(model, model.windows(WARM_UP_TEXT), prompt)
        if not tasks:
            raise ModelUnavailableError("the tokenizer makes nothing of a plain sentence")
        self._pool.submit(tasks, deadline=self._clock.monotonic() + WARM_UP_S).results()

    def _ready_model(self, deadline: float) -> Model:
        """The model as this rule has it."""
        model = self._source.model(deadline)
        judge = self._judge
        if judge is None or judge[0] is not model:
            judge = self._judge = (model, model.judged_at(self._rule.threshold))
        return judge[1]

    def _scores(self, model: Model, text: str, prompt: str, deadline: float) -> tuple[Score, ...]:
        try:
            return self._pool.submit_shared(
                (self, text, prompt),
                [Together((id(model), "cut"), partial(self._cut, model), (text, prompt))],
                deadline=deadline,
                ends=self._is_hit,
            ).results()
        except (PoolFullError, PoolTimeoutError, PoolStoppedError) as error:
            raise ScannerBusyError(type(error).__name__) from error

    def _cut(self, model: Model, texts: Sequence[tuple[str, str]]) -> list[More[Score]]:
        """Texts to tasks; in the pool, as a tokenizer can take long, and panic."""
        made = []
        for text, prompt in texts:
            windows = model.windows(text)
            if len(windows) > self._rule.max_windows:
                raise TooLargeError(
                    f"The text is too long to be scanned: {len(windows)} windows, "
                    f"at most {self._rule.max_windows}."
                )
            made.append(More(_score_tasks(model, windows, prompt)))
        return made

    def _is_hit(self, score: Score) -> bool:
        return score.value >= self._rule.threshold

    def _finding(self, scores: Sequence[Score]) -> Finding:
        worst = max(scores, key=lambda score: score.value)
        if not self._is_hit(worst):
            return Finding("", worst.value, blocks=False, hit=False)
        return Finding(worst.label or "score", worst.value, blocks=self._rule.blocks)


def _score_tasks(model: Model, windows: Sequence[str], prompt: str) -> list[Task[Score]]:
    """One for each window. Those of about the same length can be scored together."""
    score = partial(_checked_scores, model)
    if not model.takes_batches:
        return [partial(_only_score, model, window, prompt) for window in windows]
    return [
        Together((id(model), len(window).bit_length()), score, (window, prompt))
        for window in windows
    ]


def _only_score(model: Model, window: str, prompt: str) -> Score:
    (score,) = _checked_scores(model, [(window, prompt)])
    return score


def _checked_scores(model: Model, windows: Sequence[tuple[str, str]]) -> Sequence[Score]:
    scores = model.scores(windows)
    if not all(0.0 <= score.value <= 1.0 for score in scores):
        raise ScoreError("the score is not between 0 and 1")
    return scores
