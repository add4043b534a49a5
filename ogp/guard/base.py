"""What a scanner is shown, what it says, and what it promises."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class ViewKind(StrEnum):
    """One text is looked at in two forms."""

    RAW = "raw"
    """As it was decoded; what the model or the client reads."""
    NORMALISED = "normalised"
    """Without disguise, see `guard.normalise`; only ever scanned, never sent."""


@dataclass(frozen=True, slots=True)
class View:
    """A text, or the end of a text that still grows, in one of its two forms."""

    text: str
    kind: ViewKind = ViewKind.RAW
    start: int = 0
    """First position where a match may begin; what stands before it is context only."""
    open: bool = False
    """More may follow: a match counts only if no further text could undo it."""
    prompt: str = ""
    """What was asked, when the text is an answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a scanner hit."""

    reason: str
    """Names a rule or a class; never repeats the text."""
    score: float = 1.0
    blocks: bool = True
    """False records the hit and lets the text pass."""


class Scanner(Protocol):
    """One way to look at a text. Immutable after construction, hence safe in every thread."""

    @property
    def name(self) -> str:
        """The name in settings, verdicts and `/health`."""
        ...

    @property
    def reads(self) -> tuple[ViewKind, ...]:
        """The forms it wants to see."""
        ...

    @property
    def hold_chars(self) -> int:
        """Characters from the start of its longest match to the last one it needs to see."""
        ...

    def scan(self, view: View) -> Finding | None:
        """The first hit that begins at `view.start` or later, or None."""
        ...

    def settled(self, view: View) -> int:
        """The position before which no match can begin, however an open text goes on."""
        ...

    def describe(self) -> Mapping[str, int | str]:
        """What `/health` may show: counts and modes, no phrases and no patterns."""
        ...


def settled_by_hold(view: View, hold_chars: int) -> int:
    """`Scanner.settled` of scanners that must see `hold_chars` to be sure."""
    return max(view.start, len(view.text) - hold_chars + 1) if view.open else len(view.text)
