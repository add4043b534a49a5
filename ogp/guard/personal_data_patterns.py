"""Finds personal data by patterns and checksums; those of presidio, asked by us.

presidio's engine is not used: its search for context words finds none without a language model, its
comparison of findings takes quadratic time, its tokenizer keeps every word it has seen, and its log
repeats text. Its patterns, each of bounded length, and its checksums are.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from operator import mul
from typing import Any

from ogp.guard.model import ModelUnavailableError
from ogp.guard.personal_data import (
    ENTITIES,
    LEAST_WITH_WORD,
    LIFT,
    MOST_WITHOUT_WORD,
    REGIONS,
    Entity,
    Found,
    words_of,
)
from ogp.guard.personal_data_own import Search, emails, ip_addresses, urls
from ogp.guard.personal_data_phones import PhoneFinder
from ogp.guard.personal_data_spans import is_inside_word

WORD_CHARS = 60
"""How far before a number the word may stand that tells what it is."""
LONG_WORD = 4
"""From so many letters on, a word counts as the beginning of a longer one, e.g. passportNumber."""
CARD_DIGITS = 15
"""Shorter numbers of cards are like any number; so are those that begin with none of these."""
CARD_BEGINS = "3456"
MIXED_CASE = frozenset({"CRYPTO", "IBAN_CODE", "DATE_TIME"})
"""Other identity numbers are written in capitals; in small letters they need a word."""
DECIMALS = re.compile(r"\d[.,]\d")
"""What stands behind the point of a number is none itself."""
LOOSE = " _\t\n\r"
"""Some patterns take in what stands beside a number."""
PESEL_WEIGHTS = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
LOGGERS = ("presidio-analyzer", "tldextract", "phonenumbers")


class PatternFinder:
    """Looks for several entities in a part of a text. Immutable, thread-safe."""

    def __init__(self, entities: Sequence[str], languages: Sequence[str], threshold: float) -> None:
        """Import presidio and compile patterns: 2 seconds and 280 MB. Call `go_offline` before.

        Args:
            entities: names of `personal_data.ENTITIES`.
            languages: of words, see `personal_data`.
            threshold: least score that counts.

        Raises:
            ModelUnavailableError: a package is missing, or is not the one this was written for.
        """
        try:
            import presidio_analyzer.predefined_recognizers as recognisers

            regions = dict.fromkeys(region for name in languages for region in REGIONS[name])
            self._searches = tuple(
                (_search(ENTITIES[name], recognisers, tuple(regions)), _words(name, languages))
                for name in entities
            )
            self.version = version("presidio-analyzer")
        except ModelUnavailableError:
            raise
        except ImportError as error:
            raise ModelUnavailableError(
                f"the package {error.name} is missing: pip install 'ollama-guard-proxy[guard]'"
            ) from error
        except Exception as error:  # whatever another version leads to
            raise ModelUnavailableError(f"presidio-analyzer: {type(error).__name__}") from error
        for name in LOGGERS:  # their records repeat text
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._threshold = threshold

    def find(self, text: str, start: int, end: int) -> list[Found]:
        """What lies between two positions; the words before it are seen too."""
        return [
            found
            for search, words in self._searches
            for found in _judged(search(text, start, end), text, words)
            if found.score >= self._threshold and _is_whole(found, text, end)
        ]


@dataclass(frozen=True, slots=True)
class _Words:
    pattern: re.Pattern[str] | None
    is_needed: bool


def _words(name: str, languages: Sequence[str]) -> _Words:
    entity = ENTITIES[name]
    words = words_of(entity, languages)
    ends = [word if len(word) >= LONG_WORD else rf"{word}(?![^\W\d_])" for word in words]
    pattern = re.compile(rf"(?<![^\W\d_])(?:{'|'.join(ends)})", re.IGNORECASE) if words else None
    return _Words(pattern, entity.needs_word)


def _judged(all_found: Iterator[Found], text: str, words: _Words) -> Iterator[Found]:
    """Scores as the words before say."""
    for found in all_found:
        score = found.score
        before = text[max(0, found.start - WORD_CHARS) : found.start]
        if words.pattern is not None and words.pattern.search(before):
            score = min(1.0, max(score + LIFT, LEAST_WITH_WORD))
        elif words.is_needed:
            score = min(score, MOST_WITHOUT_WORD)
        yield replace(found, score=score)


def _is_whole(found: Found, text: str, end: int) -> bool:
    """Whether no word is split, nor by the end of the part, where the next part sees more."""
    if found.end == end < len(text) and not text[end].isspace():
        return False
    return not (is_inside_word(text, found.start) or is_inside_word(text, found.end))


def _search(entity: Entity, recognisers: Any, regions: Sequence[str]) -> Search:
    own: Mapping[str, Callable[[], Search]] = {
        "EMAIL_ADDRESS": lambda: emails,
        "IP_ADDRESS": lambda: ip_addresses,
        "PHONE_NUMBER": lambda: PhoneFinder(regions),
        "URL": lambda: urls,
    }
    if entity.name in own:
        return own[entity.name]()
    recogniser = getattr(recognisers, entity.recogniser, None)
    if recogniser is None:
        raise ModelUnavailableError(f"presidio-analyzer has no {entity.recogniser}")
    return _Recogniser(entity, recogniser())


class _Recogniser:
    """Patterns and checksum of one recogniser. Immutable, thread-safe."""

    def __init__(self, entity: Entity, recogniser: Any) -> None:
        import regex

        if entity.name not in recogniser.supported_entities:
            raise ModelUnavailableError(f"{entity.recogniser} of presidio-analyzer is another one")
        self._entity, self._recogniser = entity, recogniser
        self._check = is_pesel if entity.name == "PL_PESEL" else recogniser.validate_result
        flags = regex.IGNORECASE | regex.MULTILINE | regex.DOTALL
        used = [
            (pattern.regex, pattern.score)
            for pattern in recogniser.patterns
            if pattern.name not in entity.skipped
        ]
        used += [(pattern, 0.0) for pattern in entity.patterns]
        self._patterns = tuple((regex.compile(pattern, flags), score) for pattern, score in used)

    def __call__(self, text: str, start: int, end: int) -> Iterator[Found]:
        """Matches that pass; of each the longest end that does."""
        for pattern, score in self._patterns:
            for match in pattern.finditer(text, start, end, concurrent=True):
                if DECIMALS.match(text, max(0, match.start() - 2), match.start() + 1):
                    continue
                for last in self._ends(match):
                    piece = text[match.start() : last].strip(LOOSE)
                    first = text.index(piece, match.start())
                    if piece and (judged := self._score(piece, score)) > 0:
                        yield Found(first, first + len(piece), self._entity.name, judged)
                        break

    def _ends(self, match: Any) -> Sequence[int]:
        """Where it may end: of an IBAN, words behind it can look like its last groups."""
        if self._entity.name != "IBAN_CODE":
            return (match.end(),)
        return sorted({match.end(), *_group_ends(match)}, reverse=True)

    def _score(self, piece: str, score: float) -> float:
        try:
            is_valid = self._check(piece)
            is_invalid = self._recogniser.invalidate_result(piece)
        except Exception:  # noqa: BLE001 - odd digits and letters; they are no identity number
            return 0.0
        if is_invalid or is_valid is False:
            return 0.0
        judged = score if is_valid is None else 1.0
        return min(judged, MOST_WITHOUT_WORD) if self._is_weak(piece) else judged

    def _is_weak(self, piece: str) -> bool:
        if self._entity.name == "CREDIT_CARD":
            digits = sum(map(str.isdigit, piece))
            return digits < CARD_DIGITS or piece[0] not in CARD_BEGINS
        return self._entity.name not in MIXED_CASE and piece != piece.upper()


def _group_ends(match: Any) -> list[int]:
    return [match.end(group) for group in range(1, match.re.groups + 1) if match.end(group) > 0]


def is_pesel(piece: str) -> bool:
    """The checksum of a Polish number; presidio's takes wrong ones and refuses right ones."""
    digits = map(int, piece)
    total: int = sum(map(mul, digits, PESEL_WEIGHTS))
    return total % 10 == 0
