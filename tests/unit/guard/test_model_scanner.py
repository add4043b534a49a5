"""A model as a scanner: loading, windows, scores, deadlines, sharing."""

import logging
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event, Semaphore
from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import TooLargeError
from ogp.guard.base import Finding, Scanner, View, ViewKind
from ogp.guard.job import TaskCrashedError
from ogp.guard.model import Model, ModelUnavailableError, ScannerBusyError, Score
from ogp.guard.model_scanner import ScoreError
from ogp.guard.model_source import WARM_UP_TEXT
from ogp.guard.pool import ScannerPool
from tests.support.phrase_model import (
    INPUT,
    OUTPUT,
    PhraseModel,
    ScriptedModel,
    failed,
    make_scanner,
    ready,
)

SOON_S = 5.0


@pytest.fixture
def pool() -> Iterator[ScannerPool]:
    pool = ScannerPool(2, max_pending=100, clock=SystemClock())
    pool.start()
    yield pool
    pool.stop()


def test_it_is_a_scanner(pool: ScannerPool) -> None:
    scanner: Scanner = make_scanner(pool, PhraseModel())
    assert (scanner.name, scanner.hold_chars) == ("prompt_injection", 60)


def test_prompts_are_read_joined_and_answers_raw(pool: ScannerPool) -> None:
    assert make_scanner(pool, PhraseModel(), INPUT).reads == (ViewKind.JOINED,)
    assert make_scanner(pool, PhraseModel(), OUTPUT).reads == (ViewKind.RAW,)


def test_a_hit_names_the_label_and_the_score(pool: ScannerPool) -> None:
    assert ready(pool).scan(View("now open sesame")) == Finding("BAD", 0.9)


def test_a_hit_without_a_label_has_a_reason(pool: ScannerPool) -> None:
    scanner = ready(pool, ScriptedModel(lambda _: 0.75))
    assert scanner.scan(View("text")) == Finding("score", 0.75)


def test_a_hit_is_only_recorded_where_the_rule_says_so(pool: ScannerPool) -> None:
    scanner = ready(pool, rule=replace(INPUT, blocks=False))
    assert scanner.scan(View("open sesame")) == Finding("BAD", 0.9, blocks=False)


def test_a_text_that_passes_keeps_its_highest_score(pool: ScannerPool) -> None:
    finding = ready(pool).scan(View("harmless " * 20))
    assert finding == Finding("", 0.125, blocks=False, hit=False)


@pytest.mark.parametrize(("score", "hit"), [(0.4999, False), (0.5, True), (0.0, False), (1, True)])
def test_the_threshold_itself_is_a_hit(pool: ScannerPool, score: float, hit: bool) -> None:
    finding = ready(pool, ScriptedModel(lambda _: score)).scan(View("text"))
    assert finding is not None
    assert finding.hit is hit


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.01, 1.01])
def test_a_score_that_is_none_does_not_pass(pool: ScannerPool, score: float) -> None:
    with pytest.raises(ScoreError):
        ready(pool, ScriptedModel(lambda _: score)).scan(View("text"))


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_no_text_is_not_scored(pool: ScannerPool, text: str) -> None:
    model = PhraseModel()
    assert ready(pool, model).scan(View(text)) is None
    assert model.texts == []


def test_a_text_without_windows_is_not_scored(pool: ScannerPool) -> None:
    class Deaf(PhraseModel):
        def windows(self, text: str) -> Sequence[str]:
            return [text] if text == WARM_UP_TEXT else []

    assert ready(pool, Deaf()).scan(View("text")) is None


@pytest.mark.parametrize("at", [0, 19, 20, 35, 399, 700, 989])
def test_a_phrase_is_found_wherever_it_stands(pool: ScannerPool, at: int) -> None:
    text = ("x" * at + "open sesame").ljust(1_000, "y")
    finding = ready(pool).scan(View(text))
    assert finding == Finding("BAD", 0.9)


def test_every_window_is_scored_and_the_model_is_shown_the_prompt(pool: ScannerPool) -> None:
    model = PhraseModel()
    ready(pool, model, OUTPUT).scan(View("a" * 100, prompt="asked"))
    assert sorted(model.asked) == [("a" * 40, "asked")] * 4


def test_a_text_of_too_many_windows_is_too_large(pool: ScannerPool) -> None:
    model = PhraseModel()
    scanner = ready(pool, model)
    scanner.scan(View("a" * 1_020))
    model.forget()
    with pytest.raises(TooLargeError, match="51 windows, at most 50"):
        scanner.scan(View("a" * 1_021))
    assert model.asked == []


def test_a_hit_in_a_window_counts_although_another_failed(pool: ScannerPool) -> None:
    class Partly(PhraseModel):
        def judge(self, window: str, prompt: str) -> Score:
            if window.startswith("a"):
                raise RuntimeError(window)
            return super().judge(window, prompt)

    scanner = ready(pool, Partly())
    assert scanner.scan(View("a" * 60 + "b" * 40 + "open sesame")) == Finding("BAD", 0.9)
    with pytest.raises(RuntimeError):
        scanner.scan(View("a" * 60 + "b" * 40))


