"""What leaves of an answer and when, whatever the cuts."""

import time
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ogp.core.errors import ResponseBlockedError
from ogp.core.types import AnswerEvent, GuardState, InferenceRequest, Verdict
from ogp.guard import hold
from ogp.guard.base import Finding, View, ViewKind
from ogp.guard.normalise import Normaliser
from ogp.guard.output import AnswerGuard, build_output_guard
from ogp.settings.guard_schema import GuardSettings
from tests.support.stages import ALICE, NoRewriter

NORMALISER = Normaliser()
STREAM = InferenceRequest("ollama", "chat", "POST", "/api/chat", stream=True)
DOCUMENT = InferenceRequest("ollama", "chat", "POST", "/api/chat", stream=False)


def make_guard(
    *phrases: str, match_type: str = "str", window_chars: int = 200, **scanners: Any
) -> AnswerGuard:
    section = {
        "ban_substrings": {"substrings": phrases, "match_type": match_type},
        "invisible_text": {"enabled": False},
        **scanners,
    }
    return build_output_guard(
        GuardSettings.model_validate(
            {"output_window_chars": window_chars, "output_scanners": section}
        )
    )


def events_of(*texts: str, channel: str = "content") -> list[AnswerEvent]:
    return [AnswerEvent(b"event", ((channel, text),)) for text in texts]


class Client:
    """Reads an answer to its end, or to the block."""

    def __init__(
        self, guard: AnswerGuard, events: list[AnswerEvent], request: InferenceRequest = STREAM
    ) -> None:
        self.events: list[AnswerEvent] = []
        self.reports: list[Verdict] = []
        self.is_blocked = False
        try:
            for event in guard.filter(
                request, ALICE, NoRewriter(), iter(events), self.reports.append
            ):
                self.events.append(event)
        except ResponseBlockedError:
            self.is_blocked = True

    @property
    def text(self) -> str:
        return "".join(text for event in self.events for _, text in event.texts)


class Recording:
    """A scanner that remembers the views it was shown."""

    name, reads, hold_chars = "recording", (ViewKind.RAW, ViewKind.NORMALISED), 100

    def __init__(self) -> None:
        self.views: list[View] = []

    def scan(self, view: View) -> Finding | None:
        self.views.append(view)
        return None

    def settled(self, view: View) -> int:
        return max(view.start, len(view.text) - 99)

    def describe(self) -> dict[str, int | str]:
        return {}

    def identity(self) -> str:
        return "stand-in"


def pieces(text: str, cuts: list[int]) -> list[str]:
    places = sorted({cut % (len(text) + 1) for cut in cuts})
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


PHRASES = ("open sesame", "Straße", "x", "cafe\u0301", "пароль дня", "a b c", "ab c")
PADDING = st.text(
    st.one_of(
        st.sampled_from([*"opensm xab c.-\n", "\u200b", "\u0301", "о", "е", "ｏ", "é", "\0"]),
        st.characters(),
    ),
    max_size=40,
)


@st.composite
def disguised(draw: st.DrawFn, phrase: str) -> str:
    """The phrase as an evader would write it."""
    fullwidth = {ord(c): ord(c) + 0xFEE0 for c in map(chr, range(0x21, 0x7F))}
    shapes = {
        "plain": lambda c: c,
        "upper": str.upper,
        "fullwidth": lambda c: c.translate(fullwidth),
        "zero width": lambda c: c + "\u200b",
        "accent": lambda c: c + "\u0301" if c.isalpha() else c,
        "decomposed": lambda c: unicodedata.normalize("NFD", c),
        "tag": lambda c: chr(0xE0000 + ord(c)) if c.isascii() else c,
        "spaces": lambda c: "  \n" if c == " " else c,
    }
    return "".join(shapes[draw(st.sampled_from(sorted(shapes)))](c) for c in phrase)


