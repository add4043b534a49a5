"""Model scanners for the command line, with real, tiny weights."""

from pathlib import Path
from typing import Any

import click
import pytest

from ogp.cli.weights import (
    Started,
    anonymize_state,
    asked_of,
    device_for,
    load_from,
    loaded_state,
    started,
)
from ogp.guard.base import View, ViewKind
from ogp.guard.device import Device
from ogp.guard.model import ModelUnavailableError
from ogp.settings.guard_schema import GuardSettings
from tests.support.tiny_models import write_classifier
from tests.support.tiny_ner import write_ner

CPU = Device("cpu", "test", "fp32")
TOXIC = ("male", "toxicity", "insult")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    write_classifier(directory / "prompt_injection", verdict="INJECTION", trigger="wolf")
    write_classifier(directory / "toxicity", labels=TOXIC, verdict="toxicity", trigger="boor")
    return directory


def make_settings(models: Path, threads: object = 1, **fields: Any) -> GuardSettings:
    section = {"models": {"path": models, "device": "cpu", "threads": threads}}
    return GuardSettings.model_validate({**section, **fields})


def test_each_direction_has_its_scanners(models: Path) -> None:
    settings = make_settings(models)
    assert [each.wanted.name for each in asked_of(settings, "input")] == [
        "prompt_injection",
        "toxicity",
        "code",
    ]
    assert [each.wanted.name for each in asked_of(settings, "output")] == [
        "toxicity",
        "code",
        "malicious_urls",
        "no_refusal",
    ]


def test_a_path_of_its_own_counts(models: Path, tmp_path: Path) -> None:
    settings = make_settings(models, input_scanners={"toxicity": {"path": tmp_path}})
    assert [each.wanted.directory for each in asked_of(settings, "input")][:2] == [
        models / "prompt_injection",
        tmp_path,
    ]


@pytest.mark.parametrize(
    ("enabled", "is_there", "state", "scans"),
    [
        ("auto", True, "found", True),
        ("auto", False, "missing", False),
        (True, True, "found", True),
        (True, False, "unavailable", True),
        ("optional", False, "unavailable", True),
        (False, True, "off", False),
    ],
)
def test_state_without_loading(
    models: Path, tmp_path: Path, enabled: object, is_there: bool, state: str, scans: bool
) -> None:
    settings = make_settings(
        models if is_there else tmp_path, input_scanners={"toxicity": {"enabled": enabled}}
    )
    toxicity = asked_of(settings, "input")[1]
    assert (toxicity.state()["state"], toxicity.scans) == (state, scans)


def test_a_direction_that_is_off_asks_for_nothing(models: Path) -> None:
    settings = make_settings(models, input_enabled=False)
    assert not any(each.scans for each in asked_of(settings, "input"))
    assert [each.scans for each in asked_of(settings, "output")][:1] == [True]


def test_missing_weights_come_with_the_command_that_brings_them(tmp_path: Path) -> None:
    state = asked_of(make_settings(tmp_path), "input")[0].state()
    assert state["reason"] == f"no such directory: {tmp_path / 'prompt_injection'}"
    assert state["command"] == "scripts/download_models.sh prompt_injection"


