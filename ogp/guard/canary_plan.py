"""Which scanners are tried with samples, and why others are not."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ogp.guard.base import Scanner
from ogp.guard.samples import Sample, sample_of
from ogp.guard.wanted import Direction
from ogp.settings.guard_schema import GuardSettings

WHY_NOT: Mapping[str, str] = {
    "regex": "the patterns are yours: no sample",
    "token_limit": "judges by length: no sample",
    "custom": "yours: no sample",
}
NO_SAMPLE = "what it must hit depends on its parameters: no sample"


@dataclass(frozen=True, slots=True)
class Tried:
    """A scanner that is on, with what its samples depend on."""

    direction: Direction
    scanner: Scanner
    kind: str
    """As of `samples.sample_of`."""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Canary:
    """A scanner and what it is shown."""

    direction: Direction
    scanner: Scanner
    sample: Sample


@dataclass(frozen=True, slots=True)
class CanaryPlan:
    """What a round consists of."""

    canaries: tuple[Canary, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    """`regex (output)` -> why."""


def tried_builtins(
    settings: GuardSettings, direction: Direction, scanners: Iterable[Scanner]
) -> Iterator[Tried]:
    """Scanners without models; phrases stay where they are used."""
    section = settings.input_scanners if direction == "input" else settings.output_scanners
    phrases = {"substrings": section.ban_substrings.substrings}
    for scanner in scanners:
        yield Tried(direction, scanner, scanner.name, phrases)


def canary_plan(tried: Iterable[Tried]) -> CanaryPlan:
    """Samples for whatever has one."""
    canaries: list[Canary] = []
    skipped: dict[str, str] = {}
    for each in tried:
        sample = sample_of(each.kind, each.parameters)
        if sample is None:
            where = f"{each.scanner.name} ({each.direction})"
            skipped[where] = WHY_NOT.get(each.kind, NO_SAMPLE)
        else:
            canaries.append(Canary(each.direction, each.scanner, sample))
    return CanaryPlan(tuple(canaries), skipped)
