"""What the scanners said, put together."""

import logging
from collections.abc import Mapping

import pytest

from ogp.core.errors import TooLargeError
from ogp.core.types import GuardState, ScannerResult, Verdict
from ogp.guard.base import Finding, View, ViewKind
from ogp.guard.model import ModelUnavailableError, ScannerBusyError
from ogp.guard.tally import Tally, blocking_names, refusal_facts


class Fixed:
    """A scanner that answers each view from a list."""

    reads: tuple[ViewKind, ...] = (ViewKind.RAW, ViewKind.NORMALISED)
    hold_chars = 1
    required = True

    def __init__(self, name: str, *answers: Finding | Exception | None) -> None:
        self.name = name
        self._answers = list(answers)
        self.asked = 0

    def scan(self, view: View) -> Finding | None:
        self.asked += 1
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def settled(self, view: View) -> int:
        return len(view.text)

    def describe(self) -> Mapping[str, int | str]:
        return {}


VIEWS = [View("a"), View("b"), View("c")]
HIT, FLAG = Finding("rule r"), Finding("rule f", blocks=False)


def test_all_views_are_shown_and_nothing_found_is_clean() -> None:
    tally, scanner = Tally(), Fixed("s", None, None, None)
    tally.ask(scanner, VIEWS)
    assert scanner.asked == 3
    assert tally.verdict() == Verdict(GuardState.CLEAN, (ScannerResult("s", passed=True),))


def test_a_block_ends_the_views_and_is_kept() -> None:
    tally, scanner = Tally(), Fixed("s", None, HIT)
    tally.ask(scanner, VIEWS)
    assert tally.is_blocked
    assert tally.verdict().results == (ScannerResult("s", False, 1.0, "rule r"),)
    assert tally.verdict().summary() == "blocked:s"


def test_a_flag_passes_and_is_kept() -> None:
    tally = Tally()
    tally.ask(Fixed("s", FLAG, None, None), VIEWS)
    assert not tally.is_blocked
    assert tally.verdict().results == (ScannerResult("s", True, 1.0, "rule f"),)
    assert tally.verdict().summary() == "clean;flagged:s"


def test_a_later_clean_text_does_not_wash_off_a_flag() -> None:
    tally, scanner = Tally(), Fixed("s", FLAG, None)
    tally.ask(scanner, VIEWS[:1])
    tally.ask(scanner, VIEWS[1:2])
    assert tally.verdict().summary() == "clean;flagged:s"


def test_an_exception_is_an_error_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    tally = Tally()
    with caplog.at_level(logging.DEBUG):
        tally.ask(Fixed("s", ValueError("marker")), VIEWS)
    assert tally.has_errors
    assert tally.verdict().results == (
        ScannerResult("s", passed=False, reason="ValueError", error=True),
    )
    assert caplog.messages == ["guard scanner failed: scanner=s error=ValueError"]
    assert "marker" not in caplog.text


def test_a_scanner_that_failed_is_not_asked_again() -> None:
    tally, scanner = Tally(), Fixed("s", ValueError())
    tally.ask(scanner, VIEWS)
    tally.ask(scanner, VIEWS)
    assert scanner.asked == 1


def test_a_block_counts_more_than_an_error() -> None:
    tally = Tally()
    tally.ask(Fixed("e", ValueError()), VIEWS)
    tally.ask(Fixed("b", HIT), VIEWS)
    verdict = tally.verdict()
    assert verdict.state is GuardState.BLOCKED
    assert verdict.summary() == "blocked:e,b"
    assert blocking_names(verdict) == "b"


def test_equal_neighbours_are_shown_once() -> None:
    tally, scanner = Tally(), Fixed("s", None, None)
    tally.ask(scanner, [View("a"), View("a", ViewKind.NORMALISED), View("b")])
    assert scanner.asked == 2


def test_equal_texts_with_another_start_are_shown() -> None:
    tally, scanner = Tally(), Fixed("s", None, None)
    tally.ask(scanner, [View("ab"), View("ab", ViewKind.NORMALISED, start=1)])
    assert scanner.asked == 2


def test_a_view_that_is_not_read_is_not_shown() -> None:
    tally, scanner = Tally(), Fixed("s", None)
    scanner.reads = (ViewKind.NORMALISED,)
    tally.ask(scanner, [View("a"), View("a", ViewKind.NORMALISED)])
    assert scanner.asked == 1


def test_what_no_scanner_could_read_is_in_the_summary() -> None:
    assert Tally().verdict(("images",)).summary() == "clean;unscanned:images"


def test_the_facts_of_a_refusal() -> None:
    tally = Tally()
    tally.ask(Fixed("a", None), VIEWS[:1])
    tally.ask(Fixed("b", HIT), VIEWS)
    assert refusal_facts(tally.verdict()) == {
        "language": "en",
        "details": {
            "allowed": False,
            "sanitized": False,
            "scanners": {
                "a": {"passed": True, "risk_score": 0.0, "sanitized": False},
                "b": {"passed": False, "risk_score": 1.0, "sanitized": False},
            },
            "scanner_count": 2,
        },
    }


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        ([RuntimeError()], "guard_error"),
        ([ModelUnavailableError("no weights")], "guard_unavailable"),
        ([ScannerBusyError()], "guard_busy"),
        ([ModelUnavailableError("no weights"), ScannerBusyError()], "guard_busy"),
    ],
)
def test_the_refusal_tells_whether_another_try_makes_sense(
    raised: list[Exception], code: str
) -> None:
    tally = Tally()
    for number, error in enumerate(raised):
        tally.ask(Fixed(str(number), error), VIEWS)
    refusal = tally.failure("the prompt was not accepted")
    assert (refusal.status, refusal.code) == (503, code)
    assert "the prompt was not accepted" in refusal.message
    assert refusal.verdict.state is GuardState.ERROR


def test_a_text_too_large_to_scan_is_refused_for_its_size() -> None:
    with pytest.raises(TooLargeError):
        Tally().ask(Fixed("s", TooLargeError("too many windows")), VIEWS)


def test_the_highest_score_of_texts_that_passed_is_kept() -> None:
    tally = Tally()
    scores = [Finding("", score, blocks=False, hit=False) for score in (0.2, 0.6, 0.4)]
    tally.ask(Fixed("m", *scores), VIEWS)
    verdict = tally.verdict()
    assert [(result.score, result.passed) for result in verdict.results] == [(0.6, True)]
    assert verdict.summary() == "clean"


def test_a_low_score_does_not_hide_a_hit_that_was_let_through() -> None:
    tally = Tally()
    tally.ask(Fixed("m", FLAG, Finding("", 1.0, blocks=False, hit=False)), VIEWS[:2])
    assert tally.verdict().summary() == "clean;flagged:m"


def test_a_scanner_that_may_be_missing_is_named_as_not_asked() -> None:
    tally, scanner = Tally(), Fixed("m", ModelUnavailableError("no weights"))
    scanner.required = False
    tally.ask(scanner, VIEWS)
    verdict = tally.verdict(("images",))
    assert verdict.state is GuardState.CLEAN
    assert verdict.summary() == "clean;unscanned:m,images"
    assert not tally.has_errors
