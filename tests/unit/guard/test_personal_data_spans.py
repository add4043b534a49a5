"""Findings of parts and finders, put together."""

import random
from itertools import pairwise

import pytest

from ogp.guard.base import Span
from ogp.guard.personal_data import Found
from ogp.guard.personal_data_spans import is_inside_word, parts_of, spans_of


def test_a_short_text_is_one_part() -> None:
    assert list(parts_of(10, 10, 4)) == [(0, 10)]
    assert list(parts_of(0, 10, 4)) == [(0, 0)]


def test_parts_overlap_and_reach_the_end() -> None:
    assert list(parts_of(23, 10, 4)) == [(0, 10), (6, 16), (12, 22), (18, 23)]


def test_what_two_parts_found_is_one_span() -> None:
    found = [Found(2, 5, "URL", 1.0), Found(2, 5, "URL", 1.0), Found(8, 9, "URL", 1.0)]
    assert spans_of(found, "x" * 10) == (Span(2, 5, "URL"), Span(8, 9, "URL"))


def test_overlapping_patterns_become_one_span_of_the_surest() -> None:
    found = [Found(0, 6, "US_SSN", 0.5), Found(4, 9, "UK_NHS", 0.9)]
    assert spans_of(found, "x" * 10) == (Span(0, 9, "UK_NHS"),)


def test_of_equal_scores_the_longest_names_the_span() -> None:
    found = [Found(0, 3, "US_SSN", 0.5), Found(0, 9, "PHONE_NUMBER", 0.5)]
    assert spans_of(found, "x" * 10) == (Span(0, 9, "PHONE_NUMBER"),)


def test_neighbours_stay_apart() -> None:
    found = [Found(0, 3, "URL", 0.5), Found(3, 5, "URL", 0.5)]
    assert spans_of(found, "x" * 10) == (Span(0, 3, "URL"), Span(3, 5, "URL"))


def test_patterns_are_taken_out_of_names() -> None:
    text = "Ada ada@example.com Lovelace"
    found = [Found(0, len(text), "PERSON", 0.9), Found(4, 19, "EMAIL_ADDRESS", 0.5)]
    assert spans_of(found, text) == (
        Span(0, 3, "PERSON"),
        Span(4, 19, "EMAIL_ADDRESS"),
        Span(20, 28, "PERSON"),
    )


@pytest.mark.parametrize(("start", "end"), [(0, 7), (2, 5), (1, 7)])
def test_nothing_is_left_of_a_name_that_a_pattern_covers(start: int, end: int) -> None:
    found = [Found(start, end, "PERSON", 0.9), Found(1, 6, "URL", 0.5)]
    assert spans_of(found, " abcde ") == (Span(1, 6, "URL"),)


def test_names_lose_what_is_no_letter_at_their_ends() -> None:
    assert spans_of([Found(0, 7, "PERSON", 1.0)], " (Ada) ") == (Span(2, 5, "PERSON"),)
    assert spans_of([Found(0, 3, "PERSON", 1.0)], " . ") == ()


@pytest.mark.parametrize(
    ("text", "position", "is_inside"),
    [
        ("abc", 1, True),
        ("a1", 1, True),
        ("a b", 1, False),
        ("a.b", 2, False),
        ("abc", 0, False),
        ("abc", 3, False),
        ("中文", 1, False),
        ("ไทย", 1, False),
        ("x中", 1, False),
    ],
)
def test_where_words_are_cut(text: str, position: int, is_inside: bool) -> None:
    assert is_inside_word(text, position) is is_inside


def test_spans_are_sorted_and_apart_whatever_was_found() -> None:
    dice = random.Random(5)
    text = "".join(dice.choices("ab .", k=200))
    for _ in range(300):
        found = []
        for _ in range(dice.randrange(12)):
            start = dice.randrange(199)
            end = dice.randrange(start + 1, min(200, start + 30) + 1)
            found.append(Found(start, end, dice.choice(("PERSON", "LOCATION", "URL")), 0.5))
        spans = spans_of(found, text)
        assert all(first.end <= second.start for first, second in pairwise(spans))
        assert all(text[span.start : span.end].strip() for span in spans if span.label != "URL")
