"""Whole answers seen before are not scanned again; streams always are."""

from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import ResponseBlockedError, UpstreamError
from ogp.core.types import AnswerEvent, InferenceRequest, TextKind, TextPart, Verdict
from ogp.guard.base import Finding, View, ViewKind
from ogp.guard.cache import VerdictCache
from ogp.guard.normalise import Normaliser
from ogp.guard.output import AnswerGuard
from ogp.settings.schema import CacheSettings
from tests.support.stages import ALICE, NoRewriter

NORMALISER = Normaliser()
EVENT = AnswerEvent(b"{}", (("response", "hello"),))


class Counting:
    """Counts what it is shown; hits the word `secret`, fails at the word `fail`."""

    name, reads, hold_chars = "counting", (ViewKind.RAW,), 6

    def __init__(self) -> None:
        self.shown: list[str] = []

    def scan(self, view: View) -> Finding | None:
        self.shown.append(view.text)
        if "fail" in view.text:
            raise RuntimeError(view.text)
        return Finding("word") if "secret" in view.text else None

    def settled(self, view: View) -> int:
        return len(view.text)

    def describe(self) -> dict[str, int | str]:
        return {}

    def identity(self) -> str:
        return "counting:1"


class Answers:
    """A guard with a cache, and the verdicts it reported."""

    def __init__(self, *, block_on_error: bool = True) -> None:
        self.scanner = Counting()
        self.cache = VerdictCache(CacheSettings(), SystemClock())
        self.reports: list[Verdict] = []
        self._guard = AnswerGuard(
            (self.scanner,),
            NORMALISER,
            block_on_error=block_on_error,
            window_chars=200,
            cache=self.cache,
        )

    def read(
        self,
        *events: AnswerEvent,
        prompt: str = "hi",
        error: Exception | None = None,
        **fields: Any,
    ) -> list[AnswerEvent]:
        part = TextPart("prompt", prompt, TextKind.CONTENT)
        request = InferenceRequest(
            "ollama", "generate", "POST", "/api/generate", texts=(part,), **fields
        )

        def source() -> Any:
            yield from events
            if error is not None:
                raise error

        return list(self._guard.filter(request, ALICE, NoRewriter(), source(), self.reports.append))

    @property
    def summaries(self) -> list[str]:
        return [report.summary() for report in self.reports]


def test_a_whole_answer_is_scanned_once_and_passes_unchanged_both_times() -> None:
    answers = Answers()
    assert answers.read(EVENT) == answers.read(EVENT) == [EVENT]
    assert answers.summaries == ["clean", "clean;cached"]
    assert answers.scanner.shown == ["hello"]


def test_what_is_no_text_may_differ() -> None:
    answers = Answers()
    answers.read(EVENT)
    timed = AnswerEvent(b'{"total_duration":1}', EVENT.texts)
    assert answers.read(timed) == [timed]
    assert answers.summaries == ["clean", "clean;cached"]


def test_streams_are_scanned_each_time() -> None:
    answers = Answers()
    for _ in range(2):
        answers.read(EVENT, stream=True)
    assert answers.summaries == ["clean", "clean"]
    assert answers.cache.describe()["misses"] == 0


@pytest.mark.parametrize(
    ("events", "prompt"),
    [
        ([EVENT], "hello"),
        ([AnswerEvent(b"{}", (("thinking", "hello"),))], "hi"),
        ([AnswerEvent(b"{}", (("response", "hello"), ("response", "!")))], "hi"),
        ([EVENT, EVENT], "hi"),
    ],
)
def test_another_answer_or_another_prompt_is_scanned(
    events: list[AnswerEvent], prompt: str
) -> None:
    answers = Answers()
    answers.read(EVENT)
    answers.read(*events, prompt=prompt)
    assert answers.summaries == ["clean", "clean"]


def test_a_block_is_found_again_each_time() -> None:
    answers = Answers()
    for _ in range(2):
        with pytest.raises(ResponseBlockedError):
            answers.read(AnswerEvent(b"{}", (("response", "the secret"),)))
    assert answers.summaries == ["blocked:counting"] * 2
    assert answers.cache.describe()["entries"] == 0


def test_a_failure_is_never_remembered() -> None:
    answers = Answers(block_on_error=False)
    for _ in range(2):
        answers.read(AnswerEvent(b"{}", (("response", "fail"),)))
    assert answers.summaries == ["error:counting"] * 2


def test_the_part_before_an_upstream_broke_is_not_taken_for_the_whole() -> None:
    answers = Answers()
    answers.read(AnswerEvent(b"{}", (("response", "hello, the"),)))
    with pytest.raises(UpstreamError):
        answers.read(EVENT, error=UpstreamError("broke"))
    assert answers.summaries == ["clean", "clean"]
