"""Both guards over one pool, with tiny real models."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import GuardUnavailableError, PromptBlockedError, ResponseBlockedError
from ogp.core.ports import Report
from ogp.core.types import AnswerEvent, InferenceRequest, TextKind, TextPart, Verdict
from ogp.dialects.base import Dialect
from ogp.guard import engine as engine_module
from ogp.guard import wanted as wanted_module
from ogp.guard.base import Span
from ogp.guard.engine import GuardEngine, pool_sizes, shortened
from ogp.guard.pool import ScannerPool
from ogp.guard.wanted import wanted_scanners
from ogp.settings.guard_schema import GuardSettings, ModelsSettings
from ogp.settings.schema import Settings
from tests.support.phrase_model import DIALECT, SOMEBODY, PhraseModel
from tests.support.pool_lab import until
from tests.support.tiny_models import write_classifier

WAIT_S = 60.0
TRIGGER = "stupid"
"""A word of the canary's."""
BAD = f"you {TRIGGER} !"


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
def running(settings: Settings, dialects: Sequence[Dialect] = ()) -> Iterator[GuardEngine]:
    engine = GuardEngine(settings, SystemClock(), dialects=dialects)
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
    events = iter([event])
    return list(engine.output.filter(request("say it"), SOMEBODY, DIALECT, events, nothing))


def prompt(engine: GuardEngine, text: str, report: Report = nothing) -> None:
    engine.input.scan(request(text), SOMEBODY, DIALECT, report)


def test_weights_that_are_there_scan_both_directions_as_one_model(models: Path) -> None:
    with running(make_settings(models)) as engine:
        prompt(engine, "hello world")
        with pytest.raises(PromptBlockedError, match="toxicity"):
            prompt(engine, BAD)
        assert answer(engine, "hello world")
        with pytest.raises(ResponseBlockedError, match="toxicity"):
            answer(engine, BAD)
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
        prompt(engine, "hello world")
    assert loaded == [models / "toxicity"]


def test_without_weights_auto_is_off_and_says_what_is_missing(tmp_path: Path) -> None:
    with running(make_settings(tmp_path)) as engine:
        prompt(engine, "hello")
        shown = engine.describe()["input"]["prompt_injection"]
        assert shown["state"] == "off"
        assert "no such directory: prompt_injection;" in str(shown["reason"])
        assert str(tmp_path) not in str(engine.describe())
        assert "download_models.sh" in str(shown["reason"])
        assert engine.problems() == []
        assert engine.describe_device()["reason"] == "no model scanner is on"


def test_weights_that_are_asked_for_and_missing_refuse_and_are_a_problem(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, input_scanners={"toxicity": {"enabled": True}})
    with running(settings) as engine:
        with pytest.raises(GuardUnavailableError):
            prompt(engine, "hello")
        assert engine.problems() == ["guard scanner toxicity (input) cannot be loaded"]
        assert engine.describe()["input"]["toxicity"]["reason"] == "no such directory: toxicity"


def test_weights_that_are_optional_and_missing_let_pass_and_are_noted(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, input_scanners={"toxicity": {"enabled": "optional"}})
    verdicts: list[Verdict] = []
    with running(settings) as engine:
        prompt(engine, "hello", verdicts.append)
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
            prompt(engine, "hello")


def test_before_models_load_the_device_is_not_known(models: Path) -> None:
    engine = GuardEngine(make_settings(models), SystemClock())
    assert engine.describe_device()["reason"] == "chosen when models load"
    engine.stop()


def test_a_flagged_text_passes(models: Path) -> None:
    settings = make_settings(models, input_scanners={"toxicity": {"action": "flag"}})
    verdicts: list[Verdict] = []
    with running(settings) as engine:
        prompt(engine, BAD, verdicts.append)
    assert verdicts[0].summary() == "clean;flagged:toxicity"


CUSTOM = """
class Rule:
    def __init__(self, word):
        self.word = word

    def scan(self, text, prompt):
        return 1.0 if self.word in text else 0.0
"""


def custom(**facts: Any) -> dict[str, Any]:
    return {"name": "mine", "import": "engine_rules:Rule", "parameters": ["word=heron"], **facts}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "engine_rules.py").write_text(CUSTOM)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("engine_rules", None)


def test_scanners_of_operators_judge_in_both_directions(package: None, tmp_path: Path) -> None:
    entries = [custom(direction="input"), custom(direction="output", action="flag")]
    with running(make_settings(tmp_path, custom=entries)) as engine:
        prompt(engine, "hello world")
        with pytest.raises(PromptBlockedError, match="mine"):
            prompt(engine, "a heron")
        assert answer(engine, "a heron")
        shown = engine.describe()["input"]["mine"]
        assert (shown["state"], shown["class"]) == ("ready", "engine_rules:Rule")
        assert engine.describe_device()["device"] == "none"
        skipped = engine.canaries.describe()["skipped"]
        assert skipped["mine (input)"] == skipped["mine (output)"] == "yours: no sample"


