r"""Reads JSON that comes in pieces, as tool arguments do in a stream, and changes its strings.

A phrase can be spelled with escapes there (`\u0073ecret`), and a client decodes them, so the guard
must see them decoded. Each piece is told apart into what stands inside strings and what stands
between them: new text for a string is escaped, and what is between keeps the document whole.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_HEX = "[0-9a-fA-F]"
_HALF = rf"\\u[dD][89abAB]{_HEX}{{2}}"
_PART = rf"\\(?:u{_HEX}{{0,3}})?"
_TOKEN = re.compile(
    rf"(?P<open>(?:{_HALF}(?:{_PART})?|{_PART})\Z)"
    rf'|(?P<quote>")|(?P<plain>[^"\\]+)'
    rf"|(?P<coded>{_HALF}\\u[dD][c-fC-F]{_HEX}{{2}}|\\u{_HEX}{{4}})"
    r"|(?P<short>\\.)",
    re.DOTALL,
)
"""The first alternative is an escape, or a pair of them, that the next piece goes on with."""
_SHORT = {r"\"": '"', r"\\": "\\", r"\/": "/", r"\b": "\b", r"\f": "\f"}
_SHORT |= {r"\n": "\n", r"\r": "\r", r"\t": "\t"}
_BARE_VALUE = re.compile(r'[^\s{}\[\]:,"]+')


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of JSON inside one string, or between two."""

    raw: str
    text: str
    """What a client reads: escapes decoded."""
    inside: bool


def cut_pieces(text: str, *, inside: bool) -> tuple[list[Piece], bool, bool]:
    r"""Cut the next part of a document at its quotation marks.

    Args:
        text: the part. Escapes count wherever they stand, as malformed documents are read, too.
        inside: it begins inside a string.

    Returns:
        The pieces; whether what follows is inside a string; and whether `text` ends within an
        escape, which is then read as it stands.
    """
    pieces: list[Piece] = []
    tokens: list[re.Match[str]] = []
    for token in _TOKEN.finditer(text):
        if not token["quote"]:
            tokens.append(token)
        elif inside:
            pieces += _piece(tokens, inside=True)
            tokens, inside = [token], False
        else:
            pieces += _piece([*tokens, token], inside=False)
            tokens, inside = [], True
    pieces += _piece(tokens, inside=inside)
    return pieces, inside, bool(tokens) and tokens[-1]["open"] is not None


def joined(pieces: Sequence[Piece], texts: Iterator[str]) -> str:
    """The JSON again, with other texts; one for each piece is taken from `texts`.

    Of what stands between strings only values go, as `null`: the document stays one.
    """
    return "".join(_written(piece, next(texts)) for piece in pieces)


def _written(piece: Piece, text: str) -> str:
    if text == piece.text:
        return piece.raw
    if piece.inside:
        return json.dumps(text)[1:-1]
    return _BARE_VALUE.sub("null", piece.raw)


def _piece(tokens: Sequence[re.Match[str]], *, inside: bool) -> list[Piece]:
    if not tokens:
        return []
    text = "".join(map(_decoded, tokens))
    return [Piece("".join(token[0] for token in tokens), text, inside)]


def _decoded(token: re.Match[str]) -> str:
    if token["coded"]:
        decoded: str = json.loads(f'"{token[0]}"')
        return "\ufffd" if "\ud800" <= decoded <= "\udfff" else decoded
    return _SHORT.get(token[0], token[0]) if token["short"] else token[0]
