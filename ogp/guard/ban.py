"""Literal phrases: all of them in one pass, without regard to case."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from ogp.guard.base import Finding, View, ViewKind, identity_of, settled_by_hold

MAX_PHRASE_CHARS = 200
GROUPING_DEPTH = 3
"""Characters by which phrases are grouped, so that a position is compared with few of them."""


class BanSubstringsScanner:
    """Refuses texts that hold one of the operator's phrases.

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
    ) -> None:
        """Compile the phrases.

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
        self._facts = {"phrases": len(phrases), "match_type": match_type}
        self._pattern = re.compile(_any_of([_atoms(form, self._words) for form in self._numbers]))
        self.hold_chars = max(map(len, self._numbers)) + self._words
        self._identity = identity_of(self.name, tuple(phrases), match_type)

    def scan(self, view: View) -> Finding | None:
        """The first phrase; one at the open end of a text waits for its word boundary."""
        text = view.text.casefold()
        start = len(view.text[: view.start].casefold()) if view.start else 0
        match = self._pattern.search(text, start)
        if match is None or (self._words and view.open and match.end() == len(text)):
            return None
        return Finding(f"phrase no. {self._numbers[match[0]]}")

    def settled(self, view: View) -> int:
        """All but the last characters that could begin a phrase."""
        return settled_by_hold(view, self.hold_chars)

    def describe(self) -> Mapping[str, int | str]:
        """How many phrases, and how they are matched."""
        return self._facts

    def identity(self) -> str:
        """The phrases, in their order, and how they are matched."""
        return self._identity


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
