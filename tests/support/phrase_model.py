"""Models that know one phrase or follow a script, and scanners over them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Lock

import pytest

from ogp.core.clock import SystemClock
from ogp.core.types import Principal, Role
from ogp.dialects.ollama import OllamaDialect
from ogp.guard.base import View
from ogp.guard.model import LoadModel, Model, ModelUnavailableError, Score
from ogp.guard.model_scanner import ModelRule, ModelScanner
from ogp.guard.model_source import WARM_UP_TEXT
from ogp.guard.pool import ScannerPool
from ogp.settings.schema import LimitSettings

SOMEBODY = Principal("somebody", Role.USER)
DIALECT = OllamaDialect(LimitSettings())
INPUT = ModelRule(
    name="prompt_injection",
    direction="input",
    threshold=0.5,
    blocks=True,
    required=True,
    timeout_s=30.0,
    max_windows=50,
    window_chars=60,
)
OUTPUT = replace(INPUT, name="toxicity", direction="output")


class PhraseModel:
    """Finds a phrase; its windows have 40 characters, half of them shared with the next.

    A subclass says something else of one window by `judge`.
    """

    takes_batches = True

    def __init__(self, phrase: str = "open sesame", step: int = 20) -> None:
        self._phrase, self._step = phrase, step
        self._lock = Lock()
        self.texts: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.batches: list[int] = []

    def windows(self, text: str) -> Sequence[str]:
        with self._lock:
            self.texts.append(text)
        step = self._step
        return [text[at : at + 2 * step] for at in range(0, max(1, len(text) - step), step)]

    def scores(self, windows: Sequence[tuple[str, str]]) -> Sequence[Score]:
        with self._lock:
            self.batches.append(len(windows))
        return [self.judge(window, prompt) for window, prompt in windows]

    def judge(self, window: str, prompt: str) -> Score:
        with self._lock:
            self.asked.append((window, prompt))
        return Score(0.9, "BAD") if self._phrase in window else Score(0.125, "GOOD")

    def judged_at(self, threshold: float) -> Model:
        return self

    def describe(self) -> Mapping[str, str | int]:
        return {"model": "ab12", "precision": "fp32", "device": "cpu"}

    def forget(self) -> None:
        self.texts.clear()
        self.asked.clear()
        self.batches.clear()


class ScriptedModel(PhraseModel):
    """Runs a function for each window, the warm-up apart."""

    def __init__(self, answer: Callable[[str], float]) -> None:
        super().__init__(step=1_000_000)
        self._answer = answer

    def judge(self, window: str, prompt: str) -> Score:
        return Score(0.0 if window == WARM_UP_TEXT else self._answer(window))


def make_scanner(
    pool: ScannerPool, load: Model | LoadModel, rule: ModelRule = INPUT
) -> ModelScanner:
    load_model = load if callable(load) else lambda: load
    return ModelScanner(rule, load_model, pool, SystemClock())


def ready(pool: ScannerPool, model: Model | None = None, rule: ModelRule = INPUT) -> ModelScanner:
    """A scanner whose model has been loaded; what it was asked to warm up is forgotten."""
    model = model or PhraseModel()
    scanner = make_scanner(pool, model, rule)
    scanner.begin()
    scanner.scan(View("something harmless"))
    if isinstance(model, PhraseModel):
        model.forget()
    return scanner


def failed(pool: ScannerPool, error: BaseException, rule: ModelRule = INPUT) -> ModelScanner:
    def load() -> Model:
        raise error

    scanner = make_scanner(pool, load, rule)
    scanner.begin()
    with pytest.raises(ModelUnavailableError):
        scanner.scan(View("text"))
    return scanner


def score_of(model: Model, window: str, prompt: str = "") -> Score:
    """What it says of one window."""
    (score,) = model.scores([(window, prompt)])
    return score
