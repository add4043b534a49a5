"""A model over a streamed answer: nothing leaves that it was not shown."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import ResponseBlockedError
from ogp.core.types import AnswerEvent, GuardState, InferenceRequest, Verdict
from ogp.guard.ban import BanSubstringsScanner
from ogp.guard.base import Scanner, View
from ogp.guard.normalise import Normaliser
from ogp.guard.output import AnswerGuard
from ogp.guard.pool import ScannerPool
from tests.support.phrase_model import DIALECT, OUTPUT, SOMEBODY, PhraseModel, ready

STREAM = InferenceRequest("ollama", "chat", "POST", "/api/chat", stream=True)


@pytest.fixture
def pool() -> Iterator[ScannerPool]:
    pool = ScannerPool(2, max_pending=100, clock=SystemClock())
    pool.start()
    yield pool
    pool.stop()


class Client:
    """Reads an answer to its end, or to the block."""

    def __init__(self, guard: AnswerGuard, texts: Sequence[str]) -> None:
        self.text = ""
        self.reports: list[Verdict] = []
        self.is_blocked = False
        self.peak = 0
        sent = 0

        def source() -> Iterator[AnswerEvent]:
            nonlocal sent
            for text in texts:
                self.peak = max(self.peak, sent - len(self.text))
                sent += len(text)
                yield AnswerEvent(b"event", (("content", text),))

        try:
            for event in guard.filter(STREAM, SOMEBODY, DIALECT, source(), self.reports.append):
                self.text += event.texts[0][1]
        except ResponseBlockedError:
            self.is_blocked = True


def guard_of(*scanners: Any) -> AnswerGuard:
    return AnswerGuard(scanners, Normaliser(), block_on_error=True, window_chars=60)


def others() -> tuple[Scanner, ...]:
    """A scanner with a longer hold of its own, in both views."""
    return (BanSubstringsScanner(["z" * 30], "str", Normaliser()),)


@pytest.mark.parametrize("phrase", ["open sesame", "open. sesame!", "open\nse。same", "X" * 59])
@pytest.mark.parametrize("beside", [(), others()])
def test_a_phrase_cut_anywhere_never_leaves(
    pool: ScannerPool, phrase: str, beside: tuple[Scanner, ...]
) -> None:
    model = PhraseModel(phrase, step=1_000)
    guard = guard_of(*beside, ready(pool, model, OUTPUT))
    text = f"A first sentence, long enough. He said {phrase} and left. And so on."
    for first in range(0, len(text), 3):
        for second in range(first, len(text), 7):
            client = Client(guard, (text[:first], text[first:second], text[second:]))
            assert client.is_blocked
            assert phrase not in client.text


@pytest.mark.parametrize("size", [1, 2, 5, 13, 59, 60, 61, 200])
@pytest.mark.parametrize("beside", [(), others()])
def test_nothing_leaves_that_the_model_was_not_shown(
    pool: ScannerPool, size: int, beside: tuple[Scanner, ...]
) -> None:
    dice = random.Random(size)
    letters = [chr(0x4E00 + number) for number in range(700)]  # each stands once
    for _ in range(60):
        letters.insert(dice.randrange(len(letters)), dice.choice(". !\n。"))
    text = "".join(letters)
    model = PhraseModel(step=1_000)
    guard = guard_of(*beside, ready(pool, model, OUTPUT))

    def pieces() -> Iterator[AnswerEvent]:
        for at in range(0, len(text), size):
            yield AnswerEvent(b"event", (("content", text[at : at + size]),))

    left = ""
    for event in guard.filter(STREAM, SOMEBODY, DIALECT, pieces(), lambda _: None):
        left += event.texts[0][1]
        seen = set("".join(model.texts))
        assert {letter for letter in left if not letter.isspace()} <= seen
    assert left == text


def test_a_clean_stream_leaves_unchanged_and_waits_for_one_window_at_most(
    pool: ScannerPool,
) -> None:
    guard = guard_of(ready(pool, PhraseModel(step=1_000), OUTPUT))
    text = "Nothing in here ends for a long time, " * 10 + "Well. Now it ends! Then a rest"
    client = Client(guard, text)
    assert client.text == text
    assert [report.state for report in client.reports] == [GuardState.CLEAN]
    assert client.peak <= 60 + 15  # a window, and a quarter of it until the next look


def test_a_sentence_is_scored_with_what_stood_before_it(pool: ScannerPool) -> None:
    model = PhraseModel(step=1_000)
    guard = guard_of(ready(pool, model, OUTPUT))
    Client(guard, ["This is the first sentence. ", "And this is the second one. ", "End"])
    assert model.texts == [
        "This is the first sentence.",
        "This is the first sentence. And this is the second one.",
        "This is the first sentence. And this is the second one. End",
    ]


@pytest.mark.parametrize(
    ("view", "settled"),
    [
        (View("Too short to judge. And", open=True), 0),
        (View("Just long enough so. And", open=True), 20),
        (View("Two of them. Both in one go! And", open=True), 28),
        (View("x" * 59, open=True), 0),
        (View("x" * 60, open=True), 60),
        (View("x" * 60, start=1, open=True), 1),
        (View("An old sentence that ended. And", start=27, open=True), 27),
        (View("An old sentence that ended. And", start=27), 31),
        (View("句" * 19 + "。後", open=True), 20),
    ],
)
def test_an_open_text_is_settled_where_it_was_scanned(
    pool: ScannerPool, view: View, settled: int
) -> None:
    model = PhraseModel(step=1_000)
    scanner = ready(pool, model, OUTPUT)
    assert scanner.settled(view) == settled
    scanner.scan(view)
    assert model.texts == ([view.text[:settled]] if settled > view.start else [])