@pytest.mark.parametrize("phrase", PHRASES)
@settings(max_examples=60, deadline=None)
@given(data=st.data(), before=PADDING, after=PADDING, cuts=st.lists(st.integers(0, 300)))
def test_a_disguised_phrase_never_leaves_whole(
    phrase: str, data: st.DataObject, before: str, after: str, cuts: list[int]
) -> None:
    hidden = data.draw(disguised(phrase))
    client = Client(make_guard(phrase), events_of(*pieces(before + hidden + after, cuts)))
    assert phrase.casefold() not in client.text.casefold()
    assert NORMALISER(phrase).casefold() not in NORMALISER(client.text).casefold()


@pytest.mark.parametrize("match_type", ["str", "word"])
@settings(max_examples=250, deadline=None)
@given(text=PADDING, cuts=st.lists(st.integers(0, 300)), window_chars=st.integers(1, 40))
def test_every_cut_gives_the_verdict_of_the_whole_text(
    match_type: str, text: str, cuts: list[int], window_chars: int
) -> None:
    guard = make_guard("en", "o p", "s-m", match_type=match_type, window_chars=window_chars)
    whole = Client(guard, events_of(text), DOCUMENT)
    cut = Client(guard, events_of(*pieces(text, cuts)))
    assert cut.is_blocked == whole.is_blocked
    assert cut.is_blocked or cut.text == text


@settings(max_examples=150, deadline=None)
@given(text=PADDING, cuts=st.lists(st.integers(0, 300)))
def test_patterns_and_invisible_text_do_not_depend_on_the_cuts(text: str, cuts: list[int]) -> None:
    pattern = {"name": "p", "pattern": r"\bo\w+e\b|(?<!a)b(?!c)|^x|n$", "max_length": 12}
    guard = make_guard(regex={"patterns": [pattern]}, invisible_text={"enabled": True})
    whole = Client(guard, events_of(text), DOCUMENT)
    cut = Client(guard, events_of(*pieces(text, cuts)))
    assert cut.is_blocked == whole.is_blocked
    assert cut.is_blocked or cut.text == text


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=12)), max_size=30))
def test_benign_events_arrive_unchanged_and_in_order(texts: list[tuple[str, str]]) -> None:
    events = [AnswerEvent(str(n).encode(), (pair,)) for n, pair in enumerate(texts)]
    client = Client(make_guard("never in there, surely"), events)
    assert client.events == events
    assert [report.state for report in client.reports] == [GuardState.CLEAN]


def test_a_phrase_cut_at_every_place_never_leaves_whole() -> None:
    text = "he said open sesame and left"
    for first in range(len(text)):
        for second in range(first, len(text)):
            cut = (text[:first], text[first:second], text[second:])
            client = Client(make_guard("open sesame"), events_of(*cut))
            assert client.is_blocked
            assert "open" not in client.text


def test_nothing_of_a_phrase_leaves_token_by_token() -> None:
    client = Client(make_guard("open sesame"), events_of(*"well, open sesame then"))
    assert client.is_blocked
    assert client.text == "well, "[: len(client.text)]


def test_a_phrase_spread_by_unseen_characters_is_blocked() -> None:
    client = Client(make_guard("secret"), events_of(*("s\u0301" + "\u200b" * 50 + "ecret")))
    assert client.is_blocked
    assert client.text == ""


def test_unseen_characters_cannot_hold_an_answer_for_ever() -> None:
    client = Client(make_guard("secret"), events_of("a", *("\u0301" * 100)))
    assert client.is_blocked
    assert client.reports[0].failed[0].scanner == "invisible_text"


def test_white_space_does_not_count_as_unseen() -> None:
    texts = ["a", *(" " * 5_000), "b"]
    client = Client(make_guard("a b c d e f g h"), events_of(*texts))
    assert client.text == "".join(texts)


def test_a_word_waits_for_its_boundary() -> None:
    guard = make_guard("cat", match_type="word")
    assert Client(guard, events_of("a cat", "alogue")).text == "a catalogue"
    assert Client(guard, events_of("a cat", " sat")).is_blocked
    assert Client(guard, events_of("a cat")).is_blocked


