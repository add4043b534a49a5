import traceback
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ogp.guard.llmguard_model import LLMGuardModel, Parts, Watched
from ogp.guard.llmguard_scanners import SCANNERS, checked
from ogp.guard.llmguard_text import MAX_PROMPT_PARTS, Room, addresses
from ogp.guard.model import ScannerFailedError, Score
from tests.support.phrase_model import score_of
from tests.support.tiny_models import build_tokenizer

MARKER = "planted-marker"
LONG = "hello " * 300


class Scanner:
    """A scanner of llm-guard as far as `Parts` know it: it computes once for each scan."""

    def __init__(self, compute: Callable[[str, str], float], *, valid: bool = True) -> None:
        self.seen: list[tuple[str, str]] = []
        self._compute, self._valid = compute, valid
        self.watched = Watched(self._classify, lambda _: None, {})

    def scan(self, prompt: str, text: str) -> bool:
        self.watched([text], prompt)
        return self._valid

    def _classify(self, texts: Sequence[str], prompt: str) -> Any:
        self.seen.append((prompt, texts[0]))
        value = self._compute(prompt, texts[0])
        return [{"label": "BIASED", "score": value}]


def model(name: str, scanner: Scanner, **parameters: Any) -> LLMGuardModel:
    spec = SCANNERS[name]
    room = Room(lambda: build_tokenizer("words"), 128, 3, shares=spec.shares)
    extract = addresses if spec.cuts == "urls" else lambda text: (text,)
    parts = Parts(scanner.scan, scanner.watched, {"model": "x"}, room, extract)
    return LLMGuardModel(spec, checked(spec, "output", parameters), parts)


def agreeing(scanner: Scanner) -> LLMGuardModel:
    """Compares prompt and answer; scores as `Scanner` gives them."""
    spec = SCANNERS["language_same"]
    room = Room(lambda: build_tokenizer("words"), 128, 3, shares=False)

    def read(results: Sequence[Any], _: object) -> Score:
        return Score(results[0][0]["score"])

    from dataclasses import replace

    parts = Parts(scanner.scan, scanner.watched, {}, room)
    return LLMGuardModel(replace(spec, read=read), {"threshold": 0.9}, parts)


def test_score_and_label_are_read_from_what_was_computed() -> None:
    scanner = Scanner(lambda *_: 0.25)
    assert score_of(model("bias", scanner), "text", "prompt") == Score(0.25, "BIASED")


def test_what_llm_guard_refuses_is_never_below_the_threshold() -> None:
    scanner = Scanner(lambda *_: 0.25, valid=False)
    assert score_of(model("bias", scanner, threshold=0.6), "text", "prompt").value == 0.6


def test_a_scanner_without_weights_scores_one() -> None:
    spec = SCANNERS["json"]
    parts = Parts(lambda *_: False, Watched(lambda: None, lambda _: None, {}), {})
    scanner = LLMGuardModel(spec, checked(spec, "output", {}), parts)
    assert score_of(scanner, "text").value == 1.0


def test_a_scanner_without_weights_sees_the_whole_text() -> None:
    spec = SCANNERS["json"]
    parts = Parts(lambda *_: True, Watched(lambda: None, lambda _: None, {}), {})
    assert LLMGuardModel(spec, checked(spec, "output", {}), parts).windows(LONG) == (LONG,)


def test_the_prompt_is_kept_from_scanners_that_do_not_compare() -> None:
    scanner = Scanner(lambda *_: 0.0)
    score_of(model("no_refusal", scanner), "text", "prompt")
    assert scanner.seen == [("", "text")]


def test_no_text_has_no_windows() -> None:
    assert model("bias", Scanner(lambda *_: 0.0)).windows(" \n") == ()


def test_a_text_with_nothing_to_look_at_passes_unseen() -> None:
    scanner = Scanner(lambda *_: 1.0)
    urls = model("malicious_urls", scanner)
    assert [score_of(urls, window) for window in urls.windows("no address")] == [Score(0.0)]
    assert scanner.seen == []


@pytest.mark.parametrize("prompt", ["", " \n"])
def test_nothing_is_compared_with_a_blank_prompt(prompt: str) -> None:
    scanner = Scanner(lambda *_: 1.0)
    assert score_of(agreeing(scanner), "text", prompt) == Score(0.0)
    assert scanner.seen == []


def test_what_is_judged_together_is_judged_with_a_blank_prompt_too() -> None:
    scanner = Scanner(lambda *_: 0.2)
    assert score_of(model("bias", scanner), "text").value == 0.2