def test_one_that_cannot_be_made_refuses_or_is_passed_by(tmp_path: Path) -> None:
    entry = {**custom(direction="input"), "import": "no_such_package.rules:Rule"}
    with running(make_settings(tmp_path, custom=[entry])) as engine:
        with pytest.raises(GuardUnavailableError):
            prompt(engine, "hello")
        assert engine.problems() == ["guard scanner mine (input) cannot be loaded"]
    verdicts: list[Verdict] = []
    settings = make_settings(tmp_path, custom=[{**entry, "enabled": "optional"}])
    with running(settings) as engine:
        prompt(engine, "hello", verdicts.append)
    assert verdicts[0].unscanned == ("mine",)


def test_canaries_run_when_the_models_are_there(models: Path) -> None:
    with running(make_settings(models), dialects=[DIALECT]) as engine:
        assert answer(engine, "hello world")  # waits for the models
        until(lambda: engine.canaries.describe()["runs"] == 1)
        assert engine.canaries.describe()["misses"] == 0
        assert engine.canaries.describe()["samples"] == 6  # toxicity twice among them
        cache = engine.describe_cache()
        assert engine.canaries.run_once() == []
        assert engine.describe_cache() == cache


def test_a_model_that_is_blind_is_a_problem(tmp_path: Path) -> None:
    labels = ("neutral", "toxicity")
    write_classifier(tmp_path / "toxicity", labels=labels, verdict="neutral", form="onnx")
    settings = make_settings(tmp_path, output_scanners={"toxicity": {"enabled": False}})
    with running(settings, dialects=[DIALECT]) as engine:
        prompt(engine, "hello world")  # waits for the model
        until(lambda: engine.canaries.describe()["runs"] == 1)
        assert engine.problems() == [
            "guard canary toxicity (input, ollama): a known bad sample passed"
        ]


def test_without_models_canaries_run_at_once(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, input_scanners={"anonymize": {"enabled": False}})
    with running(settings, dialects=[DIALECT]) as engine:
        until(lambda: engine.canaries.describe()["runs"] == 1)
    assert engine.problems() == []


@pytest.mark.parametrize(
    ("given", "on_gpu", "sizes"),
    [
        ({}, False, {"threads": 4, "batch": 1}),
        ({}, True, {"threads": 1, "batch": 16}),
        ({"threads": 3, "batch": 8}, True, {"threads": 3, "batch": 8}),
        ({"threads": 3, "batch": 8}, False, {"threads": 3, "batch": 8}),
    ],
)
def test_a_gpu_is_fed_by_one_thread_in_batches(
    given: dict[str, Any], on_gpu: bool, sizes: dict[str, int]
) -> None:
    assert pool_sizes(ModelsSettings(**given), 4, on_gpu=on_gpu) == sizes


def test_the_pool_changes_when_a_model_computes_on_a_gpu(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnGpu(PhraseModel):
        def describe(self) -> Mapping[str, str | int]:
            return {**super().describe(), "device": "cuda"}

    resized: list[Any] = []
    monkeypatch.setattr(wanted_module, "load_classifier", lambda *_: OnGpu())
    monkeypatch.setattr(ScannerPool, "resize", lambda _, **sizes: resized.append(sizes))
    with running(make_settings(models)) as engine:
        prompt(engine, "hello")
    assert resized == [{"threads": 1, "batch": 16}]


def test_reasons_name_the_last_part_of_a_directory_only() -> None:
    (wanted, *_) = wanted_scanners(GuardSettings(), "input")
    told = "no such directory: models/prompt_injection"
    assert shortened(told, wanted) == "no such directory: prompt_injection"
    assert shortened(told, replace(wanted, directory=None)) == told
    assert shortened(told, replace(wanted, directory=Path())) == told


class Finder:
    """Stands in for the finder of personal data."""

    name = "anonymize"
    required = True

    def __init__(self) -> None:
        self.begun = Event()

    def begin(self) -> None:
        self.begun.set()

    def obstacle(self) -> str | None:
        return None if self.begun.is_set() else "anonymize is loading"

    def find(self, text: str) -> list[Span]:
        return []

    def describe(self) -> Mapping[str, int | str]:
        return {"state": "failed" if self.begun.is_set() else "loading"}

    def identity(self) -> str:
        return "anonymize"


def test_a_finder_of_personal_data_is_started_shown_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = Finder()
    monkeypatch.setattr(engine_module, "build_anonymizer", lambda *_: finder)
    engine = GuardEngine(make_settings(tmp_path), SystemClock())
    assert engine.obstacles() == ["anonymize is loading"]
    assert engine.describe()["input"]["anonymize"]["state"] == "loading"
    assert engine.describe_device()["reason"] == "chosen when models load"
    engine.start()
    assert finder.begun.is_set()
    assert engine.obstacles() == []
    assert engine.problems() == ["guard scanner anonymize (input) cannot be loaded"]
    engine.stop()


def test_without_a_finder_it_is_off_with_a_reason(tmp_path: Path) -> None:
    engine = GuardEngine(make_settings(tmp_path), SystemClock())
    assert engine.describe()["input"]["anonymize"]["reason"] == "switched off"
