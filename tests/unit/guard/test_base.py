"""What every scanner says about an open end."""

from ogp.guard.base import View, settled_by_hold


def test_a_text_that_ended_is_settled_whole() -> None:
    assert settled_by_hold(View("abcdef"), hold_chars=4) == 6


def test_an_open_text_keeps_what_could_begin_a_match() -> None:
    assert settled_by_hold(View("abcdef", open=True), hold_chars=4) == 3


def test_what_was_settled_once_stays_settled() -> None:
    assert settled_by_hold(View("abcdef", start=5, open=True), hold_chars=4) == 5
