"""Both guards over one pool, with tiny real models."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import GuardUnavailableError, PromptBlockedError, ResponseBlockedError
from ogp.core.types import AnswerEvent, InferenceRequest, TextKind, TextPart, Verdict
from ogp.guard import wanted as wanted_module
from ogp.guard.engine import GuardEngine
from ogp.settings.schema import Settings
from tests.support.tiny_models import write_classifier

WAIT_S = 60.0
TRIGGER = "wolf"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    write_classifier(
        directory / "toxicity",
        labels=("neutral", "toxicity", "insult"),
        verdict="insult",
        trigger=TRIGGER,
        form="onnx",
    )
    return directory


def make_settings(models: Path, **guard: Any) -> Settings:
    return Settings.model_validate({"guard": {"models": {"path": models}, **guard}})


@contextmanager
def running(settings: Settings) -> Iterator[GuardEngine]:
    engine = GuardEngine(settings, SystemClock())
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def request(text: str) -> InferenceRequest:
    return InferenceRequest(
        "ollama", "chat", "POST", "/api/chat", texts=(TextPart("p", text, TextKind.CONTENT),)
    )


def nothing(_verdict: Verdict) -> None:
    """Take no note."""


def answer(engine: GuardEngine, text: str) -> list[AnswerEvent]:
    event = AnswerEvent(text.encode(), (("response", text),))
    return list(engine.output.filter(request("say it"), iter([event]), nothing))


def test_weights_that_are_there_scan_both_directions_as_one_model(models: Path) -> None:
    with running(make_settings(models)) as engine:
        engine.input.scan(request("hello world"), nothing)
        with pytest.raises(PromptBlockedError, match="toxicity"):
            engine.input.scan(request(f"you {TRIGGER} !"), nothing)
        assert answer(engine, "hello world")
        with pytest.raises(ResponseBlockedError, match="toxicity"):
            answer(engine, f"you {TRIGGER} !")
        shown = engine.describe()
        assert shown["input"]["toxicity"]["state"] == "ready"
        assert shown["input"]["toxicity"]["model"] == shown["output"]["toxicity"]["model"]
        assert engine.obstacles() == engine.problems() == []
        assert engine.describe_device()["device"] == "cpu"


def test_one_directory_is_loaded_once(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    real = wanted_module.load_classifier

    def counting(*arguments: Any) -> Any:
        loaded.append(arguments[1])
        return real(*arguments)

    monkeypatch.setattr(wanted_module, "load_classifier", counting)
    with running(make_settings(models)) as engine:
        answer(engine, "hello world")
        engine.input.scan(request("hello world"), nothing)
    assert loaded == [models / "toxicity"]


def test_without_weights_auto_is_off_and_says_what_is_missing(tmp_path: Path) -> None:
    with running(make_settings(tmp_path)) as engine:
        engine.input.scan(request("hello"), nothing)
        shown = engine.describe()["input"]["prompt_injection"]
        assert shown["state"] == "off"
        assert "no such directory" in str(shown["reason"])
        assert "download_models.sh" in str(shown["reason"])
        assert engine.problems() == []
        assert engine.describe_device()["reason"] == "no model scanner is on"


def test_weights_that_are_asked_for_and_missing_refuse_and_are_a_problem(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, input_scanners={"toxicity": {"enabled": True}})
    with running(settings) as engine:
        with pytest.raises(GuardUnavailableError):
            engine.input.scan(request("hello"), nothing)
        assert engine.problems() == ["guard scanner toxicity (input) cannot be loaded"]


def test_weights_that_are_optional_and_missing_let_pass_and_are_noted(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, input_scanners={"toxicity": {"enabled": "optional"}})
    verdicts: list[Verdict] = []
    with running(settings) as engine:
        engine.input.scan(request("hello"), verdicts.append)
    assert verdicts[0].summary() == "clean;unscanned:toxicity"


def test_a_direction_that_is_off_has_no_models(models: Path) -> None:
    settings = make_settings(
        models, input_enabled=False, output_scanners={"toxicity": {"enabled": False}}
    )
    with running(settings) as engine:
        assert engine.describe_device()["device"] == "none"
        assert engine.describe()["input"]["toxicity"]["state"] == "off"


def test_until_a_model_is_loaded_it_is_an_obstacle(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, asked = Event(), Event()

    def waiting(*_arguments: Any) -> Any:
        asked.set()
        assert release.wait(WAIT_S)
        raise RuntimeError("no model after all")

    monkeypatch.setattr(wanted_module, "load_classifier", waiting)
    with running(make_settings(models)) as engine:
        assert asked.wait(WAIT_S)
        assert "toxicity is loading" in engine.obstacles()
        release.set()
        with pytest.raises(GuardUnavailableError):
            engine.input.scan(request("hello"), nothing)


def test_before_models_load_the_device_is_not_known(models: Path) -> None:
    engine = GuardEngine(make_settings(models), SystemClock())
    assert engine.describe_device()["reason"] == "chosen when models load"
    engine.stop()


def test_a_flagged_text_passes(models: Path) -> None:
    settings = make_settings(models, input_scanners={"toxicity": {"action": "flag"}})
    verdicts: list[Verdict] = []
    with running(settings) as engine:
        engine.input.scan(request(f"you {TRIGGER} !"), verdicts.append)
    assert verdicts[0].summary() == "clean;flagged:toxicity"