def test_a_tokenizer_that_fails_is_an_error(pool: ScannerPool) -> None:
    class Broken(PhraseModel):
        def windows(self, text: str) -> Sequence[str]:
            if text == "panic":
                raise SystemExit("marker")
            if text == "error":
                raise ValueError
            return [text]

    scanner = ready(pool, Broken())
    with pytest.raises(ValueError, match=r"^$"):
        scanner.scan(View("error"))
    with pytest.raises(TaskCrashedError, match=r"^SystemExit$"):
        scanner.scan(View("panic"))


def test_a_tokenizer_that_hangs_is_left_at_the_deadline(pool: ScannerPool) -> None:
    gate = Event()

    class Slow(PhraseModel):
        def windows(self, text: str) -> Sequence[str]:
            assert text != "hang" or gate.wait(10)
            return super().windows(text)

    scanner = ready(pool, Slow(), replace(INPUT, timeout_s=0.3))
    with pytest.raises(ScannerBusyError, match="PoolTimeoutError"):
        scanner.scan(View("hang"))
    assert scanner.scan(View("fine")) is not None
    gate.set()


def test_a_text_that_comes_early_waits_for_the_model(pool: ScannerPool) -> None:
    gate, waiting = Event(), Event()

    def load() -> Model:
        waiting.set()
        assert gate.wait(SOON_S)
        return PhraseModel()

    scanner = make_scanner(pool, load)
    scanner.begin()
    assert waiting.wait(SOON_S)
    assert scanner.obstacle() == "prompt_injection is loading"
    with ThreadPoolExecutor(1) as caller:
        finding = caller.submit(scanner.scan, View("open sesame"))
        gate.set()
        assert finding.result(SOON_S) == Finding("BAD", 0.9)
    assert scanner.obstacle() is None


def test_whoever_has_no_time_for_the_model_is_told_it_is_busy(pool: ScannerPool) -> None:
    scanner = make_scanner(pool, PhraseModel(), replace(INPUT, timeout_s=0.01))
    with pytest.raises(ScannerBusyError, match="loading"):
        scanner.scan(View("text"))


