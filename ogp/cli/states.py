"""The state of every scanner of both directions, for `ogp guard status`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ogp.cli.scanning import DIRECTIONS, Direction
from ogp.cli.weights import Asked, anonymize_state, asked_of, loaded_state
from ogp.guard.base import Scanner
from ogp.guard.device import Device
from ogp.guard.normalise import Normaliser
from ogp.guard.scanners import input_scanners, output_scanners
from ogp.settings.guard_schema import AnonymizeSettings, GuardSettings

Facts = Mapping[str, Any]
FACT_HEADS = ("Direction", "Scanner", "State", "Action", "Detail")


def scanner_facts(settings: GuardSettings, device: Device | None) -> list[Facts]:
    """What is known of each scanner: input first, those that are off last.

    Args:
        device: loads models there; None looks for their files only.
    """
    known: dict[Path, Facts] = {}  # one model can serve both directions
    rows: list[Facts] = []
    for direction in DIRECTIONS:
        rows += _builtin_facts(settings, direction)
        for asked in asked_of(settings, direction):
            state = asked.state()
            if device is not None and asked.scans:
                shared = asked.wanted.shared
                state = known[shared] if shared in known else loaded_state(asked, device)
                if shared is not None:
                    known[shared] = state
            rows.append(_model_facts(asked, state))
    rows.append(_anonymize_facts(settings, device))
    return sorted(rows, key=lambda row: (row["direction"], row["state"] == "off"))


def builtin_scanners(
    settings: GuardSettings, direction: Direction, normaliser: Normaliser
) -> list[Scanner]:
    """The scanners that need no model, in the order in which the guard asks them.

    Raises:
        click.ClickException: names a phrase or pattern that cannot be used.
    """
    build = input_scanners if direction == "input" else output_scanners
    models = {asked.wanted.name for asked in asked_of(settings, direction)}
    try:
        scanners = build(settings, normaliser)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    return [scanner for scanner in scanners if scanner.name not in models]


def fact_cells(row: Facts) -> tuple[str, ...]:
    """For people, in the order of `FACT_HEADS`."""
    named = ("direction", "scanner", "state", "action")
    detail = "\n".join(f"{key}: {value}" for key, value in row.items() if key not in named)
    return (*(str(row[name]) for name in named), detail)


def _builtin_facts(settings: GuardSettings, direction: Direction) -> list[Facts]:
    section = settings.input_scanners if direction == "input" else settings.output_scanners
    models = {asked.wanted.name for asked in asked_of(settings, direction)}
    built = {each.name: each for each in builtin_scanners(settings, direction, Normaliser())}
    rows: list[Facts] = []
    for name, own in section:
        if name in models or isinstance(own, AnonymizeSettings):
            continue
        facts = {"direction": direction, "scanner": name, "action": getattr(own, "action", "block")}
        if name in built:
            rows.append({**facts, "state": "on", **built[name].describe()})
        else:
            is_empty = own.enabled and getattr(settings, f"{direction}_enabled")
            reason = {"reason": "on, but its list is empty"} if is_empty else {}
            rows.append({**facts, "state": "off", **reason})
    return rows


def _anonymize_facts(settings: GuardSettings, device: Device | None) -> Facts:
    own = settings.input_scanners.anonymize
    return {
        "direction": "input",
        "scanner": "anonymize",
        "enabled": own.enabled,
        "action": "redact",
        "threshold": own.threshold,
        **anonymize_state(settings, device),
    }


def _model_facts(asked: Asked, state: Facts) -> Facts:
    wanted = asked.wanted
    place = {} if wanted.directory is None else {"directory": str(wanted.directory)}
    return {
        "direction": asked.direction,
        "scanner": wanted.name,
        "enabled": wanted.enabled,
        "action": "block" if wanted.blocks else "flag",
        "threshold": wanted.threshold,
        **place,
        **state,
    }
