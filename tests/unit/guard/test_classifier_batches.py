"""Windows scored in one go: the scores are those of each alone."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.guard.base import View
from ogp.guard.classifier import PROMPT_INJECTION, Classifier, load_classifier
from ogp.guard.device import Device
from ogp.guard.model import Score
from ogp.guard.model_scanner import ModelScanner
from ogp.guard.pool import ScannerPool
from tests.support.phrase_model import INPUT, score_of
from tests.support.pool_lab import until
from tests.support.tiny_models import Architecture, Form, write_classifier

SOON_S = 10.0
CPU = Device("cpu", "test", "fp32")
TRIGGER = "xyzzy"
ARCHITECTURES: tuple[Architecture, ...] = ("bert", "deberta-v2", "roberta")
FORMS: tuple[Form, ...] = ("safetensors", "onnx")


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Classifier]:
    """Loads each model once."""
    loaded: dict[str, Classifier] = {}

    def once(**how: Any) -> Classifier:
        key = repr(sorted(how.items()))
        if key not in loaded:
            directory: Path = write_classifier(tmp_path_factory.mktemp("batches"), **how)
            loaded[key] = load_classifier(PROMPT_INJECTION, directory, CPU)
        return loaded[key]

    return once


class Counting:
    """A classifier that remembers how many windows came together."""

    takes_batches = True

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.windows, self.describe = classifier.windows, classifier.describe
        self.batches: list[int] = []

    def scores(self, windows: Sequence[tuple[str, str]]) -> Sequence[Score]:
        self.batches.append(len(windows))
        return self._classifier.scores(windows)

    def judged_at(self, threshold: float) -> "Counting":
        return self


def text_of(dice: random.Random, words: int) -> str:
    known = ["the", "nice", "world", "of", "good", "code", "instructions", "stranger"]
    return " ".join(dice.choices(known, k=words))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [4, 16])
def test_scores_together_are_those_of_each_alone(
    form: Form, architecture: Architecture, size: int, load: Callable[..., Classifier]
) -> None:
    classifier = load(form=form, architecture=architecture, seed=5)
    dice = random.Random(size)
    texts = [text_of(dice, dice.choice((1, 5, 30, 200))) for _ in range(size)]
    alone = [score_of(classifier, text) for text in texts]
    together = classifier.scores([(text, "") for text in texts])
    assert [score.label for score in together] == [score.label for score in alone]
    assert [score.value for score in together] == pytest.approx(
        [score.value for score in alone], abs=1e-5
    )
    assert len({round(score.value, 3) for score in alone}) > 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch", [4, 16])
def test_two_thousand_mixed_scans_in_batches_are_all_right(
    form: Form, batch: int, load: Callable[..., Classifier]
) -> None:
    model = Counting(load(form=form, verdict="INJECTION", trigger=TRIGGER))
    clock = SystemClock()
    pool = ScannerPool(1, max_pending=100_000, clock=clock, batch=batch)
    pool.start()
    scanner = ModelScanner(replace(INPUT, timeout_s=100.0), lambda: model, pool, clock)
    scanner.begin()

    def is_right(seed: int) -> bool:
        dice = random.Random(seed)
        words = text_of(dice, dice.choice((3, 10, 40, 40, 300))).split()
        is_bad = seed % 2 == 0
        if is_bad:
            words.insert(dice.randrange(len(words) + 1), TRIGGER)
        finding = scanner.scan(View(" ".join(words)))
        return finding is not None and finding.hit is is_bad

    assert is_right(1)  # the model is there
    gate = Event()
    pool.submit([lambda: gate.wait(SOON_S)], deadline=clock.monotonic() + SOON_S)
    with ThreadPoolExecutor(32) as callers:
        verdicts = callers.map(is_right, range(2_000))
        until(lambda: pool.status().waiting >= 20)
        gate.set()
        assert all(verdicts)
    pool.stop()
    assert 1 < max(model.batches) <= batch
