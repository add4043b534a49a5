"""JSON as Go's `encoding/json` reads and writes it, where that differs from Python's.

Ollama binds bodies with Go: keys match whatever their case, the last spelling wins, null leaves a
string alone, text after the object is ignored, bytes that are not UTF-8 become U+FFFD.
A proxy that reads a body otherwise than this can be talked past, so the look-alike reads it so.
"""

import json
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

_WHITESPACE = " \t\r\n"
_SURROGATE = re.compile("[\ud800-\udfff]")
_FOLDS = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_FOLDS |= {0x17F: ord("S"), 0x212A: ord("K")}
_MAX_INT_DIGITS = 400
"""A longer one overflows Go's float64; unlike Go this refuses it in fields Go ignores, too."""


class GoJSONError(ValueError):
    """What Go's decoder would refuse; the message imitates Go's."""


class EmptyBodyError(GoJSONError):
    """Nothing but whitespace: `io.EOF` in Go."""


class Pairs(list[tuple[str, Any]]):
    """An object before binding: its members in order, duplicates included."""

    def plain(self) -> dict[str, Any]:
        """The object as a Go map: exact keys, the last one wins."""
        return {key: plain(value) for key, value in self}


def plain(value: Any) -> Any:
    """Turn unbound objects, at any depth, into dictionaries."""
    if isinstance(value, Pairs):
        return value.plain()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def fold(key: str) -> str:
    """The form in which Go compares a key with a field's name: ASCII case, U+017F, U+212A."""
    return key.translate(_FOLDS)


def decode(body: bytes) -> Any:
    """Read the first JSON value of a body; what follows it is ignored.

    Raises:
        EmptyBodyError: there is none.
        GoJSONError: it is malformed, by Go's rules.
    """
    # surrogateescape yields one surrogate per bad byte, as Go yields one U+FFFD per bad byte.
    text = _SURROGATE.sub("\ufffd", body.decode("utf-8", "surrogateescape"))
    text = text.lstrip(_WHITESPACE)
    if not text:
        raise EmptyBodyError("EOF")
    decoder = json.JSONDecoder(
        object_pairs_hook=_members,
        parse_constant=_refuse_constant,
        parse_int=_integer,
        parse_float=_float,
    )
    try:
        value, _ = decoder.raw_decode(text)
        return _clean(value)
    except GoJSONError:
        raise
    except RecursionError:
        raise GoJSONError("exceeded max depth") from None
    except json.JSONDecodeError as error:
        raise GoJSONError(_syntax_error(text, error)) from None


def _syntax_error(text: str, error: json.JSONDecodeError) -> str:
    if error.pos >= len(text) or error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    return f"invalid character {text[error.pos]!r} at {error.pos}"


def _members(pairs: list[tuple[str, Any]]) -> Pairs:
    return Pairs((_clean(key), _clean(value)) for key, value in pairs)


def _clean(value: Any) -> Any:
    """Replace lone surrogates that came from escapes, in strings and arrays of strings."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list) and not isinstance(value, Pairs):
        return [_clean(item) for item in value]
    return value


def _refuse_constant(name: str) -> Any:
    raise GoJSONError(f"invalid character {name[0]!r} looking for beginning of value")


def _integer(digits: str) -> int:
    if len(digits) <= _MAX_INT_DIGITS:
        return int(digits)
    raise GoJSONError("json: cannot unmarshal number into Go value of type float64")


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise GoJSONError(f"json: cannot unmarshal number {digits} into Go value of type float64")
    return number


class Kind(Protocol):
    """How Go stores a JSON value in a field of one type."""

    def bind(self, value: Any, old: Any, where: str) -> Any:
        """Give the field's new content.

        Args:
            value: the decoded JSON value.
            old: what the field holds already, None when nothing yet.
            where: the field in Go's words, for the error.

        Raises:
            GoJSONError: the value does not fit.
        """
        ...


def _mismatch(value: Any, where: str, go_type: str) -> GoJSONError:
    named = {bool: "bool", int: "number", float: "number", str: "string", Pairs: "object"}
    found = named.get(type(value), "array")
    return GoJSONError(
        f"json: cannot unmarshal {found} into Go struct field {where} of type {go_type}"
    )


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string, number or boolean. Null empties `pointer` fields; others keep their value."""

    go_type: str
    python_types: tuple[type, ...]
    pointer: bool = False

    def bind(self, value: Any, old: Any, where: str) -> Any:
        """See `Kind.bind`."""
        if value is None:
            return None if self.pointer else old
        if type(value) not in self.python_types:
            raise _mismatch(value, where, self.go_type)
        return value


