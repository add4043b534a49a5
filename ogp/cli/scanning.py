"""A text shown to every scanner of a direction: what each says, how long it took, and the sums."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil
from time import perf_counter
from typing import Any, Literal

from ogp.cli.replacing import Found, Replacements
from ogp.core.errors import TooLargeError
from ogp.guard.base import Finder, Finding, Scanner, View, ViewKind, redactors_of
from ogp.guard.channel import Channel
from ogp.guard.model import ModelUnavailableError, ScannerBusyError
from ogp.guard.normalise import Normaliser

Direction = Literal["input", "output"]
DIRECTIONS: tuple[Direction, ...] = ("input", "output")
TELLING = (ModelUnavailableError, ScannerBusyError, TooLargeError)
"""Errors whose messages hold no text; of others only the kind is shown."""


class State(StrEnum):
    """What came of a text or a scanner; the later ones count more."""

    CLEAN = "clean"
    REDACTED = "redacted"
    FLAGGED = "flagged"
    ERROR = "error"
    BLOCKED = "blocked"


ORDER = tuple(State)
COUNTED = (State.BLOCKED, State.REDACTED, State.FLAGGED, State.ERROR)
"""Columns of the sums."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one scanner said of a text."""

    scanner: str
    state: State
    score: float | None
    """None where there is none: a rule that was not hit, a scanner that failed."""
    reason: str
    took_ms: float

    def facts(self) -> Mapping[str, Any]:
        """For programs."""
        return {
            "scanner": self.scanner,
            "state": self.state,
            "score": self.score,
            "reason": self.reason,
            "ms": round(self.took_ms, 3),
        }

    def cells(self) -> tuple[str, ...]:
        """For people, in the order of `HEADS`."""
        score = "" if self.score is None else f"{self.score:.3f}"
        return self.scanner, self.state, score, self.reason, f"{self.took_ms:.2f}"


