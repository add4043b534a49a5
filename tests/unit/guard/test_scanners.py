"""From settings to scanners."""

from typing import Any

import pytest

from ogp.guard.scanners import (
    INPUT_NAMES,
    OUTPUT_NAMES,
    describe,
    input_scanners,
    output_scanners,
)
from ogp.settings.guard_schema import GuardSettings


def settings_of(**guard: Any) -> GuardSettings:
    return GuardSettings.model_validate(guard)


def unchanged(text: str) -> str:
    return text


FULL = {
    "ban_substrings": {"substrings": ["x"]},
    "regex": {"patterns": [{"name": "n", "pattern": "y"}]},
    "secrets": {"enabled": True},
}


def test_defaults_for_prompts_need_no_list() -> None:
    names = [scanner.name for scanner in input_scanners(settings_of(), unchanged)]
    assert names == ["invisible_text", "injection_rules", "secrets"]


def test_defaults_for_answers() -> None:
    names = [scanner.name for scanner in output_scanners(settings_of(), unchanged)]
    assert names == ["invisible_text"]


def test_all_scanners_come_in_one_fixed_order() -> None:
    section = {**FULL, "token_limit": {"enabled": True}}
    settings = settings_of(input_scanners=section, output_scanners=FULL)
    prompts = input_scanners(settings, unchanged)
    answers = output_scanners(settings, unchanged)
    assert tuple(scanner.name for scanner in prompts) == INPUT_NAMES
    assert tuple(scanner.name for scanner in answers) == OUTPUT_NAMES


@pytest.mark.parametrize("name", INPUT_NAMES)
def test_each_scanner_can_be_switched_off(name: str) -> None:
    section = {**FULL, "token_limit": {"enabled": True}}
    section[name] = {**section.get(name, {}), "enabled": False}
    scanners = input_scanners(settings_of(input_scanners=section), unchanged)
    assert name not in [scanner.name for scanner in scanners]


def test_a_direction_that_is_off_has_none() -> None:
    settings = settings_of(input_enabled=False, output_enabled=False)
    assert input_scanners(settings, unchanged) == ()
    assert output_scanners(settings, unchanged) == ()


def test_describe_shows_what_is_on_and_what_is_off() -> None:
    settings = settings_of(input_scanners={"injection_rules": {"action": "flag"}})
    shown = describe(input_scanners(settings, unchanged), INPUT_NAMES, "input")
    assert shown["injection_rules"] == {
        "state": "on",
        "direction": "input",
        "rules": 7,
        "action": "flag",
    }
    assert shown["regex"] == {"state": "off", "direction": "input"}
    assert tuple(shown) == INPUT_NAMES


@pytest.mark.parametrize("action", ["block", "flag", "redact"])
def test_scanners_learn_what_their_hits_do(action: str) -> None:
    section: dict[str, Any] = {
        **FULL,
        "invisible_text": {},
        "token_limit": {"enabled": True, "action": "block"},
        "injection_rules": {"enabled": False},
    }
    for name in ("ban_substrings", "regex", "secrets", "invisible_text"):
        section[name] = {**section[name], "action": action}
    prompts = input_scanners(settings_of(input_scanners=section), unchanged)
    assert {scanner.describe()["action"] for scanner in prompts[1:]} == {action}
    assert prompts[0].describe()["action"] == "block"
