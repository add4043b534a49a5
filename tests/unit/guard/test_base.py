"""What every scanner says about an open end."""

from ogp.guard.base import View, identity_of, redactors_of, settled_by_hold
from ogp.guard.invisible import InvisibleTextScanner
from ogp.guard.length import TokenLimitScanner


def test_a_text_that_ended_is_settled_whole() -> None:
    assert settled_by_hold(View("abcdef"), hold_chars=4) == 6


def test_an_open_text_keeps_what_could_begin_a_match() -> None:
    assert settled_by_hold(View("abcdef", open=True), hold_chars=4) == 3


def test_what_was_settled_once_stays_settled() -> None:
    assert settled_by_hold(View("abcdef", start=5, open=True), hold_chars=4) == 5


def test_an_identity_differs_with_every_fact_and_shows_none() -> None:
    given = [identity_of("ban", ("heron",), 1), identity_of("ban", ("heron",), 2)]
    given += [identity_of("ban", ("heron", 1)), identity_of("regex", ("heron",), 1)]
    given += [identity_of("ban", ("her", "on"), 1), identity_of("ban", ("heron',), 1",))]
    assert len(set(given)) == len(given)
    assert "heron" not in str(given)


def test_facts_may_hold_any_text() -> None:
    assert identity_of("ban", "\ud800", "'\"\\\n") == identity_of("ban", "\ud800", "'\"\\\n")


def test_those_that_take_out_are_picked() -> None:
    scanners = (InvisibleTextScanner(), InvisibleTextScanner("redact"), TokenLimitScanner(1))
    assert redactors_of(scanners) == (scanners[1],)
