"""A model as a `Scanner`: loaded in the background, asked in the pool, window by window."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import TIMEOUT_MAX, Event
from typing import Literal

from ogp.core.clock import Clock
from ogp.core.errors import TooLargeError
from ogp.guard.base import Finding, View, ViewKind, identity_of
from ogp.guard.job import PoolFullError, PoolStoppedError, PoolTimeoutError, TaskCrashedError
from ogp.guard.model import (
    LoadModel,
    Model,
    ModelUnavailableError,
    ScannerBusyError,
    Score,
)
from ogp.guard.pool import ScannerPool

SENTENCE_END = re.compile(r"[.!?…؟।](?=\s)|[\n。！？．｡]")
"""A sentence may end here, a host name does not; an abbreviation costs a scan, no safety."""
WHOLE_CHARS = 1_000_000
"""Context of scanners that judge complete answers only; streams hold fewer bytes anyway."""
MIN_SENTENCE_CHARS = 20
"""Shorter ends of sentences wait for more: models judge single words badly."""
WARM_UP_TEXT = "What would be a good name for a small sailing boat?"
WARM_UP_S = 120.0
"""Longest first score, in seconds; it allocates what later ones reuse."""


class ScoreError(Exception):
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


@dataclass(frozen=True, slots=True)
class _State:
    word: Literal["loading", "ready", "failed"]
    reason: str = ""
    model: Model | None = None
    facts: tuple[tuple[str, str | int], ...] = ()
    """What the model says of itself."""


class ModelScanner:
    """Scores every window of a text; the highest score counts. Thread-safe.

    `begin` starts loading. A text that comes earlier waits for the model, within its time. Streams
    are scanned sentence by sentence, each with what the channel kept of the text before it.
    """

    def __init__(
        self, rule: ModelRule, load_model: LoadModel, pool: ScannerPool, clock: Clock
    ) -> None:
        """Keep the parts; nothing is loaded yet.

        Args:
            rule: what scores mean.
            load_model: called once, on a thread for such work.
            pool: where the model computes.
            clock: the pool's.
        """
        self.name, self.required = rule.name, rule.required
        self.reads = (ViewKind.JOINED if rule.direction == "input" else ViewKind.RAW,)
        self.hold_chars = WHOLE_CHARS if rule.whole else rule.window_chars
        self._rule, self._load_model, self._pool, self._clock = rule, load_model, pool, clock
        self._decided = Event()
        self._become(_State("loading"))

    def begin(self) -> None:
        """Load the model in the background, then score one sentence in the pool. Call it once."""
        self._pool.run_background(self._load)

    def obstacle(self) -> str | None:
        """What keeps texts waiting, for `/ready`; None also where loading failed: that is known."""
        return f"{self.name} is loading" if self._state.word == "loading" else None

    def scan(self, view: View) -> Finding | None:
        """Score the text, of an open one what `settled` tells; None if there is nothing to score.

        Raises:
            ModelUnavailableError: loading failed.
            ScannerBusyError: the pool is full, or the time was not enough.
            TooLargeError: the text has too many windows.
            ScoreError: the model gave a score that is none.
        """
        deadline = self._clock.monotonic() + self._rule.timeout_s
        end = self.settled(view)
        if not view.text[view.start : end].strip():
            return None
        model = self._ready_model(deadline)
        text = view.text[:end]
        windows = _windows_of(model, text)
        if len(windows) > self._rule.max_windows:
            raise TooLargeError(
                f"The text is too long to be scanned: {len(windows)} windows, "
                f"at most {self._rule.max_windows}."
            )
        if not windows:
            return None
        return self._finding(self._scores(model, windows, text, view.prompt, deadline))

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
        """State, its reason, threshold and action, and what the model says of itself."""
        shown: dict[str, int | str] = {"state": self._state.word}
        if self._state.reason:
            shown["reason"] = self._state.reason
        shown["threshold"] = f"{self._rule.threshold:g}"
        shown["action"] = "block" if self._rule.blocks else "flag"
        return shown | dict(self._state.facts)

    def identity(self) -> str:
        """Rule, state and model; changes when the model is there."""
        return self._identity

    def _become(self, state: _State) -> None:
        rule = self._rule
        self._state = state
        self._identity = identity_of(self.name, rule, state.word, state.facts)
        if state.word != "loading":
            self._decided.set()

    def _load(self) -> None:
        log = logging.getLogger(__name__)
        name, direction = self.name, self._rule.direction
        try:
            model = self._load_model()
            self._warm_up(model)
            state = _State("ready", model=model, facts=tuple(sorted(model.describe().items())))
        except ModelUnavailableError as error:
            state = _State("failed", str(error))
        except BaseException as error:  # noqa: BLE001 - kept as the state; Rust code panics so
            state = _State("failed", f"cannot be loaded: {type(error).__name__}")
        if state.model is None:
            what = "guard model failed: scanner=%s direction=%s reason=%s"
            log.error(what, name, direction, state.reason)
        else:
            log.info("guard model ready: scanner=%s direction=%s", name, direction)
        self._become(state)

    def _warm_up(self, model: Model) -> None:
        prompt = WARM_UP_TEXT if self._rule.direction == "output" else ""
        tasks = [partial(_score, model, window, prompt) for window in model.windows(WARM_UP_TEXT)]
        if not tasks:
            raise ModelUnavailableError("the tokenizer makes nothing of a plain sentence")
        self._pool.submit(tasks, deadline=self._clock.monotonic() + WARM_UP_S).results()

    def _ready_model(self, deadline: float) -> Model:
        left_s = max(0.0, deadline - self._clock.monotonic())
        if not self._decided.wait(min(left_s, TIMEOUT_MAX)):
            raise ScannerBusyError("still loading")
        if self._state.model is None:
            raise ModelUnavailableError(self._state.reason)
        return self._state.model

    def _scores(
        self, model: Model, windows: Sequence[str], text: str, prompt: str, deadline: float
    ) -> tuple[Score, ...]:
        try:
            return self._pool.submit_shared(
                (self, text, prompt),
                [partial(_score, model, window, prompt) for window in windows],
                deadline=deadline,
                ends=self._is_hit,
            ).results()
        except (PoolFullError, PoolTimeoutError, PoolStoppedError) as error:
            raise ScannerBusyError(type(error).__name__) from error

    def _is_hit(self, score: Score) -> bool:
        return score.value >= self._rule.threshold

    def _finding(self, scores: Sequence[Score]) -> Finding:
        worst = max(scores, key=lambda score: score.value)
        if not self._is_hit(worst):
            return Finding("", worst.value, blocks=False, hit=False)
        return Finding(worst.label or "score", worst.value, blocks=self._rule.blocks)


def _windows_of(model: Model, text: str) -> Sequence[str]:
    """The windows; a tokenizer that panics must not end the thread of a request."""
    try:
        return model.windows(text)
    except Exception:
        raise
    except BaseException as error:
        raise TaskCrashedError(type(error).__name__) from error


def _score(model: Model, window: str, prompt: str) -> Score:
    score = model.score(window, prompt)
    if not 0.0 <= score.value <= 1.0:
        raise ScoreError("the score is not between 0 and 1")
    return score
