"""What the settings ask of the finder of personal data."""

from pathlib import Path
from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.guard.anonymize import build_anonymizer
from ogp.guard.anonymize_rule import names_directory, rule_of, why_off
from ogp.guard.device import Device
from ogp.guard.personal_data import chosen_entities
from ogp.guard.pool import ScannerPool
from ogp.settings.guard_schema import GuardSettings
from tests.support.tiny_ner import write_ner


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    write_ner(directory / "anonymize")
    return directory


def settings_of(models: Path, **own: Any) -> GuardSettings:
    section = {"models": {"path": models}, "input_scanners": {"anonymize": {"enabled": True} | own}}
    return GuardSettings.model_validate(section)


def is_built(settings: GuardSettings, *, has_packages: bool = True) -> bool:
    pool = ScannerPool(1, max_pending=1, clock=SystemClock())
    device = Device("cpu", "test", "fp32")
    built = build_anonymizer(settings, pool, SystemClock(), lambda: device, lambda _: has_packages)
    return built is not None


def test_patterns_and_names_are_parted(models: Path) -> None:
    rule = rule_of(settings_of(models))
    assert rule.names == ("PERSON", "LOCATION")
    assert rule.entities + rule.names == chosen_entities(())
    assert rule.names_off == ""


def test_the_weights_lie_where_the_settings_say(models: Path, tmp_path: Path) -> None:
    assert names_directory(settings_of(models)) == models / "anonymize"
    assert rule_of(settings_of(models, path=tmp_path)).directory == tmp_path


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"entities": ["EMAIL"]}, "entities: 'EMAIL' is not known"),
        ({"languages": ["xx"]}, "languages: 'xx' is not known"),
        ({"names": False, "entities": ["PERSON"]}, "entities ask for PERSON, but names is false"),
        ({"names": True, "entities": ["URL"]}, "names is true, but entities ask for none of"),
    ],
)
def test_settings_that_cannot_be_used_are_told_when_it_is_built(
    models: Path, own: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        is_built(settings_of(models, **own))


@pytest.mark.parametrize("enabled", [True, "optional", "auto"])
def test_what_is_on_is_built(models: Path, enabled: object) -> None:
    settings = settings_of(models, enabled=enabled)
    assert is_built(settings)
    assert why_off(settings, lambda _: True) == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"input_scanners": {"anonymize": {"enabled": False}}},
        {"input_enabled": False, "input_scanners": {"anonymize": {"enabled": True}}},
    ],
)
def test_what_is_switched_off_is_not_built(fields: dict[str, Any]) -> None:
    settings = GuardSettings.model_validate(fields)
    assert not is_built(settings)
    assert why_off(settings) == "switched off"


def test_what_is_switched_off_may_be_wrong(models: Path) -> None:
    assert not is_built(settings_of(models, enabled=False, entities=["EMAIL"]))


def test_auto_is_off_without_the_package_and_says_so(models: Path) -> None:
    settings = settings_of(models, enabled="auto")
    assert not is_built(settings, has_packages=False)
    assert why_off(settings, lambda _: False).startswith(
        "the package presidio_analyzer and phonenumbers is not installed; "
    )


@pytest.mark.parametrize("enabled", [True, "optional"])
def test_what_is_asked_for_is_built_without_the_package(models: Path, enabled: object) -> None:
    assert is_built(settings_of(models, enabled=enabled), has_packages=False)


def test_names_are_off_without_the_package_that_reads_them(models: Path) -> None:
    rule = rule_of(settings_of(models), lambda name: name != "tokenizers")
    assert (rule.names, rule.names_off) == ((), "the package tokenizers is not installed")


def test_names_that_are_demanded_are_tried_without_weights(tmp_path: Path) -> None:
    rule = rule_of(settings_of(tmp_path, names=True))
    assert (rule.names, rule.names_off) == (("PERSON", "LOCATION"), "")


def test_names_need_an_entity_that_is_one(models: Path) -> None:
    assert rule_of(settings_of(models, entities=["URL"])).names_off == "no entity asks for it"


@pytest.mark.parametrize(
    ("enabled", "required"), [(True, True), ("auto", True), ("optional", False)]
)
def test_only_optional_may_be_missing(models: Path, enabled: object, required: bool) -> None:
    assert rule_of(settings_of(models, enabled=enabled)).required is required
