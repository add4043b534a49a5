"""Which model scanners the settings ask for, and what each needs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ogp.guard.classifier import DEFINITIONS, Definition, is_installed, load_classifier
from ogp.guard.device import Device
from ogp.guard.llmguard import load_llmguard
from ogp.guard.llmguard_scanners import SCANNERS, checked
from ogp.guard.model import Model
from ogp.guard.model_scanner import ModelRule
from ogp.guard.weights import missing_from
from ogp.settings.schema import GuardSettings, LLMGuardSettings

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
    directory: Path | None
    """Of the weights; None for scanners without."""
    packages: tuple[str, ...]
    """What it imports."""
    load: Callable[[Device], Model]
    shared: Path | None = None
    """Scanners with the same directory here can be one model."""
    whole: bool = False
    """Says something about a complete answer only."""

    def missing(self) -> str:
        """Why it cannot be tried, for people; empty if it can."""
        return what_is_missing(self.directory, self.packages)


def wanted_scanners(settings: GuardSettings, direction: Direction) -> Iterator[Wanted]:
    """Every model scanner that the settings of a direction know, switched off ones included.

    Raises:
        ValueError: a scanner of llm-guard is unknown, named twice or lacks a parameter.
    """
    section = settings.input_scanners if direction == "input" else settings.output_scanners
    for definition in DEFINITIONS.values():
        own = getattr(section, definition.name, None)
        if own is not None:
            directory = own.path or settings.models.path / definition.name
            yield Wanted(
                name=definition.name,
                enabled=own.enabled,
                threshold=own.threshold,
                blocks=own.action == "block",
                directory=directory,
                packages=("tokenizers",),
                load=_classifier(definition, directory),
                shared=directory,
            )
    names = set(DEFINITIONS)
    for entry in settings.llm_guard:
        if entry.direction == direction:
            wanted = _llmguard(entry, settings)
            if wanted.name in names:
                raise ValueError(
                    f"guard.llm_guard: {wanted.name} is there twice for {direction}; give one of "
                    "them another name"
                )
            names.add(wanted.name)
            yield wanted


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


def _classifier(definition: Definition, directory: Path) -> Callable[[Device], Model]:
    return lambda device: load_classifier(definition, directory, device)


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
    parameters = checked(spec, entry.direction, given)
    directory = (entry.path or settings.models.path / spec.name) if spec.weights else None
    return Wanted(
        name=entry.name or spec.name,
        enabled=entry.enabled,
        threshold=parameters["threshold"],
        blocks=entry.action == "block",
        directory=directory,
        packages=("llm_guard",),
        load=lambda device: load_llmguard(
            spec.name, entry.direction, parameters, directory, device
        ),
        whole=spec.whole,
    )
