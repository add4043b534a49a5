"""All scanners at once from many threads: no wrong verdict, no error."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from ogp.core.clock import SystemClock
from ogp.guard.base import Scanner, View
from ogp.guard.classifier import PROMPT_INJECTION, TOXICITY, Definition, load_classifier
from ogp.guard.llmguard_scanners import SCANNERS
from ogp.guard.model import Model
from ogp.guard.model_scanner import ModelScanner
from ogp.guard.pool import ScannerPool
from ogp.guard.secrets import SecretsScanner
from tests.support.phrase_model import INPUT, OUTPUT, score_of
from tests.support.tiny_llmguard import CASES, CPU, TOXIC, Case
from tests.support.tiny_models import write_classifier

SCANS = 2_000
THREADS = 8
MOST_WORDS = 300
FILLER = ["hello", "world", "the", "of", "and"]
UNPADDED = frozenset({"reading_time"})
"""More words change the verdict."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Case, Model]]:
    root = tmp_path_factory.mktemp("weights")
    return [(case, case.load(root)) for case in CASES]


def padded(case: Case, text: str, random: Random) -> str:
    words = [random.choice(FILLER) for _ in range(random.choice((0, 5, 40, MOST_WORDS)))]
    half = random.randint(0, len(words))
    return " ".join((*words[:half], text, *words[half:])) if case.name not in UNPADDED else text


def threshold(case: Case) -> float:
    """What the scanner's rule would have."""
    if "threshold" in case.parameters:
        return float(case.parameters["threshold"])
    return SCANNERS[case.name].thresholds[case.direction == "output"]


def complaint(case: Case, model: Model, seed: int) -> str | None:
    """Scan one text of this case; what is wrong with the verdict, or None."""
    random = Random(seed)
    must_hit = random.random() < 0.5
    text = padded(case, case.hit if must_hit else case.clean, random)
    least = threshold(case)
    try:
        hit = any(score_of(model, w, case.prompt).value >= least for w in model.windows(text))
    except Exception as error:  # noqa: BLE001 - counted below
        return f"{case.name} {case.direction}: {error!r}"
    return None if hit == must_hit else f"{case.name} {case.direction}: {hit} of {len(text)}"


def test_two_thousand_mixed_scans_in_eight_threads_are_all_right(
    loaded: list[tuple[Case, Model]],
) -> None:
    with ThreadPoolExecutor(THREADS) as threads:
        jobs = [
            threads.submit(complaint, *loaded[number % len(loaded)], number)
            for number in range(SCANS)
        ]
        complaints = [found for job in jobs if (found := job.result())]
    assert complaints == []


Asked = tuple[Case, Scanner]


def classifiers(root: Path) -> Iterator[tuple[Case, Model]]:
    """Our own path to models, as cases."""
    own: list[tuple[Definition, tuple[str, ...], str]] = [
        (PROMPT_INJECTION, ("SAFE", "INJECTION"), "INJECTION"),
        (TOXICITY, TOXIC, "threat"),
    ]
    for definition, labels, verdict in own:
        case = Case(f"own {verdict}", labels, verdict, parameters={"threshold": 0.5})
        directory = write_classifier(
            root / verdict, labels=labels, verdict=verdict, trigger="stupid"
        )
        yield case, load_classifier(definition, directory, CPU)


@pytest.fixture
def in_pool(loaded: list[tuple[Case, Model]], tmp_path: Path) -> Iterator[list[Asked]]:
    """Every scanner that asks a model, in one pool, and the one for secrets beside it."""
    clock = SystemClock()
    pool = ScannerPool(2, max_pending=100_000, clock=clock, batch=8)
    pool.start()
    found: list[Asked] = []
    for case, model in [*loaded, *classifiers(tmp_path)]:
        rule = replace(
            INPUT if case.direction == "input" else OUTPUT,
            name=case.name,
            threshold=threshold(case),
            timeout_s=100.0,
        )
        scanner = ModelScanner(rule, lambda model=model: model, pool, clock)
        scanner.begin()
        found.append((case, scanner))
    key = "my key is AKIA" + "QWERTZUI" * 2
    found.append((Case("secrets", hit=key), SecretsScanner()))
    yield found
    pool.stop()


def misjudged(case: Case, scanner: Scanner, seed: int) -> str | None:
    """What is wrong with the verdict on a text, or None."""
    random = Random(seed)
    must_hit = random.random() < 0.5
    text = padded(case, case.hit if must_hit else case.clean, random)
    finding = scanner.scan(View(text, prompt=case.prompt))
    is_hit = finding is not None and finding.hit
    return None if is_hit == must_hit else f"{case.name} {case.direction}: {is_hit}"


def test_two_thousand_mixed_scans_through_the_pool_are_all_right(in_pool: list[Asked]) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        with ThreadPoolExecutor(THREADS) as threads:
            jobs = [
                threads.submit(misjudged, *in_pool[number % len(in_pool)], number)
                for number in range(SCANS)
            ]
            complaints = [found for job in jobs if (found := job.result())]
    finally:
        sys.setswitchinterval(before)
    assert complaints == []


@pytest.mark.parametrize("name", ["ban_topics", "language_same", "factual_consistency"])
def test_one_scanner_serves_eight_threads(name: str, loaded: list[tuple[Case, Model]]) -> None:
    case, model = next(pair for pair in loaded if pair[0].name == name)
    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(lambda seed: complaint(case, model, seed), range(160)))
    assert [complaint for complaint in found if complaint] == []
