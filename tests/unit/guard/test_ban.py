"""Literal phrases."""

import time

import pytest

from ogp.guard.ban import BanSubstringsScanner
from ogp.guard.base import View
from ogp.guard.normalise import Normaliser


def make_scanner(*phrases: str, match_type: str = "str") -> BanSubstringsScanner:
    return BanSubstringsScanner(phrases, match_type, Normaliser())  # type: ignore[arg-type]


def hit(scanner: BanSubstringsScanner, text: str, **view: int | bool) -> bool:
    return scanner.scan(View(text, **view)) is not None  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["OPEN Sesame", "say:open sesame!", "reopen sesames"])
def test_str_finds_a_phrase_anywhere_in_any_case(text: str) -> None:
    assert hit(make_scanner("Open Sesame"), text)


@pytest.mark.parametrize("text", ["STRASSE", "straße", "Strasse"])
def test_case_folding_goes_beyond_lower_case(text: str) -> None:
    assert hit(make_scanner("Straße"), text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a cat.", True), ("cat", True), ("cats", False), ("bobcat", False), ("_cat", False)],
)
def test_word_asks_for_boundaries(text: str, expected: bool) -> None:
    assert hit(make_scanner("cat", match_type="word"), text) is expected


def test_word_asks_for_no_boundary_where_the_phrase_has_none() -> None:
    assert hit(make_scanner("$cash!", match_type="word"), "a$cash!b")


def test_a_shorter_word_is_found_within_a_longer_phrase_that_fails() -> None:
    scanner = make_scanner("cat nap", "cat", match_type="word")
    assert hit(scanner, "cat naps")


def test_the_reason_tells_the_number_and_not_the_phrase() -> None:
    finding = make_scanner("first", "second").scan(View("the second one"))
    assert finding is not None
    assert finding.reason == "phrase no. 2"


def test_special_characters_are_literal() -> None:
    scanner = make_scanner("a.b*", "(x|y)")
    assert hit(scanner, "A.B*")
    assert hit(scanner, "(x|y)")
    assert not hit(scanner, "axbb x y")


def test_a_phrase_is_found_as_the_normaliser_leaves_it() -> None:
    assert hit(make_scanner("ｃａｆé"), "cafe")


def test_a_phrase_of_unseen_characters_only_is_still_found_raw() -> None:
    assert hit(make_scanner("\u200b"), "a\u200bb")


def test_many_phrases_with_one_beginning_are_all_found() -> None:
    phrases = ["a" * n + "b" for n in range(1, 150)]
    scanner = make_scanner(*phrases, match_type="word")
    assert all(hit(scanner, phrase) for phrase in phrases)
    assert not hit(scanner, "a" * 150)


def test_matches_before_the_start_do_not_count() -> None:
    assert not hit(make_scanner("cat"), "cat dog", start=1)
    assert hit(make_scanner("cat"), "ß cat", start=2)


def test_the_context_decides_about_a_word_at_the_start() -> None:
    assert not hit(make_scanner("cat", match_type="word"), "bobcat ", start=3)


def test_a_word_at_an_open_end_is_not_a_hit_yet() -> None:
    scanner = make_scanner("cat", match_type="word")
    assert not hit(scanner, "a cat", open=True)
    assert hit(scanner, "a cat ", open=True)


@pytest.mark.parametrize("phrase", ["", "  ", "x" * 201])
def test_unusable_phrases_are_refused_by_number(phrase: str) -> None:
    with pytest.raises(ValueError, match=r"ban_substrings: phrase no\. 2 must have 1 to 200"):
        make_scanner("fine", phrase)


def test_hold_covers_the_longest_form_and_the_boundary() -> None:
    assert make_scanner("ab", "ﬃx").hold_chars == 4
    assert make_scanner("abc", match_type="word").hold_chars == 4


def test_settled_leaves_what_could_begin_a_phrase() -> None:
    assert make_scanner("cat").settled(View("0123456789", open=True)) == 8


@pytest.mark.parametrize("seed", ["phrase number ", "p", "ph", "phrase ", "ß"])
def test_time_is_linear(seed: str) -> None:
    scanner = make_scanner(*(f"phrase number {n}x" for n in range(200)), match_type="word")

    def cost_s(chars: int) -> float:
        view = View(seed * (chars // len(seed)))
        times = []
        for _ in range(3):
            started = time.thread_time()
            assert scanner.scan(view) is None
            times.append(time.thread_time() - started)
        return min(times)

    assert cost_s(100_000) < 12 * cost_s(25_000) + 0.01


def taken(text: str, *phrases: str, match_type: str = "str", **view: int | bool) -> list[str]:
    spans = make_scanner(*phrases, match_type=match_type).spans(View(text, **view))  # type: ignore[arg-type]
    return [text[span.start : span.end] for span in spans]


def test_every_phrase_is_taken_out_where_it_stands() -> None:
    assert taken("a CAT and a dog, cat", "cat", "dog") == ["CAT", "dog", "cat"]
    spans = make_scanner("cat", "dog").spans(View("dog"))
    assert [span.label for span in spans] == ["phrase no. 2"]


def test_overlapping_phrases_are_all_told() -> None:
    assert taken("open sesame day", "open sesame", "same day") == ["open sesame", "same day"]
    assert taken("aaaa", "aa") == ["aa", "aa", "aa"]


def test_of_phrases_that_begin_together_the_longest_is_told() -> None:
    assert taken("cat nap", "cat", "cat nap") == ["cat nap"]
    assert taken("cat naps", "cat", "cat nap", match_type="word") == ["cat"]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("die Straße und ẞ", ["Straße"]),
        ("die STRASSE", ["STRASSE"]),
        ("ßß strasse ß", ["strasse"]),
        ("İİ Straßen", ["Straße"]),
    ],
)
def test_places_are_those_of_the_text_as_it_was(text: str, pieces: list[str]) -> None:
    assert taken(text, "straße") == pieces


def test_a_letter_that_folds_to_several_goes_whole() -> None:
    assert taken("Maß!", "s!") == ["ß!"]
    assert taken("ßx", "mas", "s") == ["ß", "ß"]


def test_what_stands_before_the_start_is_not_taken_out() -> None:
    assert taken("cat ß cat", "cat", start=1) == ["cat"]


def test_a_word_at_an_open_end_is_not_taken_out_yet() -> None:
    assert taken("cat cat", "cat", match_type="word", open=True) == ["cat"]


@pytest.mark.parametrize("action", ["block", "flag", "redact"])
def test_the_action_tells_what_a_hit_does(action: str) -> None:
    scanner = BanSubstringsScanner(["cat"], "str", Normaliser(), action)  # type: ignore[arg-type]
    finding = scanner.scan(View("cat"))
    assert finding is not None
    assert finding.blocks is (action != "flag")
    assert scanner.redacts is (action == "redact")
    assert scanner.describe()["action"] == action
    assert scanner.identity() != make_scanner("cat").identity() or action == "block"


@pytest.mark.parametrize("seed", ["phrase number 7x", "a", "ß"])
def test_time_to_find_all_is_linear(seed: str) -> None:
    scanner = make_scanner("phrase number 7x", "a" * 100, "ss" * 50)

    def cost_s(chars: int) -> float:
        view = View(seed * (chars // len(seed)))
        times = []
        for _ in range(3):
            started = time.thread_time()
            scanner.spans(view)
            times.append(time.thread_time() - started)
        return min(times)

    assert cost_s(40_000) < 12 * cost_s(10_000) + 0.01