def test_the_model_is_warmed_up_in_the_pool(pool: ScannerPool) -> None:
    model = PhraseModel(step=1_000)
    scanner = make_scanner(pool, model, OUTPUT)
    scanner.begin()
    assert scanner.scan(View("text")) is not None
    assert model.asked == [(WARM_UP_TEXT, WARM_UP_TEXT), ("text", "")]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModelUnavailableError("models/x: no tokenizer.json"), "models/x: no tokenizer.json"),
        (ValueError("marker"), "cannot be loaded: ValueError"),
        (SystemExit("marker"), "cannot be loaded: SystemExit"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_no_obstacle_but_an_error(
    pool: ScannerPool, error: BaseException, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    scanner = failed(pool, error)
    assert scanner.obstacle() is None
    assert scanner.describe() == {
        "state": "failed",
        "reason": reason,
        "scans": 1,
        "errors": 1,
        "threshold": "0.5",
        "action": "block",
    }
    assert "marker" not in caplog.text
    assert f"scanner=prompt_injection direction=input reason={reason}" in caplog.text


def test_a_model_that_cannot_score_has_failed(pool: ScannerPool) -> None:
    class Unfit(PhraseModel):
        def judge(self, window: str, prompt: str) -> Score:
            raise RuntimeError("marker")

    scanner = make_scanner(pool, Unfit())
    scanner.begin()
    with pytest.raises(ModelUnavailableError, match=r"^cannot be loaded: RuntimeError$"):
        scanner.scan(View("text"))


def test_a_tokenizer_that_makes_nothing_of_a_sentence_has_failed(pool: ScannerPool) -> None:
    class Deaf(PhraseModel):
        def windows(self, text: str) -> Sequence[str]:
            return []

    scanner = make_scanner(pool, Deaf())
    scanner.begin()
    with pytest.raises(ModelUnavailableError, match="tokenizer"):
        scanner.scan(View("text"))


def test_the_rule_tells_whether_texts_may_pass_without_the_model(pool: ScannerPool) -> None:
    assert failed(pool, ValueError()).required
    assert not failed(pool, ValueError(), replace(INPUT, required=False)).required


def test_what_health_may_show(pool: ScannerPool, caplog: pytest.LogCaptureFixture) -> None:
    rule = replace(INPUT, threshold=0.92, blocks=False)
    assert make_scanner(pool, PhraseModel(), rule).describe() == {
        "state": "loading",
        "scans": 0,
        "errors": 0,
        "threshold": "0.92",
        "action": "flag",
    }
    with caplog.at_level(logging.INFO):
        assert ready(pool, rule=rule).describe() == {
            "state": "ready",
            "scans": 1,
            "errors": 0,
            "threshold": "0.92",
            "action": "flag",
            "model": "ab12",
            "precision": "fp32",
            "device": "cpu",
        }
    assert caplog.messages == ["guard model ready: scanner=prompt_injection direction=input"]


def test_the_identity_tells_rule_state_and_model_apart(pool: ScannerPool) -> None:
    class Other(PhraseModel):
        def describe(self) -> Mapping[str, str | int]:
            return {"model": "cd34"}

    scanners = [
        make_scanner(pool, PhraseModel()),
        ready(pool),
        ready(pool, Other()),
        ready(pool, rule=replace(INPUT, threshold=0.6)),
        failed(pool, ValueError()),
    ]
    assert len({scanner.identity() for scanner in scanners}) == 5
    assert ready(pool).identity() == ready(pool).identity()


def test_a_full_pool_is_busy() -> None:
    pool = ScannerPool(1, max_pending=1, clock=SystemClock())
    pool.start()
    with pytest.raises(ScannerBusyError, match="PoolFullError"):
        ready(pool, PhraseModel(step=30)).scan(View("a" * 100))
    pool.stop()


def test_a_model_that_hangs_is_left_at_the_deadline(pool: ScannerPool) -> None:
    gate = Event()

    def hang(_window: str) -> float:
        assert gate.wait(10)
        return 0.0

    model = ScriptedModel(lambda window: hang(window) if window == "hang" else 0.0)
    scanner = ready(pool, model, replace(INPUT, timeout_s=0.5))
    with pytest.raises(ScannerBusyError, match="PoolTimeoutError"):
        scanner.scan(View("hang"))
    assert pool.status().stuck == 1
    assert scanner.scan(View("fine")) == Finding("", 0.0, blocks=False, hit=False)
    gate.set()


def test_a_stopped_pool_is_busy() -> None:
    pool = ScannerPool(1, max_pending=9, clock=SystemClock())
    pool.start()
    scanner = ready(pool)
    pool.stop()
    with pytest.raises(ScannerBusyError, match="PoolStoppedError"):
        scanner.scan(View("text"))


class AnnouncingPool(ScannerPool):
    """Counts the shared jobs that were taken."""

    def __init__(self) -> None:
        super().__init__(2, max_pending=100, clock=SystemClock())
        self.taken = Semaphore(0)

    def submit_shared(self, *args: Any, **kwargs: Any) -> Any:
        job = super().submit_shared(*args, **kwargs)
        self.taken.release()
        return job


def test_texts_in_flight_are_scored_once_for_each_scanner_and_prompt() -> None:
    pool, gate = AnnouncingPool(), Event()
    pool.start()
    asked: list[str] = []

    class Hanging(PhraseModel):
        def judge(self, window: str, prompt: str) -> Score:
            if window == "text":
                asked.append(prompt)
                assert prompt != "first" or gate.wait(SOON_S)
            return Score(0.25 if prompt == "first" else 0.5)

    scanner = ready(pool, Hanging(), OUTPUT)
    stranger = ready(pool, ScriptedModel(lambda _: 0.75), OUTPUT)
    assert all(pool.taken.acquire(timeout=SOON_S) for _ in range(2))  # of the harmless texts
    with ThreadPoolExecutor(3) as callers:
        same = [callers.submit(scanner.scan, View("text", prompt="first")) for _ in range(3)]
        assert all(pool.taken.acquire(timeout=SOON_S) for _ in same)
        others = [
            scanner.scan(View("text", prompt="second")),
            stranger.scan(View("text", prompt="first")),
        ]
        gate.set()
        assert others == [Finding("score", 0.5), Finding("score", 0.75)]
        for one in same:
            assert one.result(SOON_S) == Finding("", 0.25, blocks=False, hit=False)
    assert asked == ["first", "second"]
    pool.stop()


def test_thousands_of_mixed_scans_get_the_right_verdict() -> None:
    pool = ScannerPool(4, max_pending=10_000, clock=SystemClock())
    pool.start()
    scanners = [ready(pool, PhraseModel(phrase)) for phrase in ("open sesame", "abracadabra")]

    def is_right(seed: int) -> bool:
        dice = random.Random(seed % 1_500)  # some texts are in flight twice
        phrase = dice.choice(["open sesame", "abracadabra", "hocus pocus"])
        filler = "".join(dice.choices("abcdefg hij", k=dice.randrange(300)))
        at = dice.randrange(len(filler) + 1)
        text = filler[:at] + phrase + filler[at:]
        findings = [scanner.scan(View(text)) for scanner in scanners]
        hits = [finding is not None and finding.hit for finding in findings]
        return hits == [phrase == "open sesame", phrase == "abracadabra"]

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(is_right, range(2_000)))
    pool.stop()
