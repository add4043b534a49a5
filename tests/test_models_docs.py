"""docs/models.md lists what there is."""

import re
from pathlib import Path

import pytest

from ogp.cli.states import FACT_HEADS
from ogp.guard.llmguard_scanners import SCANNERS
from ogp.guard.samples import SAMPLES

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "models.md").read_text("utf-8")
ROWS = {
    cells[0].strip("` "): [cell.strip() for cell in cells]
    for line in TEXT.split("## Scanners of llm-guard")[1].splitlines()
    if line.startswith("| `") and len(cells := line.strip("|").split("|")) == 5
}


@pytest.mark.parametrize("name", sorted(SCANNERS))
def test_each_scanner_of_llm_guard_is_listed_as_it_is(name: str) -> None:
    scanner = SCANNERS[name]
    _, directions, parameters, thresholds, model = ROWS[name]
    assert tuple(directions.split(", ")) == scanner.directions
    assert re.findall(r"`(\w+)`", parameters) == list(scanner.parameters or {})
    known = dict(zip(("input", "output"), scanner.thresholds, strict=True))
    assert [float(part) for part in thresholds.split(", ")] == [
        known[direction] for direction in scanner.directions
    ]
    assert model.startswith("none") != scanner.weights


def test_no_other_scanner_is_listed() -> None:
    assert set(ROWS) == set(SCANNERS)


def test_the_number_of_samples_is_right() -> None:
    assert f"scores {len(SAMPLES)}\n" in TEXT


def test_every_state_is_explained() -> None:
    assert "State" in FACT_HEADS
    for state in ("on", "off", "found", "ready", "failed", "missing", "unavailable"):
        assert f"`{state}`" in TEXT
