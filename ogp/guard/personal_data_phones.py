"""Telephone numbers: candidates by their shape, judged by the plans of the package phonenumbers.

Faster than presidio's, which searches the text once for each of eight regions, and stricter: a
number of ten digits is no telephone number because some area of the USA begins so.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ogp.guard.personal_data import MOST_WITHOUT_WORD, Found

MIN_DIGITS, MAX_DIGITS = 7, 15
INTERNATIONAL, NATIONAL = 0.75, 0.5
"""Scores: with country code, and as people of a known region write it."""

CANDIDATE = re.compile(
    r"(?<![\w./+#-])(?:\+ ?|00)?\(?\d(?:[ ()./-]{0,3}\d){6,16}(?![\w/]|[.-]\d)", re.ASCII
)
AMERICAN = re.compile(
    r"(?:1[ .-])?(?:\([2-9]\d{2}\) ?[2-9]\d{2}[ .-]|[2-9]\d{2}([ .-])[2-9]\d{2}\1)\d{4}"
)
TRUNK = re.compile(r"\(?0[1-9]\d{0,4}\)?[ /-] ?(?:\d{2,8}[ /-]?){1,5}")
"""With the zero that is left out behind a country code, and something that parts it."""
OTHER_NUMBER = re.compile(
    r"\d{4}([-./])\d\d?\1\d\d?\b|\d\d?([-./])\d\d?\2(?:\d\d){1,2}\b|97[89][ -]\d|\+? ?\d+\.\d+$"
)
"""Dates, numbers of books, decimals."""


class PhoneFinder:
    """Finds telephone numbers. Immutable, thread-safe."""

    def __init__(self, regions: Sequence[str]) -> None:
        """Import phonenumbers; slow.

        Args:
            regions: whose numbers are known without country code, e.g. DE.
        """
        import phonenumbers

        self._library: Any = phonenumbers
        self._regions = tuple(regions)

    def __call__(self, text: str, start: int, end: int) -> Iterator[Found]:
        """Numbers between two positions; some count only with a word that says what they are."""
        judged: dict[str, float] = {}
        for match in CANDIDATE.finditer(text, start, end):
            number = match.group()
            if number not in judged:
                judged[number] = self._score(number)
            if judged[number]:
                yield Found(*match.span(), "PHONE_NUMBER", judged[number])

    def _score(self, number: str) -> float:
        digits = re.sub(r"\D", "", number)
        if not MIN_DIGITS <= len(digits) <= MAX_DIGITS or OTHER_NUMBER.match(number):
            return 0.0
        if number.startswith(("+", "00")):
            international = "+" + digits.removeprefix("00")
            return INTERNATIONAL if self._is_valid(international, None) else 0.0
        if not any(self._is_valid(number, region) for region in self._regions):
            return 0.0
        is_american = "US" in self._regions and AMERICAN.fullmatch(number)
        return NATIONAL if is_american or TRUNK.fullmatch(number) else MOST_WITHOUT_WORD

    def _is_valid(self, number: str, region: str | None) -> bool:
        try:
            parsed = self._library.parse(number, region)
        except self._library.NumberParseException:
            return False
        return bool(self._library.is_valid_number(parsed))
