"""Operator patterns at work."""

import time

import pytest

from ogp.guard.base import View
from ogp.guard.patterns import RegexScanner
from ogp.settings.guard_schema import RegexPattern


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
    assert make_scanner("a", "b").describe() == {"patterns": 2, "action": "block"}


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


def taken(scanner: RegexScanner, text: str, **view: int | bool) -> list[str]:
    spans = scanner.spans(View(text, **view))  # type: ignore[arg-type]
    return [text[span.start : span.end] for span in spans]


def test_every_match_is_taken_out_where_it_stands() -> None:
    scanner = make_scanner("cat", r"d.g")
    assert taken(scanner, "a CAT, a dog, cat") == ["CAT", "cat", "dog"]
    assert [span.label for span in scanner.spans(View("dog"))] == ["p1"]


def test_overlapping_matches_are_all_told() -> None:
    assert taken(make_scanner("aba"), "ababa") == ["aba", "aba"]


def test_the_context_before_the_start_is_seen_and_not_taken_out() -> None:
    assert taken(make_scanner(r"\bab"), "xab ab", start=1) == ["ab"]


@pytest.mark.parametrize("pattern", ["abc$", r"abc\b", "abc(?!d)"])
def test_what_follows_a_match_is_waited_for(pattern: str) -> None:
    scanner = RegexScanner([RegexPattern(name="p", pattern=pattern, max_length=3)], "redact")
    assert taken(scanner, "abc", open=True) == []
    assert scanner.settled(View("abc", open=True)) == 0
    assert taken(scanner, "abcx", open=True) == ([] if "?" not in pattern else ["abc"])
    assert taken(scanner, "abc") == ["abc"]


def test_an_unbounded_pattern_takes_out_what_is_as_long_as_declared() -> None:
    scanner = make_scanner(r"a\d*z", max_length=10)
    for before in range(45):
        text = "." * before + "a" + "1" * 8 + "z" + "." * 7
        assert taken(scanner, text) == ["a" + "1" * 8 + "z"]
    assert taken(scanner, "a" + "1" * 9 + "z az") == ["az"]
    assert taken(scanner, "." * 100) == []


def test_an_unbounded_pattern_waits_for_the_end_of_its_match() -> None:
    scanner = RegexScanner([RegexPattern(name="p", pattern=r"a\d+", max_length=4)], "redact")
    assert taken(scanner, "xa12", open=True) == []
    assert taken(scanner, "xa12.....", open=True) == ["a12"]
    assert taken(scanner, "x" * 20, open=True) == []


def test_a_name_is_no_way_to_write_something_else_into_a_text() -> None:
    pattern = RegexPattern(name='a"]\n{' + "x" * 99, pattern="cat", max_length=3)
    (span,) = RegexScanner([pattern], "redact").spans(View("cat"))
    assert span.label == "a____" + "x" * 35


@pytest.mark.parametrize("action", ["block", "flag", "redact"])
def test_the_action_tells_what_a_hit_does(action: str) -> None:
    pattern = RegexPattern(name="p", pattern="cat", max_length=3)
    scanner = RegexScanner([pattern], action)  # type: ignore[arg-type]
    finding = scanner.scan(View("cat"))
    assert finding is not None
    assert finding.blocks is (action != "flag")
    assert scanner.redacts is (action == "redact")
    assert scanner.describe() == {"patterns": 1, "action": action}


@pytest.mark.parametrize("seed", ["a1", "a", "1", "az", "a11111111z"])
def test_time_to_find_all_is_linear(seed: str) -> None:
    scanner = make_scanner(r"a\d*z", r"\d{1,20}", r"a.{0,9}z")

    def cost_s(chars: int) -> float:
        view = View(seed * (chars // len(seed)))
        times = []
        for _ in range(3):
            started = time.thread_time()
            scanner.spans(view)
            times.append(time.thread_time() - started)
        return min(times)

    assert cost_s(20_000) < 12 * cost_s(5_000) + 0.01
