"""Entries of `guard.custom`, from the file to the schema."""

from typing import Any

import pytest

from ogp.settings.custom_scanner import keyword_arguments
from ogp.settings.load import load_content
from ogp.settings.problems import SettingsError
from ogp.settings.redact import redact
from ogp.settings.schema import Settings

ENTRY = "name: my_rule, import: 'acme.rules:Rule', direction: input"


def loaded(entry: str) -> Settings:
    text = f"guard: {{custom: [{{{entry}}}]}}\n"
    return load_content(text.encode(), "c.yaml", environ={}, flags={}).settings


def told(entry: str) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(entry)
    (problem,) = caught.value.problems
    return str(problem)


def test_the_key_of_the_class_is_import() -> None:
    (entry,) = loaded(ENTRY).guard.custom
    assert (entry.name, entry.import_path, entry.threshold) == ("my_rule", "acme.rules:Rule", 0.5)
    assert redact(loaded(ENTRY))["guard"]["custom"][0]["import"] == "acme.rules:Rule"


def test_nothing_is_imported_when_settings_are_read() -> None:
    assert loaded("name: x, import: 'no.such.package:Rule', direction: output").guard.custom


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "name: x, direction: input",
            "guard.custom[0].import (c.yaml:1): is missing; it must be text",
        ),
        (
            "name: x, import_path: 'a:B', import: 'a:B', direction: input",
            "guard.custom[0].import_path (c.yaml:1): there is no such key here; the keys are "
            "name, import, direction, enabled, threshold, action, parameters",
        ),
        (
            "name: x, import: acme.rules.Rule, direction: input",
            "guard.custom[0].import = acme.rules.Rule (c.yaml:1): must be of the form "
            "package.module:Class",
        ),
        (
            "name: x, import: 5, direction: input",
            "guard.custom[0].import = 5 (c.yaml:1): must be text; YAML reads 5 without quotes as a "
            "number: put it in quotes",
        ),
        (
            "name: 'a, b', import: 'a:B', direction: input",
            "guard.custom[0].name = a, b (c.yaml:1): must be 1 to 64 of the characters "
            "A-Z a-z 0-9 _ . -, a letter first",
        ),
        (
            f"{ENTRY}, parameters: [limit]",
            "guard.custom[0].parameters = limit (c.yaml:1): must be a list of texts of the form "
            "name=value",
        ),
    ],
)
def test_mistakes_are_told_in_the_words_of_the_file(entry: str, message: str) -> None:
    assert told(entry) == message


def test_an_entry_that_is_none_is_told_what_it_must_have() -> None:
    with pytest.raises(SettingsError, match="entries with name, import, direction"):
        load_content(b"guard: {custom: 5}\n", "c.yaml", environ={}, flags={})


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("limit=3", 3),
        ("share = 0.5", 0.5),
        ("on=true", True),
        ("words=[a, b]", ["a", "b"]),
        ("word=a=b", "a=b"),
        ("word=", None),
        ("word='5'", "5"),
    ],
)
def test_values_are_read_as_yaml(parameter: str, value: Any) -> None:
    assert list(keyword_arguments([parameter]).values()) == [value]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (["limit"], "name=value"),
        (["a b=1"], "name=value"),
        (["class=1"], "name=value"),
        (["=1"], "name=value"),
        (["a=1", "a=2"], "has a twice"),
        (["a=[marker"], "has a value of a that is no YAML$"),
        (["a=!!python/object:os.system {}"], "no YAML"),
        (["a=2001-13-45"], "no YAML"),
    ],
)
def test_parameters_that_cannot_be_read_are_named(parameters: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        keyword_arguments(parameters)
    assert "marker" not in str(caught.value)
