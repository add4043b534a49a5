"""One model for several rules: nothing is loaded twice, each threshold ends its own scan."""

from collections.abc import Iterator

import pytest

from ogp.core.clock import SystemClock
from ogp.guard.base import Finding, Scanner, View
from ogp.guard.model import Model, ModelUnavailableError
from ogp.guard.model_scanner import ModelScanner
from ogp.guard.pool import ScannerPool
from tests.support.phrase_model import INPUT, PhraseModel, ScriptedModel, failed, ready


@pytest.fixture
def pool() -> Iterator[ScannerPool]:
    pool = ScannerPool(1, max_pending=100, clock=SystemClock())
    pool.start()
    yield pool
    pool.stop()


class Words(ScriptedModel):
    """A window is a word, and a word is its score."""

    def __init__(self) -> None:
        super().__init__(self._read)
        self.read: list[str] = []

    def windows(self, text: str) -> list[str]:
        return text.split() if text[0].isdigit() else [text]

    def _read(self, window: str) -> float:
        self.read.append(window)
        return float(window) if window[0].isdigit() else 0.0


def test_the_model_is_loaded_once(pool: ScannerPool) -> None:
    loads: list[int] = []

    def load() -> Model:
        loads.append(1)
        return PhraseModel()

    scanner = ModelScanner(INPUT, load, pool, SystemClock())
    strict: Scanner = scanner.judged_at(0.1, blocks=True)
    lenient = scanner.judged_at(0.95, blocks=True)
    scanner.begin()
    assert strict.scan(View("harmless")) == Finding("GOOD", 0.125)
    assert lenient.scan(View("open sesame")) == Finding("", 0.9, blocks=False, hit=False)
    assert scanner.scan(View("open sesame")) == Finding("BAD", 0.9)
    assert scanner.judged_at(0.5, blocks=False).scan(View("open sesame")) == Finding(
        "BAD", 0.9, blocks=False
    )
    assert loads == [1]


def test_a_scan_ends_at_its_own_threshold(pool: ScannerPool) -> None:
    model = Words()
    scanner = ready(pool, model)
    model.read.clear()
    text = View("0.2 0.6 0.9 0.3")
    assert scanner.judged_at(0.8, blocks=True).scan(text) == Finding("score", 0.9)
    assert model.read == ["0.2", "0.6", "0.9"]
    model.read.clear()
    assert scanner.judged_at(0.1, blocks=True).scan(text) == Finding("score", 0.2)
    assert model.read == ["0.2"]
    assert scanner.judge(text, 0.8) == Finding("score", 0.9)
    assert scanner.judge(text, 0.8) == Finding("score", 0.9)


def test_each_has_its_own_identity_which_follows_the_model(pool: ScannerPool) -> None:
    scanner = ModelScanner(INPUT, PhraseModel, pool, SystemClock())
    other = scanner.judged_at(0.7, blocks=True)
    early = other.identity()
    scanner.begin()
    other.scan(View("something"))
    assert len({early, other.identity(), scanner.identity()}) == 3
    assert other.identity() == ready(pool).judged_at(0.7, blocks=True).identity()
    assert other.describe()["threshold"] == "0.7"
    assert other.obstacle() is None


def test_a_model_that_is_not_there_is_there_for_nobody(pool: ScannerPool) -> None:
    other = failed(pool, ValueError()).judged_at(0.7, blocks=True)
    assert other.describe()["state"] == "failed"
    with pytest.raises(ModelUnavailableError):
        other.scan(View("text"))


def test_a_model_is_told_the_threshold(pool: ScannerPool) -> None:
    class Telling(PhraseModel):
        def judged_at(self, threshold: float) -> Model:
            return ScriptedModel(lambda _: threshold)

    scanner = ready(pool, Telling())
    assert scanner.judged_at(0.75, blocks=True).scan(View("text")) == Finding("score", 0.75)