def test_missing_packages_come_with_the_command_that_installs_them(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ogp.guard.wanted.is_installed", lambda _: False)
    asked = asked_of(make_settings(models), "input")[0]
    assert asked.state()["state"] == "missing"
    assert asked.state()["command"] == "./run_proxy.sh install"
    assert not asked.scans


def test_the_forms_of_the_weights_are_named(models: Path) -> None:
    assert asked_of(make_settings(models), "input")[0].state()["weights"] == "model.safetensors"


def test_a_loaded_model_tells_hash_precision_device_and_time(models: Path) -> None:
    state = loaded_state(asked_of(make_settings(models), "input")[0], CPU)
    assert state["state"] == "ready"
    assert (state["device"], state["precision"], len(state["model"])) == ("cpu", "fp32", 64)
    assert state["load_s"] > 0


def test_a_model_that_cannot_be_loaded_tells_why(models: Path, tmp_path: Path) -> None:
    settings = make_settings(
        models, input_scanners={"toxicity": {"path": models / "prompt_injection"}}
    )
    state = loaded_state(asked_of(settings, "input")[1], CPU)
    assert state["state"] == "failed"
    assert "TOXICITY" in state["reason"]


def test_only_classifiers_are_compared(models: Path) -> None:
    with pytest.raises(
        ModelUnavailableError, match="ban_topics has no model that can be converted"
    ):
        load_from("ban_topics", models / "toxicity")


def with_llm_guard(models: Path, **entry: Any) -> GuardSettings:
    return make_settings(models, llm_guard=[{"direction": "output", **entry}])


def test_scanners_of_llm_guard_are_asked_for(models: Path) -> None:
    settings = with_llm_guard(models, scanner="no_refusal", name="polite", enabled="auto")
    polite = asked_of(settings, "output")[-1]
    assert polite.wanted.name == "polite"
    assert polite.state()["state"] == "missing"
    assert polite.state()["command"] == "scripts/download_models.sh no_refusal"


def test_a_scanner_without_weights_is_there(models: Path) -> None:
    settings = with_llm_guard(models, scanner="no_refusal_light")
    assert asked_of(settings, "output")[-1].state() == {"state": "found"}


def test_a_scanner_of_llm_guard_that_does_not_exist_is_told(models: Path) -> None:
    with pytest.raises(click.ClickException, match="there is no scanner 'nonsense'"):
        asked_of(with_llm_guard(models, scanner="nonsense"), "output")


def test_comparisons_use_full_precision(models: Path) -> None:
    model = load_from("prompt_injection", models / "prompt_injection")
    assert model.describe()["precision"] == "fp32"


def test_the_device_of_the_settings_is_taken(models: Path) -> None:
    assert device_for(make_settings(models)).reason == "guard.models.device asks for it"


@pytest.mark.parametrize("threads", ["auto", 2])
def test_started_scanners_find_what_their_model_finds(models: Path, threads: object) -> None:
    settings = make_settings(models, threads)
    with started(settings, "input") as slow:
        found = {
            scanner.name: scanner.scan(View("here comes the wolf", ViewKind.JOINED))
            for scanner in slow.scanners
        }
    assert {name: finding and finding.hit for name, finding in found.items()} == {
        "prompt_injection": True,
        "toxicity": False,
    }


def test_a_model_that_cannot_be_loaded_fails_with_every_text(models: Path) -> None:
    settings = make_settings(
        models, input_scanners={"toxicity": {"path": models / "prompt_injection"}}
    )
    with started(settings, "input") as slow:
        with pytest.raises(ModelUnavailableError, match="TOXICITY"):
            slow.scanners[1].scan(View("hello", ViewKind.JOINED))
        assert slow.scanners[0].scan(View("hello", ViewKind.JOINED)) is not None


def test_nothing_is_started_where_no_model_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("torch is asked for")

    monkeypatch.setattr("ogp.guard.engine.choose_device", refuse)
    with started(make_settings(tmp_path), "input") as slow:
        assert slow == Started()


def test_scanners_of_the_operators_need_no_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("torch is asked for")

    monkeypatch.setattr("ogp.guard.engine.choose_device", refuse)
    entry = {"name": "own", "import": "tests.support.failing_scanners:Counting"}
    own = {**entry, "direction": "input", "parameters": ["passes=9"]}
    with started(make_settings(tmp_path, custom=[own]), "input") as slow:
        (scanner,) = slow.scanners
        finding = scanner.scan(View("hello", ViewKind.JOINED))
    assert finding is not None
    assert not finding.hit


def test_the_finder_is_ready_when_the_first_text_comes(tmp_path: Path) -> None:
    with started(anonymize(tmp_path, names=False), "input") as slow:
        (finder,) = slow.finders
        assert finder.describe()["state"] == "ready"
        assert [span.label for span in finder.find("to ada@example.org")] == ["EMAIL_ADDRESS"]
    with started(anonymize(tmp_path, names=False), "output") as slow:
        assert slow == Started()


def test_a_finder_that_cannot_be_loaded_fails_with_every_text(tmp_path: Path) -> None:
    with (
        started(anonymize(tmp_path, names=True), "input") as slow,
        pytest.raises(ModelUnavailableError, match="no such directory"),
    ):
        slow.finders[0].find("to ada@example.org")


def test_an_unknown_entity_ends_the_scan(tmp_path: Path) -> None:
    with (
        pytest.raises(click.ClickException, match="'EMAIL' is not known"),
        started(anonymize(tmp_path, entities=["EMAIL"]), "input"),
    ):
        pass


def anonymize(models: Path, **own: Any) -> GuardSettings:
    return make_settings(models, input_scanners={"anonymize": {"enabled": True, **own}})


def test_the_weights_for_names_are_asked_for_where_personal_data_is_looked_for(
    tmp_path: Path,
) -> None:
    state = anonymize_state(anonymize(tmp_path), None)
    assert (state["state"], state["directory"]) == ("found", str(tmp_path / "anonymize"))
    assert state["names"] == f"off: no such directory: {tmp_path / 'anonymize'}"
    assert state["command"] == "scripts/download_models.sh anonymize"


def test_weights_for_names_that_are_demanded_are_missed(tmp_path: Path) -> None:
    state = anonymize_state(anonymize(tmp_path, names=True), None)
    assert (state["state"], state["command"]) == (
        "unavailable",
        "scripts/download_models.sh anonymize",
    )


def test_no_weights_are_asked_for_without_names(tmp_path: Path) -> None:
    state = anonymize_state(anonymize(tmp_path, names=False), None)
    assert state == {"state": "found", "names": "off: switched off"}
    assert anonymize_state(anonymize(tmp_path, enabled=False), None) == {"state": "off"}


@pytest.mark.parametrize(("enabled", "state"), [("auto", "missing"), (True, "unavailable")])
def test_personal_data_without_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enabled: object, state: str
) -> None:
    monkeypatch.setattr("ogp.cli.weights.missing_packages", lambda: "no presidio")
    shown = anonymize_state(anonymize(tmp_path, enabled=enabled), None)
    assert (shown["state"], shown["reason"]) == (state, "no presidio")
    assert shown["command"] == "./run_proxy.sh install"


def test_personal_data_is_loaded_with_names(tmp_path: Path) -> None:
    write_ner(tmp_path / "anonymize")
    assert anonymize_state(anonymize(tmp_path), None)["names"] == "on"
    shown = anonymize_state(anonymize(tmp_path), CPU)
    assert (shown["state"], shown["names"], shown["device"]) == ("ready", "on", "cpu")
    (tmp_path / "anonymize" / "model.safetensors").write_bytes(b"none")
    assert anonymize_state(anonymize(tmp_path), CPU)["state"] == "failed"


def test_an_unknown_entity_ends_the_command(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="'EMAIL' is not known"):
        anonymize_state(anonymize(tmp_path, entities=["EMAIL"]), None)
