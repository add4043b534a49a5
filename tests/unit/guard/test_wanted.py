from pathlib import Path
from typing import Any

import pytest

from ogp.guard import wanted as wanted_module
from ogp.guard.device import Device
from ogp.guard.wanted import Wanted, wanted_scanners, what_is_missing
from ogp.settings.guard_schema import GuardSettings


def settings_of(*entries: dict[str, Any], **sections: Any) -> GuardSettings:
    return GuardSettings.model_validate({"llm_guard": entries, **sections})


def by_name(settings: GuardSettings, direction: Any = "input") -> dict[str, Wanted]:
    return {wanted.name: wanted for wanted in wanted_scanners(settings, direction)}


def test_classifiers_of_ours_are_known_in_their_directions() -> None:
    assert list(by_name(settings_of())) == ["prompt_injection", "toxicity", "code"]
    assert list(by_name(settings_of(), "output")) == [
        "toxicity",
        "code",
        "malicious_urls",
        "no_refusal",
    ]


def test_both_directions_of_a_classifier_share_one_model() -> None:
    settings = settings_of(models={"path": "m"})
    shared = {by_name(settings, direction)["toxicity"].shared for direction in ("input", "output")}
    assert shared == {Path("m/toxicity")}


def test_a_scanner_of_llm_guard_takes_its_own_threshold_and_directory() -> None:
    wanted = by_name(settings_of({"scanner": "gibberish", "direction": "input"}))["gibberish"]
    assert wanted.threshold == 0.97
    assert wanted.directory == Path("models/gibberish")
    assert wanted.enabled is True
    assert wanted.blocks


def test_settings_of_an_entry_are_kept() -> None:
    entry = {
        "scanner": "ban_topics", "direction": "output", "name": "no_politics", "topics": "politics",
        "threshold": 0.8, "action": "flag", "enabled": "optional", "path": "weights/topics",
    }  # fmt: skip
    wanted = by_name(settings_of(entry), "output")["no_politics"]
    assert (wanted.threshold, wanted.blocks, wanted.enabled) == (0.8, False, "optional")
    assert wanted.directory == Path("weights/topics")


def test_scanners_without_weights_need_none() -> None:
    wanted = by_name(settings_of({"scanner": "json", "direction": "output"}), "output")["json"]
    assert wanted.directory is None
    assert wanted.whole
    assert wanted.missing() == ""


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"scanner": "bann_topics", "direction": "input"}, "no scanner 'bann_topics'; there are"),
        ({"scanner": "ban_topics", "direction": "input"}, "topics"),
        ({"scanner": "bias", "direction": "input"}, "output only"),
        ({"scanner": "gibberish", "direction": "input", "topics": "x"}, "topics"),
        ({"scanner": "toxicity", "direction": "input"}, "toxicity is there twice for input"),
        (
            {"scanner": "code", "direction": "output", "languages": "Go"},
            "code is there twice for output",
        ),
        (
            {"scanner": "gibberish", "direction": "input", "name": "secrets"},
            "secrets is there twice for input",
        ),
    ],
)
def test_a_wrong_entry_is_refused_and_named(entry: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        by_name(settings_of(entry), entry["direction"])


def test_entries_of_the_other_direction_are_left_out() -> None:
    settings = settings_of({"scanner": "bias", "direction": "output"})
    assert "bias" not in by_name(settings)


def test_a_missing_package_is_named_before_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "lacks" in what_is_missing(tmp_path)
    monkeypatch.setattr(wanted_module, "is_installed", lambda _package: False)
    assert what_is_missing(tmp_path) == "the package tokenizers is not installed"


CODE = {"enabled": True, "languages": "Python, Go", "threshold": 0.7, "action": "flag"}


def test_scanners_of_llm_guard_have_sections_of_their_own() -> None:
    settings = settings_of(
        input_scanners={"code": {**CODE, "path": "weights/code"}},
        output_scanners={
            "code": {**CODE, "blocked": False},
            "malicious_urls": {"enabled": "optional"},
            "no_refusal": {"enabled": "auto", "threshold": 0.75},
        },
    )
    code = by_name(settings)["code"]
    assert (code.enabled, code.threshold, code.blocks) == (True, 0.7, False)
    assert (code.directory, code.packages) == (Path("weights/code"), ("llm_guard",))
    assert code.parameters["languages"] == ("Python", "Go")
    answers = by_name(settings, "output")
    assert answers["code"].parameters["blocked"] is False
    assert answers["malicious_urls"].enabled == "optional"
    assert answers["malicious_urls"].directory == Path("models/malicious_urls")
    assert (answers["no_refusal"].kind, answers["no_refusal"].threshold) == ("no_refusal", 0.75)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"code": {"enabled": True}}, r"^guard\.output_scanners\.code: languages must be a list"),
        ({"code": {"enabled": "auto"}}, r"^guard\.output_scanners\.code: languages must be"),
        (
            {"code": {"enabled": True, "languages": ["Pyton"]}},
            r"guard\.output_scanners\.code: languages must not name 'Pyton'",
        ),
        (
            {"no_refusal": {"enabled": True, "threshold": 1}},
            r"guard\.output_scanners\.no_refusal: threshold must be between 0 and 1",
        ),
    ],
)
def test_a_section_that_is_on_must_be_complete(section: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        by_name(settings_of(output_scanners=section), "output")


def custom(**facts: Any) -> dict[str, Any]:
    return {"name": "mine", "import": "acme.rules:Rule", "direction": "input", **facts}


def test_scanners_of_operators_need_no_weights_and_no_packages() -> None:
    wanted = by_name(settings_of(custom=[custom(threshold=0.3, enabled="optional")]))["mine"]
    assert (wanted.kind, wanted.threshold, wanted.enabled) == ("custom", 0.3, "optional")
    assert wanted.missing() == ""
    assert "mine" not in by_name(settings_of(custom=[custom()]), "output")


def test_scanners_of_operators_get_their_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Any] = []
    monkeypatch.setattr(wanted_module, "load_custom", lambda *given: loaded.append(given))
    settings = settings_of(custom=[custom(parameters=["limit=3", "words=[a, b]"])])
    by_name(settings)["mine"].load(Device("cpu", "test", "fp32"))
    assert loaded == [("acme.rules:Rule", {"limit": 3, "words": ["a", "b"]})]


@pytest.mark.parametrize("name", ["secrets", "prompt_injection", "code", "gibberish"])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    settings = settings_of(
        {"scanner": "gibberish", "direction": "input"}, custom=[custom(name=name)]
    )
    with pytest.raises(ValueError, match=f"guard.custom: {name} is there twice for input"):
        by_name(settings)


def test_weights_of_a_section_are_loaded_as_its_scanner(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Any] = []
    monkeypatch.setattr(wanted_module, "load_llmguard", lambda *given: loaded.append(given))
    settings = settings_of(output_scanners={"no_refusal": {"enabled": True}})
    cpu = Device("cpu", "test", "fp32")
    by_name(settings, "output")["no_refusal"].load(cpu)
    assert loaded == [("no_refusal", "output", {"threshold": 0.5}, Path("models/no_refusal"), cpu)]
