"""Character by character: drops what is not seen, takes compatibility forms and accents apart.

Each character is folded alone, so the folded text does not depend on how a text was cut. That is
why accents are taken apart and dropped, where NFKC would compose them with their neighbours.
"""

import unicodedata

DROPPED = "\0"
"""Stands for a dropped character until the caller has counted it. Never a folded character."""

MAX_ENTRIES = 16_384
"""Characters remembered (about 3 MB); those met later are folded again each time."""
MAX_EXPANSION = 8
"""Longest compatibility form that is taken apart; bounds the output."""

TAG_OFFSET = 0xE0000
"""Tag characters repeat ASCII, unseen, at this distance."""

SMALL_CAPITALS = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz"
STROKES = "ıȷɡɑɩøđħłŧƀɓɗɠɨɵʉƙƞⱡǥØĐĦŁŦɃƗƵƶ\u2800", "ijgaiodhltbbdgioukn" + "lgODHLTBIZz "
ALPHABETS = (0x1F150, 0x1F170, 0x1F1E6)
"""A to Z as white on black, and as the letters flags are made of; without a compatibility form."""

UNSEEN_LETTERS = "\u115f\u1160\u3164\uffa0"
"""Hangul fillers: letters by category, blank on screen."""


def is_unseen(character: str) -> bool:
    """Whether a character leaves no mark of its own: controls, formats, accents, selectors.

    Accents are the marks that any letter can bear (combining class 1 and 200 to 240) and the points
    of Hebrew, Arabic and Syriac (10 to 36). Vowel signs and tones of Indic and South-East Asian
    scripts are letters to their readers and are kept.
    """
    category = unicodedata.category(character)
    if category in ("Cf", "Me"):
        return True
    if category == "Cc":
        return not character.isspace()
    point = ord(character)
    if category == "Mn":
        combining = unicodedata.combining(character)
        if combining:
            return combining == 1 or 10 <= combining <= 36 or combining >= 200
        return (
            point == 0x34F
            or 0x180B <= point <= 0x180F
            or 0xFE00 <= point <= 0xFE0F
            or (point >= 0xE0000)
        )
    return (
        character in UNSEEN_LETTERS
        or unicodedata.combining(character) >= 200
        or (category == "Cn" and (0xFFF0 <= point <= 0xFFF8 or point >> 12 == 0xE0))
    )


class Folding(dict[int, str]):
    """Table for `str.translate`, filled as characters are met.

    Thread-safe: an entry depends on its character only and never changes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._alike = dict(
            zip(SMALL_CAPITALS[0] + STROKES[0], SMALL_CAPITALS[1] + STROKES[1], strict=True)
        )
        for first in ALPHABETS:
            self._alike |= {chr(first + index): chr(0x41 + index) for index in range(26)}

    def __missing__(self, point: int) -> str:
        folded = self._fold(chr(point))
        if len(self) < MAX_ENTRIES:
            self[point] = folded
        return folded

    def _fold(self, character: str) -> str:
        if 0x20 <= ord(character) - TAG_OFFSET <= 0x7E:
            return chr(ord(character) - TAG_OFFSET)
        parts = unicodedata.normalize("NFKD", character)
        if len(parts) > MAX_EXPANSION:
            return character
        return "".join(self._seen(part) for part in parts if not is_unseen(part)) or DROPPED

    def _seen(self, character: str) -> str:
        return " " if character.isspace() else self._alike.get(character, character)