def test_agreement_with_one_part_of_a_long_prompt_is_enough() -> None:
    scanner = Scanner(lambda prompt, _: 0.1 if "code" in prompt else 0.95)
    assert score_of(agreeing(scanner), "text", f"code {LONG}").value == 0.1


def test_no_more_parts_are_compared_than_needed() -> None:
    scanner = Scanner(lambda *_: 0.1)
    score_of(agreeing(scanner), "text", f"{LONG} code")
    (only,) = scanner.seen
    assert only[0].endswith("code")


def test_the_part_that_agrees_best_gives_the_risk() -> None:
    scanner = Scanner(lambda prompt, _: 0.92 if "code" in prompt else 0.95)
    assert score_of(agreeing(scanner), "text", f"{LONG} code {LONG}").value == 0.92


def test_the_worst_part_of_what_is_judged_together_gives_the_risk() -> None:
    scanner = Scanner(lambda prompt, _: 0.4 if "code" in prompt else 0.2)
    assert score_of(model("bias", scanner), "text", f"{LONG} code {LONG}").value == 0.4


def test_a_hit_in_one_part_of_what_is_judged_together_is_enough() -> None:
    scanner = Scanner(lambda prompt, _: 0.9 if prompt.endswith("code") else 0.2)
    assert score_of(model("bias", scanner), "text", f"{LONG} code").value == 0.9
    assert len(scanner.seen) == 1


def test_a_prompt_too_long_to_compare_with_is_an_error() -> None:
    prompt = LONG * MAX_PROMPT_PARTS
    with pytest.raises(ScannerFailedError, match="language_same: TextTooLongError"):
        score_of(agreeing(Scanner(lambda *_: 0.0)), "text", prompt)


def test_an_error_carries_the_kind_and_nothing_of_the_text() -> None:
    def fail(_: str, text: str) -> float:
        raise KeyError(text)

    with pytest.raises(ScannerFailedError) as caught:
        score_of(model("bias", Scanner(fail)), MARKER, MARKER)
    assert str(caught.value) == "bias: KeyError"
    assert MARKER not in "".join(traceback.format_exception(caught.value))


def test_nothing_of_a_failed_scan_is_kept_for_the_next() -> None:
    values = iter((0.9, 0.1))
    scanner = Scanner(lambda *_: next(values))
    bias = model("bias", scanner)

    def fail(prompt: str, text: str) -> bool:
        scanner.scan(prompt, text)
        raise KeyError

    broken = Parts(fail, scanner.watched, {}, bias._parts.room)
    with pytest.raises(ScannerFailedError):
        score_of(LLMGuardModel(SCANNERS["bias"], {"threshold": 0.7}, broken), "text", "prompt")
    assert score_of(bias, "text", "prompt").value == 0.1


def test_watched_checks_every_text() -> None:
    checked_texts: list[str] = []
    watched = Watched(lambda *_: 1, checked_texts.append, {})
    with watched:
        watched(["a", "b"])
        watched("c", ["topic"])
        watched()
        assert watched.results == (1, 1, 1)
    assert checked_texts == ["a", "b", "c"]


def test_fixed_arguments_win() -> None:
    watched = Watched(lambda **given: given, lambda _: None, {"multi_label": True})
    with watched:
        watched(multi_label=False)
        assert watched.results == ({"multi_label": True},)


def test_facts_are_shown() -> None:
    assert model("bias", Scanner(lambda *_: 0.0)).describe() == {"model": "x"}


@pytest.mark.parametrize(("threshold", "is_clear"), [(0.95, False), (0.3, True)])
def test_parts_of_a_prompt_are_looked_at_until_the_side_of_the_given_threshold_is_clear(
    threshold: float, is_clear: bool
) -> None:
    seen: list[str] = []

    def compute(prompt: str, _text: str) -> float:
        seen.append(prompt)
        return 0.9

    bias = model("bias", Scanner(compute))
    assert score_of(bias.judged_at(threshold), "text", LONG * 2).value == 0.9
    assert (len(seen) == 1) is is_clear


def test_what_llm_guard_refuses_keeps_its_own_threshold_under_another() -> None:
    bias = model("bias", Scanner(lambda *_: 0.2, valid=False), threshold=0.6)
    assert score_of(bias.judged_at(0.9), "text", "prompt").value == 0.6


def test_windows_are_judged_one_by_one() -> None:
    bias = model("bias", Scanner(lambda _, text: len(text) / 10))
    scores = bias.scores([("a", "p"), ("abc", "p")])
    assert [score.value for score in scores] == [0.1, 0.3]
    assert not bias.takes_batches
