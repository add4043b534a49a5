"""Verdicts as JSON: what is in it, what never is, and how much of it."""

import json
from typing import Any

import pytest

from ogp.core.details import MAX_DETAILS_CHARS, details_of
from ogp.core.types import GuardState, ScannerResult, Verdict


def facts(*results: ScannerResult, **verdict: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(details_of(Verdict(GuardState.CLEAN, results, **verdict)))
    return loaded


def said(result: ScannerResult) -> dict[str, Any]:
    shown: dict[str, Any] = facts(result)["scanners"][result.scanner]
    return shown


def test_a_pass_has_score_and_time() -> None:
    result = ScannerResult("toxicity", passed=True, score=0.0131234567, elapsed_ms=1.23456)
    assert said(result) == {"passed": True, "score": 0.013123, "ms": 1.235}


def test_a_remembered_result_has_no_time() -> None:
    assert said(ScannerResult("s", passed=True)) == {"passed": True, "score": 0.0}


def test_a_block_has_its_score_and_not_its_reason() -> None:
    result = ScannerResult("regex", passed=False, score=1.0, reason="case number")
    assert said(result) == {"passed": False, "score": 1.0}


def test_a_hit_that_was_let_through_says_so() -> None:
    result = ScannerResult("regex", passed=True, score=1.0, reason="case number")
    assert said(result) == {"passed": True, "score": 1.0, "flagged": True}


def test_what_was_taken_out_is_counted() -> None:
    result = ScannerResult("secrets", passed=True, score=1.0, reason="key", redacted=2)
    assert said(result) == {"passed": True, "score": 1.0, "redacted": 2}


def test_a_failure_has_its_kind_and_no_score() -> None:
    result = ScannerResult("s", passed=False, reason="TimeoutError", error=True, elapsed_ms=30.0)
    assert said(result) == {"passed": False, "error": "TimeoutError", "ms": 30.0}


def test_configuration_and_cache_stand_first() -> None:
    text = details_of(Verdict(GuardState.CLEAN, cached=True, configuration="0123456789ab"))
    assert text == '{"configuration":"0123456789ab","cached":true,"scanners":{}}'


def test_what_nobody_could_read_is_listed() -> None:
    assert facts(unscanned=("images", "toxicity"))["unscanned"] == ["images", "toxicity"]
    assert "unscanned" not in facts()


def test_no_number_that_is_none_gets_into_the_json() -> None:
    assert said(ScannerResult("s", passed=True, score=float("nan")))["score"] is None


def many(count: int, length: int = 40, **fields: Any) -> tuple[ScannerResult, ...]:
    names = (f"{number:03}".ljust(length, "x") for number in range(count))
    return tuple(ScannerResult(name, passed=True, **fields) for name in names)


def test_what_just_fits_is_whole() -> None:
    shown = facts(*many(40))
    assert len(shown["scanners"]) == 40
    assert "left_out" not in shown


def test_what_does_not_fit_is_counted() -> None:
    results = many(200)
    shown = facts(*results)
    assert len(details_of(Verdict(GuardState.CLEAN, results))) <= MAX_DETAILS_CHARS
    assert shown["left_out"] == 200 - len(shown["scanners"])
    assert len(shown["scanners"]) > 40


def test_hits_are_not_what_is_left_out() -> None:
    block = ScannerResult("block", passed=False, score=1.0, reason="r")
    flag = ScannerResult("flag", passed=True, score=1.0, reason="r")
    shown = facts(*many(200), flag, block)
    assert list(shown["scanners"])[:2] == ["block", "flag"]


@pytest.mark.parametrize("length", [3_000, 5_000, 100_000])
def test_a_name_of_any_length_does_not_break_the_bound(length: int) -> None:
    verdict = Verdict(GuardState.CLEAN, (*many(2, length), *many(2)), ("i" * length, "images") * 9)
    text = details_of(verdict)
    assert len(text) <= MAX_DETAILS_CHARS
    shown = json.loads(text)
    assert len(shown["scanners"]) + len(shown["unscanned"]) + shown["left_out"] == 4 + 18
    assert "images" in shown["unscanned"]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "ä\n\0", "\u202e" * 900, "😀" * 900])
def test_a_hostile_name_is_only_a_name(name: str) -> None:
    text = details_of(Verdict(GuardState.CLEAN, (ScannerResult(name, passed=True),)))
    assert len(text) <= MAX_DETAILS_CHARS
    assert list(json.loads(text)["scanners"]) == [name]
