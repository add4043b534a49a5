"""Model scanners inside both guards: sizes, whole answers, ends of sentences."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import ResponseBlockedError, TooLargeError
from ogp.core.types import AnswerEvent, InferenceRequest, TextKind, TextPart, Verdict
from ogp.guard.input import build_input_guard
from ogp.guard.model_scanner import ModelScanner
from ogp.guard.output import build_output_guard
from ogp.guard.pool import ScannerPool
from ogp.settings.guard_schema import GuardSettings
from tests.support.phrase_model import DIALECT, INPUT, OUTPUT, SOMEBODY, PhraseModel

LONG = "word " * 300


@pytest.fixture
def pool() -> Iterator[ScannerPool]:
    pool = ScannerPool(1, max_pending=1000, clock=SystemClock())
    pool.start()
    yield pool
    pool.stop()


def request(text: str) -> InferenceRequest:
    return InferenceRequest(
        "ollama", "chat", "POST", "/api/chat", texts=(TextPart("p", text, TextKind.CONTENT),)
    )


def test_a_prompt_is_refused_for_its_size_and_not_called_clean(pool: ScannerPool) -> None:
    scanner = ModelScanner(replace(INPUT, max_windows=5), PhraseModel, pool, SystemClock())
    scanner.begin()
    guard = build_input_guard(GuardSettings(), models=[scanner])
    verdicts: list[Verdict] = []
    with pytest.raises(TooLargeError):
        guard.scan(request(LONG), SOMEBODY, DIALECT, verdicts.append)
    assert [verdict.summary() for verdict in verdicts] == ["not_scanned"]


def test_an_answer_is_blocked_and_says_why(pool: ScannerPool) -> None:
    scanner = ModelScanner(replace(OUTPUT, max_windows=5), PhraseModel, pool, SystemClock())
    scanner.begin()
    guard = build_output_guard(GuardSettings(), models=[scanner])
    verdicts: list[Verdict] = []
    event = AnswerEvent(LONG.encode(), (("response", LONG),))
    with pytest.raises(ResponseBlockedError):
        list(guard.filter(request("hi"), SOMEBODY, DIALECT, iter([event]), verdicts.append))
    assert [verdict.summary() for verdict in verdicts] == ["blocked:toxicity"]
    assert verdicts[0].failed[0].reason == "too long to be scanned"


def test_a_scanner_of_whole_answers_waits_for_their_end(pool: ScannerPool) -> None:
    model = PhraseModel(step=10_000)
    scanner = ModelScanner(replace(OUTPUT, whole=True), lambda: model, pool, SystemClock())
    scanner.begin()
    guard = build_output_guard(GuardSettings(), models=[scanner])
    streamed = replace(request("hi"), stream=True)
    texts = ["One sentence is over. ", "So is another one. ", "The end."]
    events = [AnswerEvent(text.encode(), (("response", text),)) for text in texts]
    verdicts: list[Verdict] = []
    assert list(guard.filter(streamed, SOMEBODY, DIALECT, iter(events), verdicts.append)) == events
    assert "".join(texts) in model.texts
    assert texts[0] not in model.texts


def test_a_host_name_ends_no_sentence(pool: ScannerPool) -> None:
    model = PhraseModel(step=10_000)
    scanner = ModelScanner(replace(OUTPUT, window_chars=200), lambda: model, pool, SystemClock())
    scanner.begin()
    guard = build_output_guard(GuardSettings(), models=[scanner])
    streamed = replace(request("hi"), stream=True)
    texts = ["You should look at http://evil.", "example/page today. ", "Bye."]
    events = [AnswerEvent(text.encode(), (("response", text),)) for text in texts]
    assert (
        list(guard.filter(streamed, SOMEBODY, DIALECT, iter(events), lambda verdict: None))
        == events
    )
    assert not any(text.endswith("http://evil.") for text in model.texts)
