"""The state of every scanner of both directions, for `ogp guard status`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
BROKEN = frozenset({"unavailable", "failed", "failing"})
"""States of scanners that are asked for and of no use."""


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
    return (*(str(row.get(name, "")) for name in named), detail)


@dataclass(frozen=True, slots=True)
class RunningGuard:
    """What a service tells of its guard."""

    guards: Mapping[str, Any]
    """As in `/health`."""
    device: str
    rows: Sequence[Facts]
    canaries: Sequence[str]
    is_degraded: bool
    """A scanner is not there or fails, or a canary was missed."""


def running_guard(health: Mapping[str, Any]) -> RunningGuard:
    """Read the body of `/health`.

    Raises:
        click.ClickException: it is none of this program.
    """
    try:
        guards = health["guards"]
        rows = [
            {"direction": direction, "scanner": name, **facts}
            for direction in DIRECTIONS
            for name, facts in guards["scanners"][direction].items()
        ]
        device, canaries = guards["device"], guards["canaries"]
        missed = canaries["last_missed"]
        lines = [
            f"Canaries: {canaries['samples']} bad samples, rounds: {canaries['runs']}, "
            f"misses: {canaries['misses']}, last round: {canaries['last_run'] or 'none yet'}",
            *(f"missed: {each}" for each in missed),
            *(f"not tried: {name}: {why}" for name, why in canaries["skipped"].items()),
        ]
        return RunningGuard(
            guards,
            f"Device: {device['device']} ({device['reason']}), torch in {device['precision']}",
            sorted(rows, key=lambda row: (row["direction"], row["state"] == "off")),
            lines,
            bool(missed) or any(row["state"] in BROKEN for row in rows),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise click.ClickException("/health there is not that of this version") from error


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
