"""Other actions and thresholds for some callers: the same scanners, judged by another rule."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

from ogp.core.types import Role
from ogp.guard.base import Finder, Finding, Scanner, View
from ogp.guard.cache import Direction
from ogp.settings.guard_schema import OverrideSettings

REWRITERS = frozenset({"anonymize"})
"""They refuse nothing as a rule; they can be left out, and no more."""

Known = Mapping[Literal["input", "output"], Collection[str]]
"""By direction every scanner there can be, off or on."""


@runtime_checkable
class Judging(Protocol):
    """A scanner with scores."""

    def judged_at(self, threshold: float, *, blocks: bool) -> Scanner:
        """A scanner by the same model with a rule of its own.

        It scores all of a text that could hold such a score: a scan that ends at this scanner's
        threshold would say nothing about a higher one.
        """
        ...


class OverriddenScanner:
    """A scanner whose hits have another effect. One that takes out what it hits does so no more."""

    def __init__(self, scanner: Scanner, *, blocks: bool) -> None:
        """Keep what differs.

        Args:
            scanner: asked for everything.
            blocks: False records a hit and lets the text pass.
        """
        self.name, self.reads, self.hold_chars = scanner.name, scanner.reads, scanner.hold_chars
        self.required = getattr(scanner, "required", True)
        self._scanner, self._blocks = scanner, blocks
        self._action = "block" if blocks else "flag"

    def scan(self, view: View) -> Finding | None:
        """What the scanner says, with the other effect."""
        finding = self._scanner.scan(view)
        if finding is None or not finding.hit or finding.blocks == self._blocks:
            return finding
        return Finding(finding.reason, finding.score, blocks=self._blocks)

    def settled(self, view: View) -> int:
        """As the scanner has it."""
        return self._scanner.settled(view)

    def describe(self) -> Mapping[str, int | str]:
        """The scanner's own facts, with the other action."""
        return {**self._scanner.describe(), "action": self._action}

    def identity(self) -> str:
        """The scanner's, and the action."""
        return f"{self._scanner.identity()};{self._action}"


def overridden(
    scanners: Sequence[Scanner], entries: Sequence[OverrideSettings]
) -> Iterator[Scanner]:
    """The scanners under entries that hold together; of two that say something the later counts.

    Raises:
        ValueError: a threshold is given for a scanner without scores.
    """
    for scanner in scanners:
        action: str | None = None
        threshold: float | None = None
        for entry in entries:
            if entry.scanner == scanner.name:
                action, threshold = entry.action or action, entry.threshold or threshold
        if action is None and threshold is None:
            yield scanner
        elif action == "off":
            continue
        elif threshold is not None:
            yield _judged_at(scanner, threshold, action)
        else:
            yield OverriddenScanner(scanner, blocks=action == "block")


def kept_finders(
    finders: Sequence[Finder], entries: Sequence[OverrideSettings]
) -> tuple[Finder, ...]:
    """The finders that are not off under entries that hold together."""
    actions = {entry.scanner: entry.action for entry in entries if entry.action is not None}
    return tuple(finder for finder in finders if actions.get(finder.name) != "off")


def _judged_at(scanner: Scanner, threshold: float, action: str | None) -> Scanner:
    if not isinstance(scanner, Judging):
        raise ValueError(
            f"guard.overrides: {scanner.name} gives no scores, so that there is no threshold to "
            "change; give an action"
        )
    action = action or str(scanner.describe().get("action"))
    return scanner.judged_at(threshold, blocks=action != "flag")


def check_overrides(overrides: Sequence[OverrideSettings], known: Known) -> None:
    """See whether every entry can have an effect.

    An entry for a scanner that is off is no error: it holds again when the scanner is on.

    Args:
        overrides: `guard.overrides`.
        known: as `GuardEngine.describe` has it.

    Raises:
        ValueError: names the entry and what would be right.
    """
    for number, entry in enumerate(overrides, start=1):
        if problem := _problem(entry, known):
            raise ValueError(f"guard.overrides, entry {number} ({entry.scanner}): {problem}")


def _problem(entry: OverrideSettings, known: Known) -> str:
    names = sorted(
        {
            name
            for direction, scanners in known.items()
            if direction in directions_of(entry)
            for name in scanners
        }
    )
    roles = [role.value for role in Role]
    if entry.scanner not in names:
        where = "" if entry.direction == "both" else f" for {entry.direction}"
        return f"there is no such scanner{where}; there are {', '.join(names)}"
    if not entry.users and not entry.roles:
        return "it holds for nobody; give users or roles"
    if strange := [role for role in entry.roles if role not in roles]:
        return f"there is no role {strange[0]}; there are {', '.join(roles)}"
    if entry.action is None and entry.threshold is None:
        return "it changes nothing; give action or threshold"
    if entry.scanner in REWRITERS and (entry.action != "off" or entry.threshold is not None):
        return "it refuses nothing, so it can only be off"
    return ""


def directions_of(entry: OverrideSettings) -> tuple[Direction, ...]:
    """Where an entry holds."""
    return tuple(Direction) if entry.direction == "both" else (Direction(entry.direction),)
