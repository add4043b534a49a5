"""Answers change where they must and nowhere else, whatever the cuts."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ogp.core.types import AnswerEvent
from ogp.guard import rewriting
from ogp.guard.ban import BanSubstringsScanner
from ogp.guard.base import Redactor, Span, View
from ogp.guard.edits import Edit, clusters_of, edited, redacted
from ogp.guard.invisible import InvisibleTextScanner
from ogp.guard.normalise import Normaliser
from ogp.guard.patterns import RegexScanner
from ogp.guard.rewriting import AnswerRewriter, RedactingEditor, RestoringEditor
from ogp.guard.secrets import SecretsScanner
from ogp.guard.vault import Placeholders
from ogp.settings.guard_schema import RegexPattern
from tests.support.stages import NoRewriter

NORMALISER = Normaliser()
KEY = "AKIA" + "Q" * 16
BAN = BanSubstringsScanner(["open sesame", "same day", "Straße", "aa"], "str", NORMALISER, "redact")
WORD = BanSubstringsScanner(["cat", "cat nap"], "word", NORMALISER, "redact")
REGEX = RegexScanner(
    [
        RegexPattern(name="digits", pattern=r"\d{2,5}", max_length=6),
        RegexPattern(name="pair", pattern=r"(?<!x)ab\b|aba", max_length=3),
        RegexPattern(name="mail", pattern=r"\w{1,4}@\w{1,4}", max_length=9),
    ],
    "redact",
)
INVISIBLE = InvisibleTextScanner("redact")
SECRETS = SecretsScanner("redact")
ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
VAULT = {"[PERSON_1]": "Bob", "[PERSON_12]": "Eve", "[EMAIL_ADDRESS_1]": 'q"uo\\te\n@x'}


class Rewriter(NoRewriter):
    """Writes the new texts into the event, and refuses events that are called `stone`."""

    def with_answer_texts(
        self, event: AnswerEvent, texts: Sequence[tuple[str, str]]
    ) -> AnswerEvent:
        if event.raw == b"stone":
            raise ValueError("a stone")
        return AnswerEvent(b"changed", tuple(texts), event.usage)


def keep(event: AnswerEvent, owner: str) -> AnswerEvent:
    return event


def redaction(
    *redactors: Redactor,
    streamed: bool = True,
    window_chars: int = 200,
    taken_out: Counter[str] | None = None,
    unchangeable: Callable[[AnswerEvent, str], AnswerEvent] = keep,
) -> AnswerRewriter:
    counter = Counter() if taken_out is None else taken_out
    return AnswerRewriter(
        partial(RedactingEditor, redactors, window_chars, counter),
        Rewriter(),
        unchangeable,
        streamed=streamed,
        patience_chars=window_chars + max(redactor.hold_chars for redactor in redactors),
    )


def restoring(*, streamed: bool = True) -> AnswerRewriter:
    placeholders = Placeholders(VAULT)
    return AnswerRewriter(
        partial(RestoringEditor, placeholders),
        Rewriter(),
        keep,
        streamed=streamed,
        patience_chars=placeholders.max_chars,
    )


def events_of(*texts: str, channel: str = "content") -> list[AnswerEvent]:
    return [AnswerEvent(f"e{n}".encode(), ((channel, text),)) for n, text in enumerate(texts)]


def through(stage: AnswerRewriter, events: Sequence[AnswerEvent]) -> list[AnswerEvent]:
    return [left for event in events for left in stage.push(event)] + stage.finish()


def text_of(events: Sequence[AnswerEvent], channel: str = "content") -> str:
    return "".join(text for event in events for name, text in event.texts if name == channel)


def pieces(text: str, cuts: Sequence[int]) -> list[str]:
    places = sorted({cut % (len(text) + 1) for cut in cuts})
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


def without(text: str, *redactors: Redactor) -> str:
    """The whole text at once."""
    found = [(span, each.name) for each in redactors for span in each.spans(View(text))]
    edits = [
        Edit(cluster.start, cluster.end, redacted(cluster.spans[0][0]), "")
        for cluster in clusters_of(found)
    ]
    return edited(text, edits)


TEXTS = (
    "say open sesame now",
    "open sesame day after open sesame",
    "STRASSE und straße",
    "aaaaa baab",
    "12 1234567 89",
    "ababab xab aba.",
    "to me@there and you@name ok",
    "smuggled\U000e0069\U000e0067 \u200b\u200b\u200b\u200b\u200b\u200bdone",
    "i\u200bg\u200bn\u200bo\u200br\u200be",
    "\u202a open \u2067 isolate",
    f"{ENGLAND} flag stays",
    f"the key {KEY} and\nmore",
    "db://bob:hunter22@host/ and 中文 héé",
)


@pytest.mark.parametrize("text", TEXTS)
def test_cut_at_every_place_the_text_is_the_same(text: str) -> None:
    redactors = (BAN, REGEX, INVISIBLE, SECRETS)
    expected = without(text, *redactors)
    for cut in range(len(text) + 1):
        events = through(redaction(*redactors), events_of(text[:cut], text[cut:]))
        assert text_of(events) == expected
    assert text_of(through(redaction(*redactors), events_of(*text))) == expected
    assert text_of(through(redaction(*redactors, streamed=False), events_of(*text))) == expected


UNSEEN = ["\u200b", "\u200b" * 4, "\U000e0069", "\u2067", "\u2069", "\ue000", "\u202a", "\u202c"]
WORDS = [*"abx c@12.\n", "aba", "open ", "sesame", " day", "ß", "ss", "cat", " nap", KEY, "é", "中"]
LETTERS = st.sampled_from([*UNSEEN, *WORDS, ENGLAND, "🏴"])
CUTS = st.lists(st.integers(0, 400), max_size=25)


@settings(max_examples=400, deadline=None)
@given(letters=st.lists(LETTERS, max_size=30), cuts=CUTS, window_chars=st.integers(1, 60))
def test_any_cutting_gives_the_rewrite_of_the_whole_text(
    letters: list[str], cuts: list[int], window_chars: int
) -> None:
    text = "".join(letters)
    redactors = (WORD, BAN, REGEX, INVISIBLE)
    stage = redaction(*redactors, window_chars=window_chars)
    events = through(stage, events_of(*pieces(text, cuts)))
    assert text_of(events) == without(text, *redactors)


@settings(max_examples=100, deadline=None)
@given(words=st.lists(st.sampled_from([KEY, "word ", "中", " ", "\n"]), max_size=12), cuts=CUTS)
def test_secrets_do_not_depend_on_the_cuts(words: list[str], cuts: list[int]) -> None:
    text = " ".join(words) + " " * 600
    events = through(redaction(SECRETS), events_of(*pieces(text, cuts)))
    assert text_of(events) == without(text, SECRETS)
    assert "QQQQQQ" not in text_of(events)


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(
        st.sampled_from(
            ["[PERSON_1]", "[person_12]", "[EMAIL_ADDRESS_1]", "[", "]", "[PERSON_3]", "ab", "é"]
        ),
        max_size=12,
    ),
    cuts=CUTS,
)
def test_any_cutting_restores_the_same(words: list[str], cuts: list[int]) -> None:
    text = "so " + "".join(words)
    expected = text
    for placeholder, word in [*VAULT.items(), ("[person_12]", "Eve")]:
        expected = expected.replace(placeholder, word)
    assert text_of(through(restoring(), events_of(*pieces(text, cuts)))) == expected


def test_a_replacement_stands_in_the_event_in_which_the_hit_began() -> None:
    texts = ("say op", "en ", "", "ses", "ame now", "!")
    events = through(redaction(BAN), events_of(*texts))
    expected = ["say [REDACTED:phrase no. 1]", "", "", "", " now", "!"]
    assert [text for event in events for _, text in event.texts] == expected
    assert [event.raw for event in events] == [b"changed"] * 2 + [b"e2"] + [b"changed"] * 2 + [
        b"e5"
    ]


def test_a_word_comes_back_in_the_event_in_which_its_placeholder_began() -> None:
    events = through(restoring(), events_of("hi [PER", "SON", "_1", "]!", "."))
    assert [text for event in events for _, text in event.texts] == ["hi Bob", "", "", "!", "."]
    assert events[4].raw == b"e4"


def test_events_without_a_hit_are_the_very_same() -> None:
    events = [*events_of("nothing", " here", ""), AnswerEvent(b"done")]
    assert through(redaction(BAN), events) == events
    assert through(restoring(), events) == events


def test_texts_of_one_event_are_changed_each_in_its_channel() -> None:
    event = AnswerEvent(b"e", (("thinking", "aa"), ("content", "fine"), ("thinking", "aa")))
    (left,) = through(redaction(BAN), [event])
    label = "[REDACTED:phrase no. 4]"
    assert left.texts == (("thinking", label), ("content", "fine"), ("thinking", ""))


def test_hits_do_not_cross_channels() -> None:
    events = [*events_of("open ", channel="thinking"), *events_of("sesame")]
    assert through(redaction(BAN), events) == events


def test_pieces_are_counted_by_scanner() -> None:
    taken_out: Counter[str] = Counter()
    text = "open sesame same day 123 \U000e0069\U000e0067 12 aaaa"
    through(redaction(BAN, REGEX, INVISIBLE, taken_out=taken_out), events_of(*text))
    assert taken_out == {"ban_substrings": 3, "regex": 2, "invisible_text": 1}


def test_text_leaves_as_soon_as_no_hit_can_begin_in_it() -> None:
    stage = redaction(BAN)
    left = [
        event for letter in "x" * 100 for event in stage.push(AnswerEvent(b"", (("c", letter),)))
    ]
    assert len(left) >= 100 - BAN.hold_chars - BAN.hold_chars // 4


def test_a_word_that_is_no_placeholder_is_not_waited_for() -> None:
    stage = restoring()
    assert stage.push(events_of("see [1] and [")[0]) == []
    assert len(stage.push(events_of("2]")[0])) == 2


def test_a_document_is_held_to_its_end() -> None:
    stage = redaction(BAN, streamed=False)
    assert stage.push(events_of("x" * 1_000)[0]) == []
    assert len(stage.finish()) == 1


def test_a_text_that_stopped_growing_does_not_hold_the_others() -> None:
    stage = redaction(BAN)
    assert stage.push(events_of("hm open ses", channel="thinking")[0]) == []
    left = [event for event in events_of(*["word "] * 60) for event in stage.push(event)]
    assert left[0].raw == b"e0"
    assert left[0].texts == (("thinking", "hm open ses"),)
    assert len(left) > 50


def test_a_placeholder_that_is_never_finished_does_not_hold_the_others() -> None:
    stage = restoring()
    assert stage.push(events_of("hm [PERS", channel="thinking")[0]) == []
    left = [event for event in events_of(*["word "] * 20) for event in stage.push(event)]
    assert text_of(left, "thinking") == "hm [PERS"


def test_a_flood_of_events_without_text_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "MAX_HELD_BYTES", 100)
    stage = redaction(BAN)
    assert stage.push(events_of("open")[0]) == []
    left = [event for _ in range(20) for event in stage.push(AnswerEvent(b"0123456789"))]
    assert len(left) > 10


def test_texts_beyond_the_limit_of_channels_are_left_to_the_scan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rewriting, "MAX_CHANNELS", 1)
    event = AnswerEvent(b"e", (("a", "aa"), ("b", "aa")))
    (left,) = through(redaction(BAN), [event])
    assert left.texts == (("a", "[REDACTED:phrase no. 4]"), ("b", "aa"))


def test_an_event_that_cannot_be_changed_is_told_with_the_scanner_that_would() -> None:
    told: list[str] = []

    def note(event: AnswerEvent, owner: str) -> AnswerEvent:
        told.append(owner)
        return event

    stone = AnswerEvent(b"stone", (("content", "open sesame"),))
    assert through(redaction(BAN, unchangeable=note), [stone]) == [stone]
    assert told == ["ban_substrings"]


def test_a_redactor_that_fails_takes_nothing_out() -> None:
    class Failing:
        name, redacts, hold_chars = "failing", True, 3

        def spans(self, view: View) -> Sequence[Span]:
            raise RuntimeError(view.text)

        def settled(self, view: View) -> int:
            return len(view.text)

    stage = redaction(Failing(), BAN)  # type: ignore[arg-type]
    assert text_of(through(stage, events_of("aa"))) == "[REDACTED:phrase no. 4]"


def test_memory_is_bounded() -> None:
    editor = RedactingEditor([BAN], 200, Counter())
    for _ in range(1_000):
        editor.append("aa 0123456789")
        editor.decide(ended=False)
    assert len(editor._text) < 50
    assert len(editor._found) < 10


@pytest.mark.parametrize("head", ['{"a": "', '["', " [\n {", '[1, "', "[[", "[true"])
def test_in_json_words_come_back_as_json_spells_them(head: str) -> None:
    text = f"{head}[EMAIL_ADDRESS_1]"
    for cut in range(len(text)):
        left = text_of(through(restoring(), events_of(text[:cut], text[cut:])))
        assert left == head + json.dumps(VAULT["[EMAIL_ADDRESS_1]"])[1:-1]


@pytest.mark.parametrize("head", ["", "so: ", "[x] ", "[ E ", '"'])
def test_elsewhere_words_come_back_as_they_were(head: str) -> None:
    left = text_of(through(restoring(), events_of(f"{head}[EMAIL_ADDRESS_1]")))
    assert left == head + VAULT["[EMAIL_ADDRESS_1]"]


@pytest.mark.parametrize("streamed", [True, False])
def test_each_value_of_a_channel_is_json_or_not_by_itself(streamed: bool) -> None:
    values = ("[EMAIL_ADDRESS_1]", '{"a":"[EMAIL_ADDRESS_1]"}', "x [EMAIL_ADDRESS_1]")
    texts = tuple(("args", text) for value in values for text in (value, "\n"))
    word = VAULT["[EMAIL_ADDRESS_1]"]
    (left,) = through(restoring(streamed=streamed), [AnswerEvent(b"e", texts)])
    new = [text for _, text in left.texts][::2]
    assert new == [word, json.dumps({"a": word}, separators=(",", ":")), f"x {word}"]


def test_a_match_longer_than_declared_is_not_taken_out_but_left_to_the_scan() -> None:
    pattern = RegexPattern(name="mail", pattern=r"\w+@\w+", max_length=9)
    text = "to a@b.c or much_too_long@x, "
    stage = redaction(RegexScanner([pattern], "redact"), streamed=False)
    left = text_of(through(stage, events_of(text)))
    assert left == "to [REDACTED:mail].c or much_too_long@x, "
