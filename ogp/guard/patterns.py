"""Operator patterns: regular expressions that were judged before they run."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ogp.guard.base import Finding, Span, View, ViewKind, identity_of, settled_by_hold
from ogp.guard.pattern_check import UnsafePatternError, compile_checked
from ogp.settings.guard_schema import RegexPattern, RuleAction

MAX_LABEL_CHARS = 40


@dataclass(frozen=True, slots=True)
class _Checked:
    name: str
    pattern: re.Pattern[str]
    max_length: int
    unbounded: bool

    @property
    def label(self) -> str:
        """The name without what could mean something where it is put."""
        return re.sub(r"[^\w .-]", "_", self.name)[:MAX_LABEL_CHARS]


class RegexScanner:
    """Hits texts that match one of the operator's patterns, in either view.

    A match, with what its look-aheads see, is looked for up to `max_length` characters.
    """

    name = "regex"
    reads = (ViewKind.RAW, ViewKind.NORMALISED)

    def __init__(self, patterns: Sequence[RegexPattern], action: RuleAction = "block") -> None:
        """Compile and judge.

        Args:
            patterns: what is looked for.
            action: what a hit does.

        Raises:
            ValueError: names the pattern, what is wrong with it and what would be right.
        """
        self._patterns = tuple(map(_checked, patterns))
        self._action, self.redacts = action, action == "redact"
        # What follows a match tells where it ends, which matters only where it is taken out.
        self.hold_chars = max(pattern.max_length for pattern in self._patterns) + self.redacts
        facts = tuple((given.name, given.pattern, given.max_length) for given in patterns)
        self._identity = identity_of(self.name, facts, action)

    def scan(self, view: View) -> Finding | None:
        """The first pattern that matches; near an open end one waits for its `max_length`."""
        for pattern in self._patterns:
            if _hits(pattern, view):
                return Finding(f"pattern {pattern.name}", blocks=self._action != "flag")
        return None

    def spans(self, view: View) -> Sequence[Span]:
        """Every match of at most `max_length` characters; a longer one blocks."""
        return [
            Span(start, end, pattern.label)
            for pattern in self._patterns
            for start, end in _matches(pattern, view)
        ]

    def settled(self, view: View) -> int:
        """All but the last characters that could begin a match."""
        return settled_by_hold(view, self.hold_chars)

    def describe(self) -> Mapping[str, int | str]:
        """How many patterns, and what a hit does."""
        return {"patterns": len(self._patterns), "action": self._action}

    def identity(self) -> str:
        """The patterns, in their order, and what a hit does."""
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


def _matches(checked: _Checked, view: View) -> Iterator[tuple[int, int]]:
    """Where each match stands, overlapping ones included; see `_hits` for the windows."""
    text, length = view.text, checked.max_length
    last = len(text) - length - 1 if view.open else len(text)
    position = view.start
    while position <= last:
        end = position + 2 * length + 1 if checked.unbounded else len(text)
        match = checked.pattern.search(text, position, end)
        if checked.unbounded and (match is None or match.start() >= position + length):
            position += length  # nothing begins here, or it saw less than its length
            continue
        if match is None or match.start() > last:
            return
        if match.end() - match.start() <= length:
            yield match.span()
            position = match.start() + 1
        else:
            position = match.end()
