"""The second view of a text: the same words without their disguise.

In order: tag characters decoded, unseen characters and accents dropped, compatibility forms taken
apart (`guard.folding`), look-alikes of other alphabets turned to Latin where they touch a Latin
letter, spaced letters joined, white space collapsed.

Every step looks a bounded distance to either side and decides for each character by itself. The
view of a whole text therefore equals the views of its pieces put together, wherever it is cut: an
answer can be normalised as it comes. Linear in time; at most eight characters for one.
"""

import re
import unicodedata
from collections.abc import Callable
from copy import copy

from ogp.guard.folding import DROPPED, Folding

LOOK_ALIKES = (
    "аеорсухіјѕһԁԛԝӏѵктмвнгп"
    + "АВЕКМНОРСТУХІЈЅҺԚԜҮӀ"
    + "αβεηικνορτυχγωϳ"
    + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"
    + "օսհցո"
    "ᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᎩᏃ",
    "aeopcyxijshdqwlvktmbhrn"
    + "ABEKMHOPCTYXIJSHQWYI"
    + "abenikvoptuxywj"
    + "ABEZHIKMNOPTYX"
    + "ouhgn"
    "ABCDEGHiJKLMPRSTVWYZ",
)
"""Cyrillic, Greek, Armenian and Cherokee letters, and the Latin ones they are taken for."""

MAX_RUN = 32
"""Look-alikes in a row that one Latin neighbour can reveal."""
MAX_MARKS = 8
"""Foreign vowel signs in a row that are dropped from a Latin letter."""
MAX_SPACES = 32
"""White space that is collapsed to one space; of a longer run, the rest is kept."""
MAX_DROPPED = 64
"""Unseen characters in a row beyond which a stream cannot be held back for them any longer."""

LETTER = r"[^\W\d_]"
SEPARATOR = r"[ .\-_*·•|/\\,~:+]"
SPACED = (
    # a separator between two single letters, with another such pair right before or after it
    rf"(?<={LETTER}.)(?<!{LETTER}{LETTER}.)(?={LETTER}(?!{LETTER}))"
    rf"(?:(?={LETTER}{SEPARATOR}{LETTER}(?!{LETTER}))"
    rf"|(?<={LETTER}{SEPARATOR}{LETTER}.)(?<!{LETTER}{LETTER}{SEPARATOR}{LETTER}.))"
)
REPEATED_SPACE = rf"(?<=  )(?<! {{{MAX_SPACES + 1}}})"
JOIN = rf"{SEPARATOR}(?:{REPEATED_SPACE}|{SPACED})"
JOIN_BEHIND, JOIN_AHEAD = MAX_SPACES + 2, 4


class Normaliser:
    """Tables and patterns, made once. Thread-safe."""

    def __init__(self) -> None:
        self._folding = Folding()
        alike = "".join(map(re.escape, LOOK_ALIKES[0]))
        marks = "".join(
            re.escape(chr(point))
            for point in range(0x900, 0x1100)
            if unicodedata.category(chr(point)) == "Mn"
        )
        self._latin = str.maketrans(*LOOK_ALIKES) | dict.fromkeys(map(ord, marks), DROPPED)
        self._disguise = re.compile(
            rf"(?<=[A-Za-z])(?:[{alike}]{{1,{MAX_RUN}}}|[{marks}]{{1,{MAX_MARKS}}})"
            rf"|[{alike}]{{1,{MAX_RUN}}}(?=[A-Za-z])"
        )
        self._undecided = re.compile(rf"[{alike}]{{1,{MAX_RUN}}}\Z")
        self._join = re.compile(JOIN)

    def __call__(self, text: str) -> str:
        """The normalised view of a whole text."""
        stream = NormalStream(self)
        return stream.feed(text) + stream.rest()

    def fold(self, text: str) -> str:
        """Step one; dropped characters are still there as `DROPPED`."""
        return text.translate(self._folding)

    def reveal(self, text: str) -> str:
        """Step two, same length: look-alikes next to Latin letters become Latin."""
        if text.isascii():
            return text
        return self._disguise.sub(lambda match: match[0].translate(self._latin), text)

    def join(self, text: str) -> str:
        """Step three, same length: what stands between spaced letters becomes `DROPPED`."""
        return self._join.sub(DROPPED, text)

    def undecided(self, text: str) -> int:
        """How many characters at the end step two cannot decide before it sees the next one."""
        if text.isascii():
            return 0
        match = self._undecided.search(text, max(0, len(text) - MAX_RUN))
        return len(match[0]) if match else 0


class _Step:
    """One step over a growing text: keeps the context it needs on both sides of the front."""

    def __init__(
        self, rewrite: Callable[[str], str], behind: int, ahead: Callable[[str], int]
    ) -> None:
        self._rewrite, self._behind, self._ahead = rewrite, behind, ahead
        self._text = ""
        self._done = 0  # how much of it has been passed on

    @property
    def pending(self) -> int:
        return len(self._text) - self._done

    def feed(self, text: str) -> str:
        """What is certain now."""
        text = self._text + text
        front = len(text) - self._ahead(text)
        if front <= self._done:
            self._text = text
            return ""
        decided = self._rewrite(text)[self._done : front]
        cut = max(0, front - self._behind)
        self._text, self._done = text[cut:], front - cut
        return decided.replace(DROPPED, "")

    def rest(self) -> str:
        """What is left if nothing follows; changes nothing."""
        return self._rewrite(self._text)[self._done :].replace(DROPPED, "")


class NormalStream:
    """The normalised view of one text that comes in pieces. For one thread."""

    def __init__(self, normaliser: Normaliser) -> None:
        self._fold = normaliser.fold
        self._reveal = _Step(normaliser.reveal, MAX_RUN + 1, normaliser.undecided)
        self._join = _Step(normaliser.join, JOIN_BEHIND, lambda _: JOIN_AHEAD)
        self._dropped = 0
        self.is_padded = False
        """More than `MAX_DROPPED` unseen characters came in a row."""

    @property
    def pending(self) -> int:
        """Most characters that what was fed may still add to the view."""
        return self._reveal.pending + self._join.pending

    def feed(self, text: str) -> str:
        """What the view grows by."""
        folded = self._fold(text)
        if DROPPED in folded or self._dropped:
            folded = self._without_dropped(folded)
        return self._join.feed(self._reveal.feed(folded))

    def rest(self) -> str:
        """What the view would grow by if nothing followed; changes nothing."""
        join = copy(self._join)
        return join.feed(self._reveal.rest()) + join.rest()

    def _without_dropped(self, folded: str) -> str:
        counted = DROPPED * self._dropped + folded
        if DROPPED * (MAX_DROPPED + 1) in counted:
            self.is_padded = True
        self._dropped = min(len(counted) - len(counted.rstrip(DROPPED)), MAX_DROPPED)
        return folded.replace(DROPPED, "")