@dataclass(frozen=True, slots=True)
class Base64:
    """A `[]byte` field; stays in its base64 form."""

    def bind(self, value: Any, _old: Any, where: str) -> Any:
        """See `Kind.bind`."""
        if value is None:
            return None
        if not isinstance(value, str):
            raise _mismatch(value, where, "api.ImageData")
        try:
            b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
        except (Base64Error, ValueError):
            raise GoJSONError("illegal base64 data at input byte 0") from None
        return value


@dataclass(frozen=True, slots=True)
class Anything:
    """A field that takes any value as it is."""

    def bind(self, value: Any, _old: Any, _where: str) -> Any:
        """See `Kind.bind`."""
        return plain(value)


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A Go map: exact keys, a second object is merged into the first."""

    def bind(self, value: Any, old: Any, where: str) -> Any:
        """See `Kind.bind`."""
        if value is None:
            return None
        if not isinstance(value, Pairs):
            raise _mismatch(value, where, "map[string]interface {}")
        return (old or {}) | value.plain()


@dataclass(frozen=True, slots=True)
class ListOf:
    """A slice. Where `merges`, a second array is laid over the elements of the first."""

    item: Kind
    merges: bool = True

    def bind(self, value: Any, old: Any, where: str) -> Any:
        """See `Kind.bind`."""
        if value is None:
            return None
        if not isinstance(value, list) or isinstance(value, Pairs):
            raise _mismatch(value, where, "[]interface {}")
        stale = old if self.merges and old else []
        return [
            self.item.bind(item, stale[index] if index < len(stale) else None, where)
            for index, item in enumerate(value)
        ]


class Struct:
    """A Go struct. Fields it does not know are kept in the document under their exact key."""

    def __init__(self, name: str, fields: Mapping[str, Kind]) -> None:
        self._name = name
        self._kinds = dict(fields)
        self._names = {fold(field): field for field in fields}

    def bind(self, value: Any, old: Any, where: str) -> Any:
        """See `Kind.bind`."""
        if value is None:
            return old
        if not isinstance(value, Pairs):
            raise _mismatch(value, where, self._name)
        document: dict[str, Any] = dict(old or {})
        for key, member in value:
            field = self._names.get(fold(key))
            if field is None:
                document[key] = plain(member)
                continue
            kind = self._kinds[field]
            bound = kind.bind(member, document.get(field), f"{self._name}.{field}")
            if bound is not None or field in document:
                document[field] = bound
        return {key: member for key, member in document.items() if member is not None}

    def read(self, body: bytes) -> dict[str, Any]:
        """Bind a whole request body; absent and null fields are left out.

        Raises:
            EmptyBodyError: the body is empty.
            GoJSONError: Go would refuse it.
        """
        value = decode(body)
        if value is not None and not isinstance(value, Pairs):
            found = _mismatch(value, "", "").args[0].split(" into ")[0]
            raise GoJSONError(f"{found} into Go value of type {self._name}")
        try:
            document: dict[str, Any] = self.bind(value, None, "") or {}
        except RecursionError:
            raise GoJSONError("exceeded max depth") from None
        return document


STRING = Scalar("string", (str,))
BOOL = Scalar("bool", (bool,))
OPTIONAL_BOOL = Scalar("bool", (bool,), pointer=True)
INTEGER = Scalar("int", (int,))
NUMBER = Scalar("float64", (int, float), pointer=True)
ANYTHING = Anything()
DICTIONARY = Dictionary()
IMAGES = ListOf(Base64())

_write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_HTML = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def encode(value: Any) -> bytes:
    """Write a document as Go does: compact, UTF-8, `<>&` and U+2028/9 escaped."""
    return _write(value).translate(_HTML).encode()
