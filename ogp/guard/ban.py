"""Literal phrases: all of them in one pass, without regard to case."""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Literal

from ogp.guard.base import Finding, Span, View, ViewKind, identity_of, settled_by_hold
from ogp.settings.guard_schema import RuleAction

MAX_PHRASE_CHARS = 200
GROUPING_DEPTH = 3
"""Characters by which phrases are grouped, so that a position is compared with few of them."""


class BanSubstringsScanner:
    """Hits texts that hold one of the operator's phrases.

    `str` finds a phrase anywhere, `word` only where no letter, digit or underscore continues it.
    Both views are searched for the phrases as written and as the normaliser leaves them.
    """

    name = "ban_substrings"
    reads = (ViewKind.RAW, ViewKind.NORMALISED)

    def __init__(
        self,
        phrases: Sequence[str],
        match_type: Literal["str", "word"],
        normalise: Callable[[str], str],
        action: RuleAction = "block",
    ) -> None:
        """Compile the phrases.

        Args:
            phrases: what is looked for.
            match_type: where.
            normalise: as the scanned texts are.
            action: what a hit does.

        Raises:
            ValueError: a phrase is empty or longer than `MAX_PHRASE_CHARS`.
        """
        self._numbers: dict[str, int] = {}
        for number, phrase in enumerate(phrases, start=1):
            if not phrase.strip() or len(phrase) > MAX_PHRASE_CHARS:
                raise ValueError(
                    f"ban_substrings: phrase no. {number} must have 1 to {MAX_PHRASE_CHARS} "
                    "characters that are not white space"
                )
            for form in (phrase.casefold(), normalise(phrase).casefold()):
                if form.strip():
                    self._numbers.setdefault(form, number)
        self._words = match_type == "word"
        self._blocks, self.redacts = action != "flag", action == "redact"
        self._facts = {"phrases": len(phrases), "match_type": match_type, "action": action}
        longest_first = sorted(self._numbers, key=len, reverse=True)
        self._pattern = re.compile(_any_of([_atoms(form, self._words) for form in longest_first]))
        self.hold_chars = max(map(len, self._numbers)) + self._words
        self._identity = identity_of(self.name, tuple(phrases), match_type, action)

    def scan(self, view: View) -> Finding | None:
        """The first phrase; one at the open end of a text waits for its word boundary."""
        match = self._found(view.text.casefold(), _folded_start(view), view)
        return Finding(self._label(match), blocks=self._blocks) if match else None

    def spans(self, view: View) -> Sequence[Span]:
        """Every phrase, of those that begin at one place the longest."""
        folded = view.text.casefold()
        matches = []
        match = self._found(folded, _folded_start(view), view)
        while match:
            matches.append(match)
            match = self._found(folded, match.start() + 1, view)
        if len(folded) == len(view.text):  # folding can only add characters
            return [Span(*match.span(), self._label(match)) for match in matches]
        ends = list(accumulate(len(character.casefold()) for character in view.text))
        return [
            Span(
                bisect_right(ends, match.start()),
                bisect_right(ends, match.end() - 1) + 1,
                self._label(match),
            )
            for match in matches
        ]

    def settled(self, view: View) -> int:
        """All but the last characters that could begin a phrase."""
        return settled_by_hold(view, self.hold_chars)

    def describe(self) -> Mapping[str, int | str]:
        """How many phrases, how they are matched, and what a hit does."""
        return self._facts

    def identity(self) -> str:
        """The phrases, in their order, how they are matched, and what a hit does."""
        return self._identity

    def _found(self, folded: str, position: int, view: View) -> re.Match[str] | None:
        match = self._pattern.search(folded, position)
        is_open = self._words and view.open and match and match.end() == len(folded)
        return None if is_open else match

    def _label(self, match: re.Match[str]) -> str:
        return f"phrase no. {self._numbers[match[0]]}"


def _folded_start(view: View) -> int:
    return len(view.text[: view.start].casefold()) if view.start else 0


def _atoms(phrase: str, words: bool) -> tuple[str, ...]:
    """The phrase as pieces of a pattern.

    The look-behind follows the first character: a pattern that begins with a literal lets the
    engine skip positions where no phrase begins.
    """
    atoms = [re.escape(character) for character in phrase]
    if words and _in_word(phrase[0]):
        atoms[0] += rf"(?<!\w{atoms[0]})"
    if words and _in_word(phrase[-1]):
        atoms[-1] += r"(?!\w)"
    return tuple(atoms)


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _any_of(phrases: Sequence[tuple[str, ...]], depth: int = GROUPING_DEPTH) -> str:
    """A pattern for any of the phrases, grouped by their first characters."""
    if depth == 0 or len(phrases) == 1 or not all(phrases):
        return "(?:" + "|".join(map("".join, phrases)) + ")"
    groups: dict[str, list[tuple[str, ...]]] = {}
    for first, *rest in phrases:
        groups.setdefault(first, []).append(tuple(rest))
    return (
        "(?:" + "|".join(first + _any_of(rest, depth - 1) for first, rest in groups.items()) + ")"
    )
