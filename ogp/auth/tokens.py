"""The token's form: `ogp_<id>_<secret><checksum>`, 49 ASCII characters, one spelling each.

The form follows the tokens of large code hosts: a prefix by which secret scanners find it, an `_`
so that a double click selects all of it, and a checksum that tells a real one from noise offline.
The id is public: it is a row's primary key, shown in listings and written to the audit log.
"""

import re
import secrets
import string
import zlib
from dataclasses import dataclass

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
"""base62 digits, in the order of their value in the checksum."""
ID_CHARS = 8
SECRET_CHARS = 30
"""30 base62 characters carry 178 random bits."""
CHECKSUM_CHARS = 6
"""Six base62 digits hold any CRC32."""

_GRAMMAR = re.compile(
    rf"(?P<body>ogp_(?P<id>[0-9A-Za-z]{{{ID_CHARS}}})_(?P<secret>[0-9A-Za-z]{{{SECRET_CHARS}}}))"
    rf"(?P<checksum>[0-9A-Za-z]{{{CHECKSUM_CHARS}}})"
)


@dataclass(frozen=True, slots=True, repr=False)
class ParsedToken:
    """A well-formed token. Whether it was ever issued is the verifier's question."""

    id: str
    secret: str

    def __repr__(self) -> str:
        """The id alone, so that no log line or traceback can show the secret."""
        return f"{type(self).__name__}(id={self.id!r}, secret=***)"


@dataclass(frozen=True, slots=True, repr=False)
class MintedToken(ParsedToken):
    """A new token, in plain text; this value is the only place that ever holds it."""

    text: str

    @property
    def preview(self) -> str:
        """What listings may show."""
        return token_preview(self.id)


def token_preview(token_id: str) -> str:
    """How a token is named to people: its id, never its secret."""
    return f"ogp_{token_id}_..."


def mint() -> MintedToken:
    """A new random token, from the operating system's generator."""
    token_id, secret = _random_text(ID_CHARS), _random_text(SECRET_CHARS)
    body = f"ogp_{token_id}_{secret}"
    return MintedToken(id=token_id, secret=secret, text=body + _checksum(body))


def parse(text: str) -> ParsedToken | None:
    """Read a token, or None for anything that `mint` cannot have made.

    Costs no hash and no database access, so that noise is refused for next to nothing. CRC32
    sees every change of up to 32 bits in a row, hence each wrong character.
    """
    match = _GRAMMAR.fullmatch(text)
    if match is None or match["checksum"] != _checksum(match["body"]):
        return None
    return ParsedToken(id=match["id"], secret=match["secret"])


def _random_text(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode("ascii"))
    digits = []
    for _ in range(CHECKSUM_CHARS):
        value, digit = divmod(value, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
