"""Words that a model does not see: placeholders in their place, and the way back."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

PLACEHOLDER = re.compile(r"\[\w+\]", re.ASCII)


class Vault:
    """Gives placeholders to the words of one request. For one thread.

    The same word gets the same placeholder wherever it stands. No placeholder is given that the
    client wrote, in whatever case: what the client wrote never turns into something else.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Begin empty.

        Args:
            texts: all that the client wrote.
        """
        self._taken = {
            match[0].upper()
            for text in texts
            if "[" in text
            for match in PLACEHOLDER.finditer(text)
        }
        self._given: dict[str, str] = {}
        self._numbers: Counter[str] = Counter()

    def placeholder(self, word: str, label: str) -> str:
        """What stands for the word, e.g. `[EMAIL_ADDRESS_1]`."""
        placeholder = self._given.get(word)
        if placeholder is None:
            placeholder = self._given[word] = self._unused(_spelled(label))
        return placeholder

    def words(self) -> dict[str, str]:
        """Placeholder -> word, for `InferenceRequest.vault`."""
        return {placeholder: word for word, placeholder in self._given.items()}

    def _unused(self, label: str) -> str:
        while True:
            self._numbers[label] += 1
            placeholder = f"[{label}_{self._numbers[label]}]"
            if placeholder not in self._taken:
                return placeholder


class Placeholders:
    """Finds placeholders of one vault in a text, in any case. Immutable."""

    def __init__(self, vault: Mapping[str, str]) -> None:
        self._words = {placeholder.upper(): word for placeholder, word in vault.items()}
        self._sorted = sorted(self._words)
        self.max_chars = max(map(len, self._sorted), default=0)

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Start, end and word of each that the text holds whole."""
        for match in PLACEHOLDER.finditer(text):
            word = self._words.get(match[0].upper())
            if word is not None:
                yield match.start(), match.end(), word

    def cut_off(self, text: str) -> int:
        """Where a placeholder begins that may end in what follows; the length where none does."""
        start = text.rfind("[", max(0, len(text) - self.max_chars + 1))
        if start < 0:
            return len(text)
        beginning = text[start:].upper()
        place = bisect_left(self._sorted, beginning)
        known = place < len(self._sorted) and self._sorted[place].startswith(beginning)
        return start if known and not beginning.endswith("]") else len(text)


def _spelled(label: str) -> str:
    """A label that a placeholder can hold, whatever a finder calls what it found."""
    return re.sub(r"\W+", "_", label, flags=re.ASCII).upper()
