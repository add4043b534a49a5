"""How often a model was asked, and whether it works right now."""

from collections.abc import Iterator

import pytest

from ogp.core.clock import SystemClock
from ogp.guard.base import View
from ogp.guard.model import Score
from ogp.guard.pool import ScannerPool
from tests.support.phrase_model import PhraseModel, ready


@pytest.fixture
def pool() -> Iterator[ScannerPool]:
    pool = ScannerPool(2, max_pending=100, clock=SystemClock())
    pool.start()
    yield pool
    pool.stop()


def test_scans_are_counted_and_a_failing_one_shows_until_the_next_is_good(
    pool: ScannerPool,
) -> None:
    class Moody(PhraseModel):
        fails = False

        def judge(self, window: str, prompt: str) -> Score:
            if self.fails:
                raise RuntimeError("marker")
            return super().judge(window, prompt)

    model = Moody()
    scanner = ready(pool, model)
    model.fails = True
    with pytest.raises(RuntimeError):
        scanner.scan(View("other text"))
    shown = scanner.describe()
    assert (shown["state"], shown["scans"], shown["errors"]) == ("failing", 2, 1)
    model.fails = False
    scanner.judged_at(0.9, blocks=True).scan(View("third text"))  # counts are the model's
    shown = scanner.describe()
    assert (shown["state"], shown["scans"], shown["errors"]) == ("ready", 3, 1)
