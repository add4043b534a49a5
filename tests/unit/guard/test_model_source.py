"""One model that several scanners wait for."""

import logging
from threading import Event, Thread

import pytest

from ogp.core.clock import SystemClock
from ogp.guard import model_source as module
from ogp.guard.model import Model, ModelUnavailableError, ScannerBusyError, ScannerFailedError
from ogp.guard.model_source import ModelSource
from tests.support.phrase_model import PhraseModel

CLOCK = SystemClock()


def fine(_model: Model) -> None:
    """It works."""


def source_of(model: Model | BaseException) -> ModelSource:
    def load() -> Model:
        if isinstance(model, BaseException):
            raise model
        return model

    return ModelSource("scanner=x", load, CLOCK)


def test_until_it_is_loaded_it_is_waited_for() -> None:
    source, model = source_of(PhraseModel()), []
    with pytest.raises(ScannerBusyError, match="still loading"):
        source.model(CLOCK.monotonic())
    waiting = Thread(target=lambda: model.append(source.model(CLOCK.monotonic() + 5)))
    waiting.start()
    source.load(fine)
    waiting.join(5)
    assert model == [source.state.model]
    assert dict(source.state.facts)["model"] == "ab12"


def test_a_deadline_beyond_what_can_be_waited_for_is_no_overflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TIMEOUT_MAX", 0.0)
    with pytest.raises(ScannerBusyError):
        source_of(PhraseModel()).model(1e300)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModelUnavailableError("no tokenizer.json"), "no tokenizer.json"),
        (ScannerFailedError("scan raised KeyError"), "fails on a plain sentence: scan raised KeyE"),
        (SystemExit("marker"), "cannot be loaded: SystemExit"),
    ],
)
def test_why_it_is_not_there_is_kept_and_logged(
    error: BaseException, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = source_of(error)
    source.load(fine)
    assert source.state.word == "failed"
    with pytest.raises(ModelUnavailableError, match=f"^{reason}"):
        source.model(0.0)
    assert "guard model failed: scanner=x reason=" in caplog.text
    assert "marker" not in caplog.text


def test_a_model_that_fails_when_it_is_tried_is_not_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tried = Event()

    def try_out(_model: Model) -> None:
        tried.set()
        raise RuntimeError("marker")

    source = source_of(PhraseModel())
    source.load(try_out)
    assert tried.is_set()
    assert source.state.reason == "cannot be loaded: RuntimeError"
    with caplog.at_level(logging.INFO):
        source_of(PhraseModel()).load(fine)
    assert "guard model ready: scanner=x" in caplog.messages
