"""The table of scanners."""

from pathlib import Path
from typing import Any

import click
import pytest

from ogp.cli.states import (
    FACT_HEADS,
    Facts,
    builtin_scanners,
    fact_cells,
    running_guard,
    scanner_facts,
)
from ogp.guard.device import Device
from ogp.guard.normalise import Normaliser
from ogp.settings.guard_schema import GuardSettings
from tests.support.tiny_models import write_classifier


def facts_of(tmp_path: Path, device: Device | None = None, **fields: Any) -> list[Facts]:
    section = {"models": {"path": tmp_path, "device": "cpu"}, **fields}
    return scanner_facts(GuardSettings.model_validate(section), device)


def test_every_scanner_of_the_settings_is_shown_once(tmp_path: Path) -> None:
    shown = [(row["direction"], row["scanner"]) for row in facts_of(tmp_path)]
    settings = GuardSettings()
    known = [("input", name) for name, _ in settings.input_scanners]
    known += [("output", name) for name, _ in settings.output_scanners]
    assert sorted(shown) == sorted(known)


def test_input_comes_first_and_what_is_off_last(tmp_path: Path) -> None:
    rows = facts_of(tmp_path)
    keys = [(row["direction"], row["state"] == "off") for row in rows]
    assert keys == sorted(keys)


def row_of(rows: list[Facts], direction: str, scanner: str) -> Facts:
    (row,) = [row for row in rows if (row["direction"], row["scanner"]) == (direction, scanner)]
    return row


def test_a_builtin_scanner_shows_what_it_tells_of_itself(tmp_path: Path) -> None:
    rows = facts_of(tmp_path, input_scanners={"injection_rules": {"action": "flag"}})
    assert row_of(rows, "input", "secrets")["detectors"] > 20
    assert row_of(rows, "input", "injection_rules")["action"] == "flag"
    assert row_of(rows, "output", "secrets")["state"] == "off"


def test_an_empty_list_is_told_apart_from_off(tmp_path: Path) -> None:
    rows = facts_of(tmp_path, output_scanners={"ban_substrings": {"enabled": False}})
    assert row_of(rows, "input", "ban_substrings")["reason"] == "on, but its list is empty"
    assert "reason" not in row_of(rows, "output", "ban_substrings")


def test_a_direction_that_is_off_is_off_throughout(tmp_path: Path) -> None:
    rows = facts_of(tmp_path, output_enabled=False)
    assert {row["state"] for row in rows if row["direction"] == "output"} == {"off"}
    assert not [row for row in rows if row["direction"] == "output" and "reason" in row]


def test_models_are_loaded_once_for_both_directions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for = []

    def count(asked: Any, device: Device) -> Facts:
        asked_for.append(asked.wanted.name)
        return {"state": "ready", "load_s": 1.0}

    monkeypatch.setattr("ogp.cli.states.loaded_state", count)
    write_classifier(tmp_path / "toxicity", labels=("toxicity", "insult"))
    rows = facts_of(tmp_path, Device("cpu", "test", "fp32"))
    assert asked_for == ["toxicity"]
    assert row_of(rows, "output", "toxicity")["load_s"] == 1.0
    assert row_of(rows, "input", "prompt_injection")["state"] == "missing"


def test_models_that_are_not_shared_are_loaded_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for = []

    def count(asked: Any, device: Device) -> Facts:
        asked_for.append(asked.wanted.name)
        return {"state": "ready"}

    monkeypatch.setattr("ogp.cli.states.loaded_state", count)
    entries = [
        {"scanner": "no_refusal_light", "direction": "output"},
        {"scanner": "json", "direction": "output"},
    ]
    rows = facts_of(tmp_path, Device("cpu", "test", "fp32"), llm_guard=entries)
    assert asked_for == ["no_refusal_light", "json"]
    assert "directory" not in row_of(rows, "output", "json")


def test_a_pattern_that_cannot_be_used_is_named() -> None:
    settings = GuardSettings.model_validate(
        {"input_scanners": {"regex": {"patterns": [{"name": "bad", "pattern": "(a+)+"}]}}}
    )
    with pytest.raises(click.ClickException, match="bad"):
        builtin_scanners(settings, "input", Normaliser())


def test_cells_name_what_has_no_column(tmp_path: Path) -> None:
    cells = fact_cells(
        {
            "direction": "input",
            "scanner": "x",
            "state": "on",
            "action": "block",
            "rules": 7,
            "n": "[b]",
        }
    )
    assert len(cells) == len(FACT_HEADS)
    assert cells == ("input", "x", "on", "block", "rules: 7\nn: [b]")


GUARDS: dict[str, Any] = {
    "device": {"device": "cpu", "reason": "no GPU", "precision": "fp32"},
    "scanners": {
        "input": {
            "code": {"state": "off", "direction": "input"},
            "grade": {"state": "ready", "scans": 9, "errors": 0, "action": "flag"},
        },
        "output": {"secrets": {"state": "on", "action": "block"}},
    },
    "canaries": {
        "runs": 0,
        "misses": 0,
        "last_run": None,
        "last_missed": [],
        "samples": 8,
        "skipped": {},
    },
}


def changed(part: str, **facts: Any) -> dict[str, Any]:
    return {"guards": {**GUARDS, part: {**GUARDS[part], **facts}}}


def test_a_running_guard_is_shown_as_one_that_is_not() -> None:
    running = running_guard({"guards": GUARDS})
    assert [row["scanner"] for row in running.rows] == ["grade", "code", "secrets"]
    assert fact_cells(running.rows[0]) == (
        "input",
        "grade",
        "ready",
        "flag",
        "scans: 9\nerrors: 0",
    )
    assert fact_cells(running.rows[1])[3] == ""
    assert running.device == "Device: cpu (no GPU), torch in fp32"
    assert running.canaries == [
        "Canaries: 8 bad samples, rounds: 0, misses: 0, last round: none yet"
    ]
    assert not running.is_degraded


@pytest.mark.parametrize("state", ["failing", "failed"])
def test_a_guard_with_a_scanner_that_fails_is_degraded(state: str) -> None:
    broken = {"input": {}, "output": {"secrets": {"state": state}}}
    assert running_guard(changed("scanners", **broken)).is_degraded


def test_a_guard_that_missed_a_canary_is_degraded_and_says_which() -> None:
    running = running_guard(changed("canaries", last_missed=["grade (input, ollama): it failed"]))
    assert running.is_degraded
    assert "missed: grade (input, ollama): it failed" in running.canaries


@pytest.mark.parametrize(
    "health", [{}, {"guards": 3}, {"guards": {}}, changed("scanners", input=[])]
)
def test_what_is_no_health_of_ours_is_told(health: dict[str, Any]) -> None:
    with pytest.raises(click.ClickException, match="not that of this version"):
        running_guard(health)
