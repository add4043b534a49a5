"""docs/guard.md and docs/models.md: their examples can be used, and no scanner is missing."""

import re
from pathlib import Path
from typing import get_args

import pytest

from ogp.guard.overrides import check_overrides
from ogp.settings.guard_schema import (
    AnonymizeSettings,
    GuardSettings,
    InputScannersSettings,
    OutputScannersSettings,
    RuleAction,
)
from ogp.settings.load import load_settings

ROOT = Path(__file__).resolve().parents[1]
GUARD, MODELS = ((ROOT / "docs" / name).read_text("utf-8") for name in ("guard.md", "models.md"))
EXAMPLES = re.findall(r"```yaml\n(guard:.*?)```", GUARD + MODELS, re.DOTALL)
NAMES = {*InputScannersSettings.model_fields, *OutputScannersSettings.model_fields}


def rows_below(heading: str) -> list[list[str]]:
    """Cells of the first table that follows a text."""
    found: list[list[str]] = []
    for line in GUARD.split(heading)[1].splitlines():
        if line.startswith("| "):
            found.append([cell.strip() for cell in line.strip("|").split("|")])
        elif found:
            break
    return found


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples_are_configurations(number: int, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(EXAMPLES[number], "utf-8")
    settings = load_settings(path, environ={}, flags={}).settings.guard
    assert settings != GuardSettings()
    names = dict.fromkeys(NAMES)
    check_overrides(settings.overrides, {"input": names, "output": names})


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 7


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_scanner_is_in_the_table_with_its_directions(name: str) -> None:
    (row,) = [row for row in rows_below("## The scanners") if f"`{name}`" in row[0]]
    assert (row[1] == "yes") == (name in InputScannersSettings.model_fields)
    assert (row[2] == "yes") == (name in OutputScannersSettings.model_fields)


def test_who_can_redact_is_told() -> None:
    (row,) = [row for row in rows_below("What a hit does is") if row[0] == "`redact`"]
    sections = (InputScannersSettings(), OutputScannersSettings())
    redacting = [
        {
            name
            for name, own in section
            if not isinstance(own, AnonymizeSettings)
            and type(own).model_fields["action"].annotation == RuleAction
        }
        for section in sections
    ]
    assert redacting[0] == redacting[1] == set(re.findall(r"`(\w+)`", row[1]))
    assert {"`block` (default)", "`flag`", "`redact`"} == {
        row[0] for row in rows_below("What a hit does is")[2:]
    }
    assert set(get_args(RuleAction)) == {"block", "flag", "redact"}
