"""What the scanners said, put together."""

import logging
from collections.abc import Mapping
from dataclasses import replace

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
    settled_at = 0

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
        return self.settled_at if view.open else len(view.text)

    def describe(self) -> Mapping[str, int | str]:
        return {}

    def identity(self) -> str:
        return self.name


class Watch:
    """A clock that a test moves."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Slow(Fixed):
    """Takes a quarter of a second for each view."""

    def __init__(self, watch: Watch, *answers: Finding | Exception | None) -> None:
        super().__init__("s", *answers)
        self._watch = watch

    def scan(self, view: View) -> Finding | None:
        self._watch.now_s += 0.25
        return super().scan(view)


def untimed(verdict: Verdict) -> tuple[ScannerResult, ...]:
    return tuple(replace(result, elapsed_ms=None) for result in verdict.results)


def marks(tally: Tally) -> list[tuple[float, bool, str]]:
    return [(each.score, each.passed, each.reason) for each in tally.verdict().results]


VIEWS = [View("a"), View("b"), View("c")]
HIT, FLAG = Finding("rule r"), Finding("rule f", blocks=False)


def test_all_views_are_shown_and_nothing_found_is_clean() -> None:
    tally, scanner = Tally(), Fixed("s", None, None, None)
    tally.ask(scanner, VIEWS)
    assert scanner.asked == 3
    assert tally.verdict().state is GuardState.CLEAN
    assert untimed(tally.verdict()) == (ScannerResult("s", passed=True),)


def test_a_block_ends_the_views_and_is_kept() -> None:
    tally, scanner = Tally(), Fixed("s", None, HIT)
    tally.ask(scanner, VIEWS)
    assert tally.is_blocked
    assert untimed(tally.verdict()) == (ScannerResult("s", False, 1.0, "rule r"),)
    assert tally.verdict().summary() == "blocked:s"


def test_a_flag_passes_and_is_kept() -> None:
    tally = Tally()
    tally.ask(Fixed("s", FLAG, None, None), VIEWS)
    assert not tally.is_blocked
    assert untimed(tally.verdict()) == (ScannerResult("s", True, 1.0, "rule f"),)
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
    assert untimed(tally.verdict()) == (
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


def test_the_configuration_is_in_the_verdict() -> None:
    assert Tally().verdict(configuration="ab12").configuration == "ab12"


def test_the_time_of_a_scanner_is_the_sum_over_its_views_and_texts() -> None:
    watch = Watch()
    tally = Tally(watch)
    scanner = Slow(watch, None, None, None)
    tally.ask(scanner, VIEWS[:2])
    watch.now_s += 5
    tally.ask(scanner, VIEWS[2:])
    (result,) = tally.verdict().results
    assert result.elapsed_ms == 750.0


def test_a_scanner_that_failed_has_a_time_too() -> None:
    watch = Watch()
    tally = Tally(watch)
    tally.ask(Slow(watch, ValueError()), VIEWS)
    (result,) = tally.verdict().results
    assert (result.elapsed_ms, result.error) == (250.0, True)


def test_the_time_is_there_without_a_clock_of_ones_own() -> None:
    tally = Tally()
    tally.ask(Fixed("s", None), VIEWS[:1])
    (result,) = tally.verdict().results
    assert result.elapsed_ms is not None
    assert 0.0 <= result.elapsed_ms < 10_000


@pytest.mark.parametrize("text", ["", "  \n\u2003"])
def test_a_scanner_without_text_to_look_at_is_not_said_to_have_passed_it(text: str) -> None:
    tally, scanner = Tally(), Fixed("s", None)
    tally.ask(scanner, [View(text)])
    assert scanner.asked == 1
    assert tally.verdict().results == ()


def test_a_hit_in_white_space_counts() -> None:
    tally = Tally()
    tally.ask(Fixed("s", HIT), [View("\u2003" * 9)])
    assert tally.verdict().summary() == "blocked:s"


def test_a_scanner_that_reads_another_form_has_no_result() -> None:
    tally, scanner = Tally(), Fixed("s")
    tally.ask(scanner, [View("a", ViewKind.JOINED)])
    assert tally.verdict().results == ()


def test_a_growing_text_of_which_nothing_is_judged_yet_is_no_result() -> None:
    tally, scanner = Tally(), Fixed("m", None, None, None)
    tally.ask(scanner, [View("some", open=True)])
    assert tally.verdict().results == ()
    scanner.settled_at = 3
    tally.ask(scanner, [View("some words", open=True)])
    assert [result.scanner for result in tally.verdict().results] == ["m"]


def test_the_end_of_a_growing_text_is_judged() -> None:
    tally = Tally()
    tally.ask(Fixed("m", None), [View("some words")])
    assert [result.scanner for result in tally.verdict().results] == ["m"]


def test_of_hits_that_were_let_through_the_highest_is_kept() -> None:
    tally = Tally()
    tally.ask(Fixed("m", *(Finding("r", n, blocks=False) for n in (0.7, 0.9, 0.8))), VIEWS)
    assert marks(tally) == [(0.9, True, "r")]


def test_a_block_is_kept_whatever_is_noted_after_it() -> None:
    tally = Tally()
    tally.note("s", Finding("b", 0.6))
    tally.note("s", Finding("f", 1.0, blocks=False))
    tally.note("s", Finding("", 1.0, blocks=False, hit=False))
    assert marks(tally) == [(0.6, False, "b")]
    assert tally.is_blocked


def test_a_block_of_a_scanner_that_failed_before_is_no_error() -> None:
    tally = Tally()
    tally.ask(Fixed("s", ValueError()), VIEWS)
    tally.note("s", HIT)
    assert tally.verdict().summary() == "blocked:s"
    assert not tally.verdict().results[0].error


def test_what_was_taken_out_is_counted_beside_the_score() -> None:
    tally = Tally()
    tally.ask(Fixed("s", Finding("", 0.3, blocks=False, hit=False)), VIEWS[:1])
    tally.note_redaction("s", 2)
    tally.note_redaction("s", 1)
    (result,) = tally.verdict().results
    assert (result.redacted, result.score, result.passed) == (3, 0.3, True)
    assert tally.verdict().summary() == "clean;redacted:s"


def test_a_scanner_that_only_takes_out_has_a_result() -> None:
    tally = Tally()
    tally.note_redaction("anonymize", 4)
    assert tally.verdict().summary() == "clean;redacted:anonymize"


def test_a_long_stream_names_a_missing_scanner_once() -> None:
    tally = Tally()
    for _ in range(3):
        scanner = Fixed("m", ModelUnavailableError("no weights"))
        scanner.required = False
        tally.ask(scanner, VIEWS)
    assert tally.verdict().unscanned == ("m",)
