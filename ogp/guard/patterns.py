"""Operator patterns: regular expressions that were judged before they run."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ogp.guard.base import Finding, View, ViewKind, identity_of, settled_by_hold
from ogp.guard.pattern_check import UnsafePatternError, compile_checked
from ogp.settings.schema import RegexPattern


@dataclass(frozen=True, slots=True)
class _Checked:
    name: str
    pattern: re.Pattern[str]
    max_length: int
    unbounded: bool


class RegexScanner:
    """Refuses texts that match one of the operator's patterns, in either view.

    A match, with what its look-aheads see, is looked for up to `max_length` characters.
    """

    name = "regex"
    reads = (ViewKind.RAW, ViewKind.NORMALISED)

    def __init__(self, patterns: Sequence[RegexPattern]) -> None:
        """Compile and judge.

        Raises:
            ValueError: names the pattern, what is wrong with it and what would be right.
        """
        self._patterns = tuple(map(_checked, patterns))
        self.hold_chars = max(pattern.max_length for pattern in self._patterns)
        facts = tuple((given.name, given.pattern, given.max_length) for given in patterns)
        self._identity = identity_of(self.name, facts)

    def scan(self, view: View) -> Finding | None:
        """The first pattern that matches; near an open end one waits for its `max_length`."""
        for pattern in self._patterns:
            if _hits(pattern, view):
                return Finding(f"pattern {pattern.name}")
        return None

    def settled(self, view: View) -> int:
        """All but the last characters that could begin a match."""
        return settled_by_hold(view, self.hold_chars)

    def describe(self) -> Mapping[str, int | str]:
        """How many patterns."""
        return {"patterns": len(self._patterns)}

    def identity(self) -> str:
        """The patterns, in their order."""
        return self._identity


def _checked(pattern: RegexPattern) -> _Checked:
    try:
        compiled, unbounded = compile_checked(pattern.pattern, pattern.max_length)
    except UnsafePatternError as error:
        raise ValueError(f"regex: pattern {pattern.name!r} {error}") from None
    return _Checked(pattern.name, compiled, pattern.max_length, unbounded)


def _hits(checked: _Checked, view: View) -> bool:
    """Search in windows of twice the longest match, so that `.*` cannot run over the whole text."""
    text, length = view.text, checked.max_length
    last = len(text) - length if view.open else len(text)  # last certain beginning of a match
    if not checked.unbounded:
        match = checked.pattern.search(text, view.start)
        return match is not None and match.start() <= last
    for position in range(view.start, last + 1, length):
        match = checked.pattern.search(text, position, position + 2 * length)
        if match is not None and match.start() < position + length and match.start() <= last:
            return True
    return False
