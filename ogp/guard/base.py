"""What a scanner is shown, what it says, and what it promises."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Protocol, TypeGuard


class ViewKind(StrEnum):
    """The forms in which one text is looked at."""

    RAW = "raw"
    """As it was decoded; what the model or the client reads."""
    NORMALISED = "normalised"
    """Without disguise, see `guard.normalise`; only ever scanned, never sent."""
    JOINED = "joined"
    """The running text of a prompt as one, once; for scanners that are too slow to see it twice."""


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
    """What a scanner hit, or how far from a hit it was."""

    reason: str
    """Names a rule or a class; never repeats the text."""
    score: float = 1.0
    blocks: bool = True
    """False records the hit and lets the text pass."""
    hit: bool = True
    """False keeps the score of a text that passes; `reason` is then empty and `blocks` False."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text that is to be replaced."""

    start: int
    end: int
    """Behind its last character."""
    label: str
    """What it is, e.g. EMAIL_ADDRESS; stands in the text in its place, never repeats it.

    Nothing stands there where it is empty.
    """


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

    def identity(self) -> str:
        """Differs whenever a finding could: verdicts are remembered under it.

        Name, every setting that matters, version of rules or libraries; for a model the hash of its
        files, its precision, and whether it is there at all. Phrases and patterns only as a hash,
        see `identity_of`. Asked for with every text, hence made beforehand. It may change while a
        model loads: a verdict is remembered if it was the same before and after the scan.
        """
        ...


class Redactor(Scanner, Protocol):
    """A scanner that can take out what it hits. What it leaves is scanned and blocks."""

    @property
    def redacts(self) -> bool:
        """Whether it shall."""
        ...

    def spans(self, view: View) -> Sequence[Span]:
        """Hits of a raw view that can be taken out, those that begin at `view.start` or later.

        Overlapping ones are all told, so that the answer does not depend on where one begins to
        look. Of an open view those that no further text could change: all that begin before
        `settled`, and maybe more, which are told again.
        """
        ...


class Finder(Protocol):
    """Finds what the model shall not see and the client shall see again. Thread-safe."""

    @property
    def name(self) -> str:
        """The name in settings, verdicts and `/health`."""
        ...

    @property
    def required(self) -> bool:
        """False: where it cannot be loaded, texts may pass without it."""
        ...

    def find(self, text: str) -> Sequence[Span]:
        """The pieces to hide, in their order; they do not overlap. May be slow.

        Raises:
            ModelUnavailableError: it cannot be loaded.
        """
        ...

    def describe(self) -> Mapping[str, int | str]:
        """What `/health` may show."""
        ...

    def identity(self) -> str:
        """Differs whenever what it finds could, see `Scanner.identity`."""
        ...


def redactors_of(scanners: Iterable[Scanner]) -> tuple[Redactor, ...]:
    """Those that take out what they hit."""
    return tuple(filter(_redacts, scanners))


def _redacts(scanner: Scanner) -> TypeGuard[Redactor]:
    return getattr(scanner, "redacts", False)


def identity_of(name: str, *facts: object) -> str:
    """`Scanner.identity` of a scanner whose findings follow from its name and these facts.

    The facts are texts, numbers, tuples and frozen dataclasses of them: their `repr` says all.
    """
    return f"{name}:{sha256(repr(facts).encode(errors='backslashreplace')).hexdigest()}"


def settled_by_hold(view: View, hold_chars: int) -> int:
    """`Scanner.settled` of scanners that must see `hold_chars` to be sure."""
    return max(view.start, len(view.text) - hold_chars + 1) if view.open else len(view.text)
