"""All scanners at once from many threads: no wrong verdict, no error."""

from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from ogp.guard.llmguard_scanners import SCANNERS
from ogp.guard.model import Model
from tests.support.phrase_model import score_of
from tests.support.tiny_llmguard import CASES, Case

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


def complaint(case: Case, model: Model, seed: int) -> str | None:
    """Scan one text of this case; what is wrong with the verdict, or None."""
    random = Random(seed)
    must_hit = random.random() < 0.5
    text = padded(case, case.hit if must_hit else case.clean, random)
    default = SCANNERS[case.name].thresholds[case.direction == "output"]
    threshold = case.parameters.get("threshold", default)
    try:
        hit = any(score_of(model, w, case.prompt).value >= threshold for w in model.windows(text))
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


@pytest.mark.parametrize("name", ["ban_topics", "language_same", "factual_consistency"])
def test_one_scanner_serves_eight_threads(name: str, loaded: list[tuple[Case, Model]]) -> None:
    case, model = next(pair for pair in loaded if pair[0].name == name)
    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(lambda seed: complaint(case, model, seed), range(160)))
    assert [complaint for complaint in found if complaint] == []