PADDED = Said("padding", State.BLOCKED, 1.0, "run of characters that are not seen", 0.0)
"""The guard refuses answers with runs of unseen characters that it cannot hold back."""
HEADS = ("Scanner", "Verdict", "Score", "Reason", "Time (ms)")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What all scanners said of a text."""

    line: int | None
    """Where the text stands in its file, from 1."""
    said: tuple[Said, ...]

    @property
    def state(self) -> State:
        """The worst."""
        return max((said.state for said in self.said), key=ORDER.index)

    def facts(self) -> Mapping[str, Any]:
        """For programs; the text is not in it."""
        place = {} if self.line is None else {"line": self.line}
        return {**place, "verdict": self.state, "scanners": [said.facts() for said in self.said]}


class Judges:
    """Every scanner of a direction. Unlike the guard, asks them all whatever the others said.

    What is to be taken out of a text is taken out first, as the guard does in a value of a request;
    a hit that is left is a block.
    """

    def __init__(
        self,
        scanners: Sequence[Scanner],
        normaliser: Normaliser,
        direction: Direction,
        finders: Sequence[Finder] = (),
    ) -> None:
        """Keep them; at least one."""
        self._replacements = Replacements(redactors_of(scanners), finders)
        self._scanners, self._normaliser = tuple(scanners), normaliser
        self._normalises = any(ViewKind.NORMALISED in scanner.reads for scanner in scanners)
        self._views = self._prompt_views if direction == "input" else self._answer_views

    def judge(self, text: str, prompt: str, line: int | None = None) -> Judgement:
        """Show it the views that the guard shows."""
        replaced = self._replacements.apply(text)
        views, is_padded = self._views(replaced.text, prompt)
        said = [_found(found) for found in replaced.found]
        for scanner in self._scanners:
            pieces = replaced.taken_out.get(scanner.name, 0)
            said.append(_without(_asked(scanner, views), pieces))
        return Judgement(line, (*said, PADDED) if is_padded else tuple(said))

    def _prompt_views(self, text: str, _prompt: str) -> tuple[Sequence[View], bool]:
        normal = View(self._normaliser(text), ViewKind.NORMALISED)
        return (View(text), normal, View(text, ViewKind.JOINED)), False

    def _answer_views(self, text: str, prompt: str) -> tuple[Sequence[View], bool]:
        channel = Channel(self._scanners, self._normaliser if self._normalises else None, prompt)
        channel.append(text)
        return channel.views(ended=True), channel.is_padded


class Tallies:
    """Sums over many texts, so that no judgement has to be kept."""

    def __init__(self) -> None:
        self.states: Counter[State] = Counter()
        """Texts by their worst verdict."""
        self._by_scanner: dict[str, Counter[State]] = {}
        self._took_ms: dict[str, array[float]] = {}

    def note(self, judgement: Judgement) -> None:
        """Count one text."""
        self.states[judgement.state] += 1
        for said in judgement.said:
            self._by_scanner.setdefault(said.scanner, Counter())[said.state] += 1
            self._took_ms.setdefault(said.scanner, array("d")).append(said.took_ms)

    @property
    def exit_status(self) -> int:
        """2 something was blocked, else 1 a scanner failed, else 0."""
        if self.states[State.BLOCKED]:
            return 2
        return 1 if self.states[State.ERROR] else 0

    def rows(self) -> list[tuple[str, ...]]:
        """One line per scanner, in the order of `SUM_HEADS`."""
        return [
            (
                name,
                *(str(states[state]) for state in COUNTED),
                *(f"{_percentile(self._took_ms[name], share):.2f}" for share in (0.5, 0.95)),
            )
            for name, states in self._by_scanner.items()
        ]


SUM_HEADS = ("Scanner", "Blocked", "Redacted", "Flagged", "Errors", "p50 (ms)", "p95 (ms)")


def _found(found: Found) -> Said:
    """What a finder would hide: how many pieces of which kind."""
    if found.error is not None:
        return Said(found.finder, State.ERROR, None, _told(found.error), found.took_ms)
    kinds = ", ".join(f"{kind}: {count}" for kind, count in found.kinds.items())
    return Said(found.finder, State.REDACTED if kinds else State.CLEAN, None, kinds, found.took_ms)


def _without(said: Said, pieces: int) -> Said:
    """What a scanner says of a text from which it has taken pieces."""
    if not pieces or said.state is not State.CLEAN:
        return said
    noun = "piece" if pieces == 1 else "pieces"
    return replace(said, state=State.REDACTED, reason=f"{pieces} {noun} taken out")


def _told(error: Exception) -> str:
    """Why something failed, without what a message could hold of the text."""
    return (str(error) if isinstance(error, TELLING) else "") or type(error).__name__


def _asked(scanner: Scanner, views: Sequence[View]) -> Said:
    """Show a scanner what it reads, equal texts once; what it says of the worst view."""
    worst: Finding | None = None
    shown: set[str] = set()
    began = perf_counter()
    try:
        for view in views:
            if view.kind in scanner.reads and view.text not in shown:
                shown.add(view.text)
                worst = max(worst, scanner.scan(view), key=_weight)
    except Exception as error:  # noqa: BLE001 - shown as the scanner's state
        took_ms = 1e3 * (perf_counter() - began)
        return Said(scanner.name, State.ERROR, None, _told(error), took_ms)
    took_ms = 1e3 * (perf_counter() - began)
    if worst is None:
        return Said(scanner.name, State.CLEAN, None, "", took_ms)
    return Said(scanner.name, _state(worst), worst.score, worst.reason, took_ms)


def _weight(finding: Finding | None) -> tuple[int, float]:
    return (-1, 0.0) if finding is None else (ORDER.index(_state(finding)), finding.score)


def _state(finding: Finding) -> State:
    if not finding.hit:
        return State.CLEAN
    return State.BLOCKED if finding.blocks else State.FLAGGED


def _percentile(values: Sequence[float], share: float) -> float:
    """The least value that is not exceeded by `share` of all; 0 for none."""
    ordered = sorted(values)
    return ordered[max(1, ceil(share * len(ordered))) - 1] if ordered else 0.0
