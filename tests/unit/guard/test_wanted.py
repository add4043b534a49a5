from pathlib import Path
from typing import Any

import pytest

from ogp.guard import wanted as wanted_module
from ogp.guard.wanted import Wanted, wanted_scanners, what_is_missing
from ogp.settings.schema import GuardSettings


def settings_of(*entries: dict[str, Any], **sections: Any) -> GuardSettings:
    return GuardSettings.model_validate({"llm_guard": entries, **sections})


def by_name(settings: GuardSettings, direction: Any = "input") -> dict[str, Wanted]:
    return {wanted.name: wanted for wanted in wanted_scanners(settings, direction)}


def test_classifiers_of_ours_are_known_in_their_directions() -> None:
    assert set(by_name(settings_of())) == {"prompt_injection", "toxicity"}
    assert set(by_name(settings_of(), "output")) == {"toxicity"}


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
