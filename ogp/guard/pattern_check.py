"""Tells from a regular expression how much work a hostile text could make of it.

Python's `re` backtracks and knows no time limit, so what could run away is refused before it runs.
The judgement is cautious: it refuses some patterns that are harmless, never the reverse for the
forms it knows, and names a way out.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from re import _constants, _parser  # type: ignore[attr-defined]  # a second parser would differ
from typing import Any

MAX_PATTERN_CHARS = 500
MAX_STEPS = 2_500
"""Steps per position of the text: 100,000 characters then take about two seconds at worst."""

SAMPLE = frozenset(map(chr, range(0x250))) | frozenset("αЖ中あ한\u2003\u200b\U0001f600")
"""Characters by which it is judged whether two classes overlap."""
CATEGORIES: Mapping[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdigit,
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_WORD": lambda character: character.isalnum() or character == "_",
}

Node = tuple[Any, Any]


class UnsafePatternError(ValueError):
    """The pattern could take too long, or matches more than it declares."""


def compile_checked(pattern: str, max_length: int) -> tuple[re.Pattern[str], bool]:
    """Compile a pattern, case-insensitive, after judging it.

    Args:
        pattern: Python `re` syntax.
        max_length: longest match that is looked for, in characters.

    Returns:
        The pattern, and whether its matches could be longer than `max_length`.

    Raises:
        UnsafePatternError: says what is wrong and what would be right, without a name.
    """
    if len(pattern) > MAX_PATTERN_CHARS:
        raise UnsafePatternError(f"must have at most {MAX_PATTERN_CHARS} characters")
    try:
        tree = _parser.parse(pattern, re.IGNORECASE)
        compiled = re.compile(pattern, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise UnsafePatternError(f"is not a regular expression: {error}") from None
    shortest, longest = tree.getwidth()
    if shortest == 0:
        raise UnsafePatternError("matches the empty text, hence every text")
    unbounded = longest >= _constants.MAXREPEAT
    if not unbounded and longest > max_length:
        raise UnsafePatternError(
            f"can match {longest} characters; raise its max_length ({max_length}) or bound it"
        )
    steps = _Judge(max_length).sequence(tree).steps
    if steps > MAX_STEPS:
        raise UnsafePatternError(
            f"could take {steps} steps per character of text (at most {MAX_STEPS}); bound its "
            "quantifiers, e.g. .{0,40} instead of .*, or lower its max_length"
        )
    return compiled, unbounded


@dataclass(slots=True)
class _Part:
    """What a piece of a pattern can match, and how often it may be tried."""

    first: frozenset[str] = frozenset()
    """Characters it can begin with."""
    chars: frozenset[str] = frozenset()
    """Characters it can hold."""
    choices: int = 1
    """In how many lengths it can match; 1 means it has one length only."""
    steps: int = 1
    optional: bool = False
    """It can match nothing."""
    loops: frozenset[str] = frozenset()
    """Characters of all pieces within that can match in several lengths."""


class _Judge:
    """Walks one parsed pattern."""

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length

    def sequence(self, nodes: Iterable[Node]) -> _Part:
        """Pieces one after another: neighbours that can share characters multiply their choices."""
        parts = [self._part(node) for node in nodes]
        first: frozenset[str] = frozenset()
        for part in parts:
            first |= part.first
            if not part.optional:
                break
        return _Part(
            first=first,
            chars=_union(part.chars for part in parts),
            choices=_bounded(parts, self._max_length),
            steps=max([_chained(parts), *(part.steps for part in parts)], default=1),
            optional=all(part.optional for part in parts),
            loops=_union(part.loops for part in parts),
        )

    def _part(self, node: Node) -> _Part:
        kind, value = str(node[0]), node[1]
        if kind in ("MAX_REPEAT", "MIN_REPEAT"):
            return self._repeat(*value)
        if kind == "POSSESSIVE_REPEAT":
            return self._atomic(self._repeat(*value))
        if kind == "ATOMIC_GROUP":
            return self._atomic(self.sequence(value))
        if kind == "SUBPATTERN":
            return self.sequence(value[3])
        if kind == "BRANCH":
            return self._branch([self.sequence(branch) for branch in value[1]])
        if kind in ("ASSERT", "ASSERT_NOT"):
            return _Part(steps=self.sequence(value[1]).steps, optional=True)
        if kind == "AT":
            return _Part(optional=True)
        if kind in ("GROUPREF", "GROUPREF_EXISTS"):
            raise UnsafePatternError("must not refer back to a group: \\1, (?P=name), (?(1)...)")
        chars = _characters(kind, value)
        return _Part(first=chars, chars=chars)

    def _repeat(self, least: int, most: int, body: Iterable[Node]) -> _Part:
        part = self.sequence(body)
        most = min(most, self._max_length)
        if most > 1:
            self._refuse_ambiguous(part, body)
        variable = most > least
        return _Part(
            first=part.first,
            chars=part.chars,
            choices=(most - least + 1) * part.choices if variable else part.choices,
            steps=part.steps * max(1, most - least + 1),
            optional=least == 0 or part.optional,
            loops=part.loops | (part.chars if variable else frozenset()),
        )

    def _refuse_ambiguous(self, part: _Part, body: Iterable[Node]) -> None:
        """Refuse a repeated body that can match one text in several ways: exponential time."""
        if part.optional:
            raise UnsafePatternError("repeats something that can be empty, like (a?)+")
        if part.loops and not any(
            not piece.optional and piece.choices == 1 and not piece.chars & part.loops
            for piece in map(self._part, body)
        ):
            raise UnsafePatternError("nests quantifiers, like (a+)+, with nothing fixed between")

    def _branch(self, branches: Sequence[_Part]) -> _Part:
        """Alternatives; of those that begin differently only one can match at a place."""
        seen: frozenset[str] = frozenset()
        overlap = False
        for branch in branches:
            overlap = overlap or bool(seen & branch.first)
            seen |= branch.first
        empty = sum(branch.optional for branch in branches)
        if empty > 1:
            raise UnsafePatternError("has alternatives that match the same text, like (a|a)")
        chars = _union(branch.chars for branch in branches)
        choices = [branch.choices for branch in branches]
        return _Part(
            first=seen,
            chars=chars,
            choices=sum(choices) if overlap else max(choices) + empty,
            steps=sum(branch.steps for branch in branches),
            optional=empty > 0,
            loops=_union(branch.loops for branch in branches)
            | (chars if overlap or empty else frozenset()),
        )

    def _atomic(self, part: _Part) -> _Part:
        return _Part(part.first, part.chars, 1, part.steps, part.optional)


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)


def _bounded(parts: Iterable[_Part], limit: int) -> int:
    choices = 1
    for part in parts:
        choices = min(choices * part.choices, limit)
    return choices


def _chained(parts: Sequence[_Part]) -> int:
    """Most steps of any run of variable pieces that can pass characters to one another."""
    worst = 1
    for index, left in enumerate(parts):
        if left.choices == 1:
            continue
        steps, last = max(left.choices, left.steps), index
        for other in range(index + 1, len(parts)):
            right = parts[other]
            if right.choices > 1 and _passes(left, right, parts[last + 1 : other]):
                steps, last = steps * max(right.choices, right.steps), other
        worst = max(worst, steps)
    return worst


def _passes(left: _Part, right: _Part, between: Iterable[_Part]) -> bool:
    """Whether characters of `left` could as well be matched by `right`, past what stands between.

    A fixed piece stops that if either of the two cannot match it: then its place is certain.
    """
    if not left.chars & right.chars:
        return False
    return all(
        part.optional or part.choices > 1 or (part.chars & left.chars and part.chars & right.chars)
        for part in between
    )


def _characters(kind: str, value: Any) -> frozenset[str]:
    """Characters a one-character piece matches, in either case, as far as they are in `SAMPLE`."""
    if kind == "LITERAL":
        return _both_cases(chr(value))
    if kind == "NOT_LITERAL":
        return SAMPLE - _both_cases(chr(value))
    if kind == "ANY":
        return SAMPLE
    if kind == "RANGE":
        low, high = value
        return _union(_both_cases(item) for item in SAMPLE if low <= ord(item) <= high) | {
            chr(low),
            chr(high),
        }
    if kind == "CATEGORY":
        name = str(value).replace("NOT_", "").replace("UNI_", "")
        member = CATEGORIES[name]
        chosen = frozenset(item for item in SAMPLE if member(item))
        return SAMPLE - chosen if "NOT_" in str(value) else chosen
    items = [(str(item), argument) for item, argument in value]
    chosen = _union(_characters(item, argument) for item, argument in items if item != "NEGATE")
    return SAMPLE - chosen if ("NEGATE", None) in items else chosen


def _both_cases(character: str) -> frozenset[str]:
    return frozenset((character, character.lower(), character.upper()))
