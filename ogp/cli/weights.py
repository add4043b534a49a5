"""Model scanners on the command line: whether their weights lie here, and loading them."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from ogp.cli.scanning import Direction
from ogp.core.clock import SystemClock
from ogp.guard.anonymize import Anonymizer, build_anonymizer, load_finders
from ogp.guard.anonymize_rule import missing_packages, names_directory, rule_of
from ogp.guard.classifier import DEFINITIONS, load_classifier
from ogp.guard.device import Device
from ogp.guard.engine import UNUSED_DEVICE, DeviceChoice, pool_sizes
from ogp.guard.model import Model, ModelUnavailableError, ScannerBusyError
from ogp.guard.model_scanner import ModelScanner
from ogp.guard.pool import ScannerPool
from ogp.guard.wanted import Wanted, rule_for, wanted_scanners
from ogp.guard.weights import find_weights, missing_from
from ogp.settings.guard_schema import GuardSettings

BRING = "scripts/download_models.sh"
"""The command that brings weights; the name of a directory below `guard.models.path` follows."""
INSTALL = "./run_proxy.sh install"
"""The command that installs the packages that run models."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A model scanner as the configuration has it, switched off or not."""

    wanted: Wanted
    direction: Direction
    is_on: bool
    """Neither it nor its direction is switched off; with `auto` weights may still be missing."""

    @property
    def scans(self) -> bool:
        """Whether the service would ask it, or refuse for want of it."""
        return self.is_on and (self.wanted.enabled != "auto" or not self.wanted.missing())

    def state(self) -> Mapping[str, Any]:
        """State and what is missing, without loading anything."""
        if not self.is_on:
            return {"state": "off"}
        directory = self.wanted.directory
        weights = None if directory is None else find_weights(directory)
        missing = self.wanted.missing()
        if not missing:
            return {"state": "found", **({"weights": ", ".join(weights.forms)} if weights else {})}
        state = "missing" if self.wanted.enabled == "auto" else "unavailable"
        is_lost = directory is not None and weights is None
        command = f"{BRING} {directory.name}" if directory and is_lost else INSTALL
        return {"state": state, "reason": missing, "command": command}


def asked_of(guard: GuardSettings, direction: Direction) -> tuple[Asked, ...]:
    """Every model scanner that the settings of a direction know.

    Raises:
        click.ClickException: a scanner of llm-guard is unknown or lacks a parameter.
    """
    enabled = guard.input_enabled if direction == "input" else guard.output_enabled
    try:
        return tuple(
            Asked(wanted, direction, enabled and wanted.enabled is not False)
            for wanted in wanted_scanners(guard, direction)
        )
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def device_for(guard: GuardSettings) -> Device:
    """Where models would run here; imports torch unless the CPU is asked for."""
    return DeviceChoice(guard)()


def load_from(name: str, directory: Path) -> Model:
    """Load a scanner's model from any directory, in full precision, to compare its scores.

    Raises:
        ModelUnavailableError: names the directory or package and what is wrong.
    """
    if name not in DEFINITIONS:
        raise ModelUnavailableError(f"{name} has no model that can be converted")
    return load_classifier(DEFINITIONS[name], directory, Device("cpu", "comparison", "fp32"))


def loaded_state(asked: Asked, device: Device) -> Mapping[str, Any]:
    """State after an attempt to load it, with the time that took."""
    began = perf_counter()
    try:
        facts = asked.wanted.load(device).describe()
    except ModelUnavailableError as error:
        return {**asked.state(), "state": "failed", "reason": str(error)}
    return {"state": "ready", **facts, "load_s": round(perf_counter() - began, 2)}


def anonymize_state(guard: GuardSettings, device: Device | None) -> Mapping[str, Any]:
    """State of the finder of personal data, and where the weights for names belong.

    Args:
        device: loads it there; None looks for packages and files only.

    Raises:
        click.ClickException: a setting cannot be used.
    """
    own = guard.input_scanners.anonymize
    if own.enabled is False or not guard.input_enabled:
        return {"state": "off"}
    place = {"directory": str(names_directory(guard))} if own.names is not False else {}
    if reason := missing_packages():
        state = "missing" if own.enabled == "auto" else "unavailable"
        return {**place, "state": state, "reason": reason, "command": INSTALL}
    try:
        rule = rule_of(guard)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    names = {"names": "on" if rule.names else f"off: {rule.names_off}"}
    lost = missing_from(rule.directory) if rule.names else ""
    command = {"command": f"{BRING} {rule.directory.name}"} if lost or rule.names_off else {}
    if lost:
        return {**place, "state": "unavailable", "reason": lost, **command}
    if device is None:
        return {**place, "state": "found", **names, **(command if place else {})}
    return {**place, **_tried(partial(load_finders, rule, lambda: device)), **names}


def _tried(load: Callable[[], Any]) -> Mapping[str, Any]:
    began = perf_counter()
    try:
        facts = load().describe()
    except ModelUnavailableError as error:
        return {"state": "failed", "reason": str(error)}
    return {"state": "ready", **facts, "load_s": round(perf_counter() - began, 2)}


@dataclass(frozen=True, slots=True)
class Started:
    """What asks models, or takes long to load."""

    scanners: Sequence[ModelScanner] = ()
    finders: Sequence[Anonymizer] = ()


@contextmanager
def started(guard: GuardSettings, direction: Direction) -> Iterator[Started]:
    """The model scanners of a direction, loaded; one that cannot be fails with every text.

    Raises:
        click.ClickException: a setting cannot be used.
    """
    asked = [each for each in asked_of(guard, direction) if each.scans]
    chosen = DeviceChoice(guard)
    device = _device(asked, chosen)
    clock = SystemClock()
    sizes = pool_sizes(guard.models, os.cpu_count() or 1, on_gpu=device.is_gpu)
    pool = ScannerPool(**sizes, max_pending=guard.models.max_pending, clock=clock)
    finder = None
    if direction == "input":
        finder = _told_of_mistakes(partial(build_anonymizer, guard, pool, clock, chosen))
    if not asked and finder is None:
        yield Started()
        return
    scanners = [
        ModelScanner(
            rule_for(each.wanted, guard, direction), _loader(each.wanted, device), pool, clock
        )
        for each in asked
    ]
    pool.start()
    try:
        for scanner in scanners:
            scanner.begin()
        if finder is not None:
            finder.begin()
            with suppress(ModelUnavailableError, ScannerBusyError):  # told with the first text
                finder.find("")  # comes back when it is loaded, so that no text waits for it
        yield Started(scanners, () if finder is None else (finder,))
    finally:
        pool.stop()


def _device(asked: Sequence[Asked], chosen: DeviceChoice) -> Device:
    """Where the models of scanners run; torch is not asked where there is none."""
    return chosen() if any(each.wanted.kind != "custom" for each in asked) else UNUSED_DEVICE


def _told_of_mistakes(build: Callable[[], Anonymizer | None]) -> Anonymizer | None:
    try:
        return build()
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _loader(wanted: Wanted, device: Device) -> "partial[Model]":
    """Loads at once, so that no text waits for it, and keeps an error for the scanner."""
    try:
        return partial(_given, wanted.load(device))
    except ModelUnavailableError as error:
        return partial(_refused, str(error))


def _given(model: Model) -> Model:
    return model


def _refused(reason: str) -> Model:
    raise ModelUnavailableError(reason)
