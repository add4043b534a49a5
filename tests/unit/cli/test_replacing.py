"""What is taken out of a text before it is judged, by real scanners and a finder of one word."""

from collections.abc import Mapping, Sequence

import pytest

from ogp.cli.replacing import NotingFinder, OneText, Replacements
from ogp.core.types import AnswerEvent
from ogp.guard.ban import BanSubstringsScanner
from ogp.guard.base import Span
from ogp.guard.normalise import Normaliser

HERON = BanSubstringsScanner(("heron",), "str", Normaliser(), "redact")


class Words:
    """Finds words of one length."""

    name, required = "words", True

    def __init__(self, chars: int, error: Exception | None = None) -> None:
        self._chars, self._error = chars, error

    def find(self, text: str) -> Sequence[Span]:
        if self._error is not None:
            raise self._error
        spans, end = [], 0
        for word in text.split():
            start = text.index(word, end)
            end = start + len(word)
            if len(word) == self._chars:
                spans.append(Span(start, end, f"WORD{self._chars}"))
        return spans

    def describe(self) -> Mapping[str, int | str]:
        return {"chars": self._chars}

    def identity(self) -> str:
        return "words"


def test_a_text_of_which_nothing_is_to_be_replaced_stays() -> None:
    replaced = Replacements((), ()).apply("the heron")
    assert (replaced.text, replaced.found, replaced.taken_out) == ("the heron", (), {})
    replaced = Replacements((HERON,), (Words(9),)).apply("a stork")
    assert (replaced.text, replaced.taken_out) == ("a stork", {})
    assert replaced.found[0].kinds == {}


def test_redactors_leave_labels_and_finders_placeholders() -> None:
    replaced = Replacements((HERON,), (Words(3),)).apply("the heron and the heron")
    label = "[REDACTED:phrase no. 1]"
    assert replaced.text == f"[WORD3_1] {label} [WORD3_2] [WORD3_1] {label}"
    assert replaced.taken_out == {"ban_substrings": 2}
    (found,) = replaced.found
    assert (found.finder, found.kinds, found.error) == ("words", {"WORD3": 3}, None)
    assert found.took_ms > 0


def test_a_finder_that_fails_replaces_nothing_and_stops_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = RuntimeError("heron")
    replaced = Replacements((HERON,), (Words(3, error),)).apply("the heron")
    assert replaced.text == "the [REDACTED:phrase no. 1]"
    assert replaced.found[0].error is error
    assert caplog.text == ""


def test_a_finder_that_is_watched_stays_what_it_is() -> None:
    finder = Words(3)
    noting = NotingFinder(finder)
    assert (noting.name, noting.describe(), noting.identity()) == ("words", {"chars": 3}, "words")


def test_an_answer_is_its_texts() -> None:
    event = AnswerEvent(b"", (("content", "before"),))
    assert OneText().with_answer_texts(event, [("content", "after")]).texts == (
        ("content", "after"),
    )
