"""Pieces that overlap go as one."""

import time

import pytest

from ogp.guard.base import Span
from ogp.guard.edits import Edit, clusters_of, edited, redacted


def ends(*spans: Span) -> list[tuple[int, int, str]]:
    clusters = clusters_of([(span, "scanner") for span in spans])
    return [(each.start, each.end, each.spans[0][0].label) for each in clusters]


def test_a_label_stands_in_the_place_of_a_hit() -> None:
    assert redacted(Span(0, 3, "phrase no. 1")) == "[REDACTED:phrase no. 1]"


def test_nothing_stands_in_the_place_of_a_hit_without_label() -> None:
    assert redacted(Span(0, 3, "")) == ""


def test_pieces_apart_stay_apart_in_their_order() -> None:
    assert ends(Span(5, 6, "b"), Span(0, 2, "a")) == [(0, 2, "a"), (5, 6, "b")]


def test_overlapping_pieces_are_one_that_is_called_after_the_first() -> None:
    assert ends(Span(2, 6, "b"), Span(0, 3, "a"), Span(5, 9, "c")) == [(0, 9, "a")]


def test_of_pieces_that_begin_together_the_longest_gives_the_name() -> None:
    assert ends(Span(0, 2, "a"), Span(0, 5, "b")) == [(0, 5, "b")]


def test_neighbours_stay_apart_unless_nothing_takes_their_place() -> None:
    assert ends(Span(0, 2, "a"), Span(2, 4, "a")) == [(0, 2, "a"), (2, 4, "a")]
    assert ends(Span(0, 2, ""), Span(2, 4, "")) == [(0, 4, "")]


def test_a_piece_within_another_changes_nothing() -> None:
    assert ends(Span(0, 9, "a"), Span(2, 4, "b")) == [(0, 9, "a")]


def test_the_order_in_which_pieces_were_found_does_not_matter() -> None:
    one, other = (Span(0, 2, "a"), "x"), (Span(0, 2, "b"), "w")
    assert clusters_of([one, other]) == clusters_of([other, one])


def test_edits_fall_where_they_stand() -> None:
    assert edited("abcdef", [Edit(0, 1, "", "x"), Edit(2, 4, "--", "x")]) == "b--ef"
    assert edited("abc", []) == "abc"


@pytest.mark.parametrize("length", [1, 2, 5_000])
def test_time_is_linear(length: int) -> None:
    def cost_s(count: int) -> float:
        found = [(Span(place, place + length, ""), "scanner") for place in range(count)]
        times = []
        for _ in range(3):
            started = time.thread_time()
            clusters_of(found)
            times.append(time.thread_time() - started)
        return min(times)

    assert cost_s(20_000) < 12 * cost_s(5_000) + 0.01
