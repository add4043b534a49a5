"""Operator patterns at work."""

import time

import pytest

from ogp.guard.base import View
from ogp.guard.patterns import RegexScanner
from ogp.settings.schema import RegexPattern


def make_scanner(*patterns: str, max_length: int = 20) -> RegexScanner:
    return RegexScanner(
        [
            RegexPattern(name=f"p{number}", pattern=pattern, max_length=max_length)
            for number, pattern in enumerate(patterns)
        ]
    )


def test_the_reason_is_the_name_of_the_pattern() -> None:
    finding = make_scanner("nothing", r"se.ret").scan(View("a SECRET"))
    assert finding is not None
    assert finding.reason == "pattern p1"


def test_a_text_without_a_match_passes() -> None:
    assert make_scanner("abc", "a.*z").scan(View("zzz a")) is None


def test_an_unsafe_pattern_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"regex: pattern 'p1' nests quantifiers"):
        make_scanner("fine", r"(a+)+b")


def test_an_unbounded_pattern_is_found_anywhere_up_to_its_length() -> None:
    scanner = make_scanner(r"a\d*z")
    for before in range(100):
        text = "." * before + "a" + "1" * 18 + "z" + "." * 7
        assert scanner.scan(View(text)) is not None


def test_an_unbounded_pattern_is_not_looked_for_beyond_twice_its_length() -> None:
    assert make_scanner(r"a\d*z").scan(View("a" + "1" * 60 + "z")) is None


@pytest.mark.parametrize("pattern", [r"abc(?!d)", r"abc+(?!d)"])
def test_an_open_end_is_waited_for(pattern: str) -> None:
    scanner = make_scanner(pattern, max_length=5)
    assert scanner.scan(View("xabc", open=True)) is None
    assert scanner.scan(View("xabc.e", open=True)) is not None
    assert scanner.scan(View("xabc")) is not None


@pytest.mark.parametrize("pattern", [r"\babc", r"\bab+c"])
def test_the_context_before_the_start_is_seen_and_not_matched(pattern: str) -> None:
    scanner = make_scanner(pattern)
    assert scanner.scan(View("xabc", start=1)) is None
    assert scanner.scan(View("abc abc", start=1)) is not None
    assert scanner.scan(View("abc xx", start=1)) is None


def test_the_longest_pattern_decides_about_the_hold() -> None:
    scanner = RegexScanner(
        [
            RegexPattern(name="a", pattern="a", max_length=3),
            RegexPattern(name="b", pattern="b", max_length=9),
        ]
    )
    assert scanner.hold_chars == 9
    assert scanner.settled(View("x" * 20, open=True)) == 12


def test_describe_counts_patterns() -> None:
    assert make_scanner("a", "b").describe() == {"patterns": 2}


@pytest.mark.parametrize(
    ("pattern", "seed"),
    [
        (r"a.*b.{0,3}c", "a"),
        (r"password.*is", "password"),
        (r"[\w.+-]+@[\w.-]+\.[a-z]{2,}", "_"),
        (r"[\w.+-]+@[\w.-]+\.[a-z]{2,}", "@a.a"),
        (r"\b(?:\d[ -]*?){13,16}\b", "1 " * 12 + "x"),
    ],
)
def test_time_is_linear(pattern: str, seed: str) -> None:
    scanner = make_scanner(pattern, max_length=200)

    def cost_s(chars: int) -> float:
        view = View(seed * (chars // len(seed)))
        times = []
        for _ in range(2):
            started = time.thread_time()
            assert scanner.scan(view) is None
            times.append(time.thread_time() - started)
        return min(times)

    assert cost_s(100_000) < 12 * cost_s(25_000) + 0.01
