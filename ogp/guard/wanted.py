"""Which model scanners the settings ask for, and what each needs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ogp.guard.classifier import DEFINITIONS, Definition, is_installed, load_classifier
from ogp.guard.custom import load_custom
from ogp.guard.device import Device
from ogp.guard.llmguard import load_llmguard
from ogp.guard.llmguard_scanners import SCANNERS, checked
from ogp.guard.model import Model
from ogp.guard.model_scanner import ModelRule
from ogp.guard.weights import missing_from
from ogp.settings.custom_scanner import keyword_arguments
from ogp.settings.guard_schema import (
    CodeSettings,
    CustomScannerSettings,
    GuardSettings,
    LLMGuardSettings,
    ModelScannerSettings,
)

Direction = Literal["input", "output"]
PARAMETERS = (
    "topics",
    "multi_label",
    "languages",
    "blocked",
    "competitors",
    "required_elements",
    "max_minutes",
)
"""Settings of llm-guard's scanners that go to them as they are."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One model scanner of the settings, in one direction."""

    name: str
    enabled: bool | Literal["auto", "optional"]
    threshold: float
    blocks: bool
    kind: str
    """What it is, whatever its name: a scanner of `SCANNERS` or `DEFINITIONS`, or `custom`."""
    directory: Path | None
    """Of the weights; None for scanners without."""
    packages: tuple[str, ...]
    """What it imports."""
    load: Callable[[Device], Model]
    shared: Path | None = None
    """Scanners with the same directory here can be one model."""
    whole: bool = False
    """Says something about a complete answer only."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What it was made with, as far as samples for it depend on that."""

    def missing(self) -> str:
        """Why it cannot be tried, for people; empty if it can."""
        return what_is_missing(self.directory, self.packages)


def wanted_scanners(settings: GuardSettings, direction: Direction) -> Iterator[Wanted]:
    """Every model scanner that the settings of a direction know, switched off ones included.

    Raises:
        ValueError: a scanner of llm-guard is unknown or lacks a parameter, or a name is there
            twice.
    """
    section = settings.input_scanners if direction == "input" else settings.output_scanners
    for name, own in section:
        if isinstance(own, ModelScannerSettings):
            yield _of_section(name, own, settings, direction)
    names = {*DEFINITIONS, *type(section).model_fields}
    for entry in settings.llm_guard:
        if entry.direction == direction:
            yield _unique(_llmguard(entry, settings), "guard.llm_guard", direction, names)
    for custom in settings.custom:
        if custom.direction == direction:
            yield _unique(_custom(custom), "guard.custom", direction, names)


def _unique(wanted: Wanted, key: str, direction: Direction, names: set[str]) -> Wanted:
    """Results, statistics and audit rows go by the name."""
    if wanted.name in names:
        raise ValueError(
            f"{key}: {wanted.name} is there twice for {direction}; give one of them another name"
        )
    names.add(wanted.name)
    return wanted


def rule_for(wanted: Wanted, settings: GuardSettings, direction: Direction) -> ModelRule:
    """How the settings have it asked, and what its scores mean."""
    return ModelRule(
        name=wanted.name,
        direction=direction,
        threshold=wanted.threshold,
        blocks=wanted.blocks,
        required=wanted.enabled != "optional",
        timeout_s=settings.models.timeout_s,
        max_windows=settings.models.max_windows,
        window_chars=settings.output_window_chars,
        whole=wanted.whole,
    )


def what_is_missing(directory: Path | None, packages: Sequence[str] = ("tokenizers",)) -> str:
    """Which packages or files a model lacks; empty if none. Opens and imports nothing."""
    absent = [package for package in packages if not is_installed(package)]
    if absent:
        return f"the package {' and '.join(absent)} is not installed"
    return "" if directory is None else missing_from(directory)


def _of_section(
    name: str, own: ModelScannerSettings, settings: GuardSettings, direction: Direction
) -> Wanted:
    """A scanner that has a section of its own: a classifier of ours, or one of llm-guard's."""
    directory = own.path or settings.models.path / name
    if name not in DEFINITIONS:
        return _llmguard_section(name, own, directory, direction)
    return Wanted(
        name=name,
        enabled=own.enabled,
        threshold=own.threshold,
        blocks=own.action == "block",
        kind=name,
        directory=directory,
        packages=("tokenizers",),
        load=_classifier(DEFINITIONS[name], directory),
        shared=directory,
    )


def _classifier(definition: Definition, directory: Path) -> Callable[[Device], Model]:
    return lambda device: load_classifier(definition, directory, device)


def _llmguard_section(
    name: str, own: ModelScannerSettings, directory: Path, direction: Direction
) -> Wanted:
    given: dict[str, Any] = {"threshold": own.threshold}
    if isinstance(own, CodeSettings):
        given |= {"languages": own.languages, "blocked": own.blocked}
    parameters: Mapping[str, Any] = given
    if own.enabled is not False:  # what is off need not be complete
        try:
            parameters = checked(SCANNERS[name], direction, given)
        except ValueError as error:
            raise ValueError(f"guard.{direction}_scanners.{error}") from error
    return _by_llmguard(
        name, direction, parameters, directory, name=name, enabled=own.enabled, action=own.action
    )


def _llmguard(entry: LLMGuardSettings, settings: GuardSettings) -> Wanted:
    if entry.scanner not in SCANNERS:
        raise ValueError(
            f"guard.llm_guard: there is no scanner {entry.scanner!r}; there are "
            f"{', '.join(sorted(SCANNERS))}"
        )
    spec = SCANNERS[entry.scanner]
    given: dict[str, Any] = {
        name: value
        for name in (*PARAMETERS, "threshold")
        if (value := getattr(entry, name)) not in (None, ())
    }
    return _by_llmguard(
        spec.name,
        entry.direction,
        checked(spec, entry.direction, given),
        (entry.path or settings.models.path / spec.name) if spec.weights else None,
        name=entry.name or spec.name,
        enabled=entry.enabled,
        action=entry.action,
    )


def _by_llmguard(
    kind: str,
    direction: Direction,
    parameters: Mapping[str, Any],
    directory: Path | None,
    *,
    name: str,
    enabled: bool | Literal["auto", "optional"],
    action: str,
) -> Wanted:
    return Wanted(
        name=name,
        enabled=enabled,
        threshold=parameters["threshold"],
        blocks=action == "block",
        kind=kind,
        directory=directory,
        packages=("llm_guard",),
        load=lambda device: load_llmguard(kind, direction, parameters, directory, device),
        whole=SCANNERS[kind].whole,
        parameters=parameters,
    )


def _custom(entry: CustomScannerSettings) -> Wanted:
    arguments = keyword_arguments(entry.parameters)
    return Wanted(
        name=entry.name,
        enabled=entry.enabled,
        threshold=entry.threshold,
        blocks=entry.action == "block",
        kind="custom",
        directory=None,
        packages=(),
        load=lambda _device: load_custom(entry.import_path, arguments),
    )