def test_a_text_that_stopped_growing_does_not_hold_the_rest() -> None:
    left: list[AnswerEvent] = []
    waiting: list[int] = []

    def source() -> Iterator[AnswerEvent]:
        yield from events_of("hmm se", channel="thinking")
        for number, event in enumerate(events_of(*["word "] * 400)):
            yield event
            waiting.append(number + 2 - len(left))

    guard = make_guard("secret")
    for event in guard.filter(STREAM, ALICE, NoRewriter(), source(), lambda _: None):
        left.append(event)
    assert len(left) == 401
    assert max(waiting) * len("word ") < 200 + 6 + 2 * 16 + 20
    assert waiting[-1] < 10


def test_many_texts_that_stopped_growing_do_not_add_up() -> None:
    left: list[AnswerEvent] = []
    waiting: list[int] = []

    def source() -> Iterator[AnswerEvent]:
        for number in range(100):
            yield from events_of("0123456789" * 8, channel=f"tool {number}")
            waiting.append(number + 1 - len(left))

    for event in make_guard("secret").filter(STREAM, ALICE, NoRewriter(), source(), lambda _: None):
        left.append(event)
    assert len(left) == 100
    assert max(waiting) < 25


def test_texts_that_grow_in_turns_are_not_cut_short() -> None:
    choices = [f"choice {number}" for number in range(60)]
    events = [
        event
        for token in ("a ", "cat", "alogue ", "of ", "words")
        for choice in choices
        for event in events_of(token, channel=choice)
    ]
    assert Client(make_guard("cat", match_type="word"), events).events == events


def test_a_phrase_over_a_text_that_was_let_go_is_still_blocked() -> None:
    events = events_of("hmm se", channel="thinking") + events_of(*["word "] * 100)
    events += events_of("cret!", channel="thinking")
    client = Client(make_guard("secret"), events)
    assert client.is_blocked
    assert "cret" not in client.text


def test_a_whole_word_in_a_text_that_stopped_growing_is_blocked_before_it_is_let_go() -> None:
    events = events_of("a cat", channel="thinking") + events_of(*["word "] * 100)
    client = Client(make_guard("cat", match_type="word"), events)
    assert client.is_blocked
    assert client.events == []


def test_one_event_with_several_texts_is_let_go_as_a_whole() -> None:
    both = AnswerEvent(b"{}", (("thinking", "se"), ("content", "word " * 10)))
    client = Client(make_guard("secret"), [both, *events_of(*["word "] * 100)])
    assert client.events[0] is both
    assert len(client.events) == 101


def test_a_flood_of_events_without_text_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "MAX_HELD_BYTES", 100)
    left: list[AnswerEvent] = []
    waiting: list[int] = []

    def source() -> Iterator[AnswerEvent]:
        yield from events_of("hmm se")
        for number in range(100):
            yield AnswerEvent(b"0123456789")
            waiting.append(number + 2 - len(left))

    for event in make_guard("secret").filter(STREAM, ALICE, NoRewriter(), source(), lambda _: None):
        left.append(event)
    assert len(left) == 101
    assert max(waiting) <= 13


def test_a_long_answer_is_not_scanned_again_and_again() -> None:
    def shown_chars(tokens: int) -> int:
        recording = Recording()
        guard = AnswerGuard([recording], NORMALISER, block_on_error=True, window_chars=200)
        Client(guard, events_of(*["word "] * tokens))
        return sum(len(view.text) for view in recording.views)

    assert shown_chars(4_000) < 4.2 * shown_chars(1_000)


def test_time_is_linear_in_the_number_of_tokens() -> None:
    guard = make_guard("a phrase that never comes", "another one", invisible_text={})

    def cost_s(tokens: int) -> float:
        events = events_of(*["word "] * tokens)
        times = []
        for _ in range(3):
            started = time.thread_time()
            for _event in guard.filter(STREAM, ALICE, NoRewriter(), iter(events), lambda _: None):
                pass
            times.append(time.thread_time() - started)
        return min(times)

    assert cost_s(4_000) < 10 * cost_s(1_000)
