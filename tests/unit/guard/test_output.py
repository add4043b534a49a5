"""Answers: nothing unscanned leaves, nothing benign changes, whatever the cuts."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ogp.core.errors import (
    BlockedError,
    ClientGoneError,
    GuardError,
    ResponseBlockedError,
    UpstreamError,
)
from ogp.core.types import (
    AnswerEvent,
    GuardState,
    InferenceRequest,
    TextKind,
    TextPart,
    Usage,
    Verdict,
)
from ogp.guard import hold
from ogp.guard.ban import BanSubstringsScanner
from ogp.guard.base import Finding, View, ViewKind
from ogp.guard.normalise import Normaliser
from ogp.guard.output import AnswerGuard, build_output_guard
from ogp.settings.guard_schema import GuardSettings
from tests.support.stages import ALICE, NoRewriter

NORMALISER = Normaliser()
OFF = {"enabled": False}
STREAM = InferenceRequest("ollama", "chat", "POST", "/api/chat", stream=True)
DOCUMENT = InferenceRequest("ollama", "chat", "POST", "/api/chat", stream=False)


def make_guard(
    *phrases: str, match_type: str = "str", window_chars: int = 200, **scanners: Any
) -> AnswerGuard:
    section = {
        "ban_substrings": {"substrings": phrases, "match_type": match_type},
        "invisible_text": OFF,
        **scanners,
    }
    return build_output_guard(
        GuardSettings.model_validate(
            {"output_window_chars": window_chars, "output_scanners": section}
        )
    )


def events_of(*texts: str, channel: str = "content") -> list[AnswerEvent]:
    return [AnswerEvent(text.encode(errors="surrogatepass"), ((channel, text),)) for text in texts]


class Client:
    """Reads an answer and keeps what reached it."""

    def __init__(
        self,
        guard: AnswerGuard,
        events: list[AnswerEvent],
        request: InferenceRequest = STREAM,
        failure: Exception | None = None,
    ) -> None:
        self.events: list[AnswerEvent] = []
        self.reports: list[Verdict] = []
        self.reported_at: list[int] = []
        self.error: Exception | None = None
        try:
            for event in guard.filter(
                request, ALICE, NoRewriter(), self.source(events, failure), self.report
            ):
                self.events.append(event)
        except (BlockedError, GuardError, UpstreamError, ClientGoneError) as error:
            self.error = error

    @staticmethod
    def source(events: list[AnswerEvent], failure: Exception | None) -> Iterator[AnswerEvent]:
        yield from events
        if failure is not None:
            raise failure

    def report(self, verdict: Verdict) -> None:
        self.reports.append(verdict)
        self.reported_at.append(len(self.events))

    @property
    def text(self) -> str:
        return "".join(text for event in self.events for _, text in event.texts)

    @property
    def is_blocked(self) -> bool:
        return isinstance(self.error, ResponseBlockedError)


class Broken:
    """A scanner that fails."""

    name, reads, hold_chars = "broken", (ViewKind.RAW,), 1

    def scan(self, view: View) -> Finding | None:
        raise RuntimeError(view.text)

    def settled(self, view: View) -> int:
        return len(view.text)

    def describe(self) -> Mapping[str, int | str]:
        return {}

    def identity(self) -> str:
        return "stand-in"


class Recording(Broken):
    """A scanner that remembers the views it was shown."""

    name, reads = "recording", (ViewKind.RAW, ViewKind.NORMALISED)

    def __init__(self, hold_chars: int = 1) -> None:
        self.hold_chars = hold_chars
        self.views: list[View] = []

    def scan(self, view: View) -> Finding | None:
        self.views.append(view)
        return None


def guard_of(*scanners: Any, block_on_error: bool = True) -> AnswerGuard:
    return AnswerGuard(scanners, NORMALISER, block_on_error=block_on_error, window_chars=200)


def test_held_text_leaves_as_soon_as_no_phrase_can_begin_in_it() -> None:
    left: list[str] = []
    counts = []

    def source() -> Iterator[AnswerEvent]:
        for event in events_of(*"abcdefghijklmnopqrstuvwxyz" * 4):
            yield event
            counts.append(len(left))

    for event in make_guard("0123456789").filter(
        STREAM, ALICE, NoRewriter(), source(), lambda _: None
    ):
        left.append(event.raw.decode())
    assert len(left) == 104
    assert counts[-1] >= 104 - (9 + 4 + 4)  # the hold, what is undecided, a quarter of the hold


def test_with_default_settings_every_token_leaves_at_once() -> None:
    left: list[int] = []

    def source() -> Iterator[AnswerEvent]:
        for number, event in enumerate(events_of("Hi", " ", "wörld", "中文", "!")):
            assert len(left) == number
            yield event

    for event in build_output_guard(GuardSettings()).filter(
        STREAM, ALICE, NoRewriter(), source(), lambda _: None
    ):
        left.append(len(event.raw))
    assert len(left) == 5


def test_a_document_is_scanned_whole_before_any_of_it_leaves() -> None:
    events = [AnswerEvent(b"{}", (("content", "fine " * 500), ("thinking", "the secret")))]
    client = Client(make_guard("secret"), events, DOCUMENT)
    assert client.is_blocked
    assert client.events == []


def test_the_body_of_a_refusal_names_scanners_and_no_text() -> None:
    error = Client(make_guard("secret"), events_of("the secret")).error
    assert isinstance(error, ResponseBlockedError)
    assert error.facts == {
        "language": "en",
        "reason": "ban_substrings",
        "details": {
            "allowed": False,
            "sanitized": False,
            "scanners": {
                "ban_substrings": {"passed": False, "risk_score": 1.0, "sanitized": False}
            },
            "scanner_count": 1,
        },
    }
    assert error.message == "The answer was refused by the guard (ban_substrings)."


def test_channels_are_scanned_apart_and_leave_in_order() -> None:
    events = [*events_of("sec", channel="thinking"), *events_of("ret"), *events_of("x" * 50)]
    client = Client(make_guard("secret"), events)
    assert client.events == events


def test_a_phrase_in_any_channel_is_blocked() -> None:
    events = [AnswerEvent(b"1", (("content", "fine"), ("tool", "se"))), *events_of("a")]
    events += events_of("cret", channel="tool")
    client = Client(make_guard("secret"), events)
    assert client.is_blocked
    assert client.events == []


def test_too_many_channels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "MAX_CHANNELS", 2)
    event = AnswerEvent(b"{}", (("a", "x"), ("b", "y"), ("c", "z")))
    client = Client(make_guard("secret"), [event])
    assert client.reports[0].summary() == "blocked:channel_limit"


def test_events_without_text_keep_their_place() -> None:
    events = [AnswerEvent(b"role"), *events_of("hello"), AnswerEvent(b"done", usage=Usage(1, 2))]
    client = Client(make_guard("secret"), events)
    assert client.events == events


def test_the_verdict_comes_before_the_last_event() -> None:
    events = [*events_of("hello " * 9), AnswerEvent(b"done", usage=Usage(1, 2))]
    client = Client(build_output_guard(GuardSettings()), events)
    assert client.reported_at == [1]
    assert client.events == events


def test_an_empty_text_changes_nothing() -> None:
    events = [*events_of("", "a", ""), AnswerEvent(b"", (("content", ""),))]
    assert Client(make_guard("secret"), events).events == events


def test_without_scanners_nothing_is_read_and_events_pass_one_by_one() -> None:
    guard = make_guard()
    assert not guard.reads(STREAM, ALICE)
    client = Client(guard, events_of("a", "b"))
    assert client.text == "ab"
    assert client.reports == [Verdict(GuardState.OFF)]
    assert client.reported_at == [0]


def test_switched_off_reads_nothing() -> None:
    guard = build_output_guard(GuardSettings(output_enabled=False))
    assert not guard.reads(STREAM, ALICE)
    assert Client(guard, events_of("a")).reports == [Verdict(GuardState.OFF)]


def test_an_answer_that_needs_no_scan_passes() -> None:
    request = InferenceRequest("ollama", "ps", "GET", "/api/ps", scanned=False)
    client = Client(make_guard("secret"), events_of("the secret"), request)
    assert client.text == "the secret"
    assert client.reports == [Verdict(GuardState.NOT_SCANNED)]


def test_a_failing_scanner_withholds_the_answer() -> None:
    client = Client(guard_of(Broken()), events_of("marker"))
    assert isinstance(client.error, GuardError)
    assert client.reports[0].summary() == "error:broken"
    assert client.events == []
    assert "marker" not in str(client.error) + repr(client.reports)


def test_a_failing_scanner_is_recorded_and_passed_over_when_the_operator_says_so() -> None:
    recording = Recording()
    client = Client(guard_of(Broken(), recording, block_on_error=False), events_of("a", "b", "c"))
    assert client.text == "abc"
    assert recording.views
    assert [report.summary() for report in client.reports] == ["error:broken"]


def test_a_block_counts_although_another_scanner_failed() -> None:
    ban = BanSubstringsScanner(["secret"], "str", NORMALISER)
    client = Client(guard_of(Broken(), ban), events_of("secret"))
    assert client.is_blocked


def test_what_is_clean_leaves_before_the_error_of_a_broken_upstream() -> None:
    client = Client(make_guard("secret"), events_of("abc", "def"), failure=UpstreamError("gone"))
    assert client.text == "abcdef"
    assert isinstance(client.error, UpstreamError)
    assert [report.state for report in client.reports] == [GuardState.CLEAN]


def test_a_phrase_before_the_upstream_broke_is_blocked() -> None:
    client = Client(
        make_guard("secret", match_type="word"), events_of("secret"), failure=UpstreamError("gone")
    )
    assert client.is_blocked
    assert [report.state for report in client.reports] == [GuardState.BLOCKED]


def test_an_error_of_the_client_is_reported_once_and_sends_nothing_more() -> None:
    client = Client(make_guard("secret"), events_of("abc"), failure=ClientGoneError("gone"))
    assert isinstance(client.error, ClientGoneError)
    assert client.events == []
    assert [report.state for report in client.reports] == [GuardState.CLEAN]


def test_a_client_that_stops_reading_is_reported_once() -> None:
    reports: list[Verdict] = []
    answer = make_guard("secret").filter(
        STREAM, ALICE, NoRewriter(), iter(events_of("a" * 50, "b")), reports.append
    )
    next(answer)
    answer.close()  # type: ignore[attr-defined]  # it is a generator
    assert [report.state for report in reports] == [GuardState.CLEAN]


def test_scanners_see_the_prompt() -> None:
    recording = Recording()
    texts = (
        TextPart("prompt", "what", TextKind.CONTENT),
        TextPart("model", "m"),
        TextPart("system", "is", TextKind.CONTENT),
    )
    request = InferenceRequest("ollama", "g", "POST", "/api/generate", stream=True, texts=texts)
    Client(guard_of(recording), events_of("a"), request)
    assert recording.views[0].prompt == "what\nis"


def test_equal_views_are_shown_once() -> None:
    recording = Recording()
    Client(guard_of(recording), events_of("hello"), DOCUMENT)
    Client(guard_of(recording), events_of("he\u200bllo"), DOCUMENT)
    kinds = [view.kind for view in recording.views]
    assert kinds == [ViewKind.RAW, ViewKind.RAW, ViewKind.NORMALISED]


def test_describe_shows_counts_and_no_phrases() -> None:
    shown = make_guard("secret", "hidden", match_type="word").describe()
    assert shown["ban_substrings"] == {
        "state": "on",
        "direction": "output",
        "phrases": 2,
        "match_type": "word",
        "action": "block",
    }
    assert shown["secrets"] == {"state": "off", "direction": "output"}
    assert set(shown) == {"ban_substrings", "regex", "invisible_text", "secrets"}
