"""One strict parse of a request body, and the fresh serialisation that goes upstream.

Parsers differ on what JSON leaves open: Ollama's Go decoder matches keys case-insensitively, lets
the last duplicate win and ignores what follows the document; Python's keeps spellings apart. A
guard that reads one and sends the other is no guard. So whatever two parsers could read differently
is refused, and the upstream never sees the client's bytes, only `serialise(parse_document(...))`.
"""

import json
import re
from collections.abc import Collection
from functools import partial
from itertools import accumulate
from math import isinf
from typing import Any, Never

from ogp.core.errors import InvalidRequestError, TooLargeError

MAX_DEPTH = 64
"""Objects and lists inside each other; tool schemas, the deepest honest ones, stay below 20."""
MAX_NUMBER_CHARS = 100
"""Longest number literal; 64-bit integers have 20 characters, exact doubles 25."""
MAX_VALUES = 500_000
"""Most values in one document: a Python object each, so a few bytes of body must not buy many."""

_STEP = {"{": 1, "[": 1, "}": -1, "]": -1}
_NOT_BRACKETS = re.compile(r"[^\[\]{}]+")


def parse_document(body: bytes, *, names: Collection[str] = ()) -> dict[str, Any]:
    """Read a body that means the same to every JSON parser.

    Integers stay exact at any length up to `MAX_NUMBER_CHARS`, and key order is kept.

    Args:
        body: the client's bytes; their size is bounded by the edge.
        names: keys an error message may repeat. Others are the client's text and are not.

    Raises:
        InvalidRequestError: no JSON object, or one that parsers read differently.
        TooLargeError: more than `MAX_VALUES` values.
    """
    text = _decoded(body)
    _check_shape(text)
    try:
        document = json.loads(
            text,
            object_pairs_hook=partial(_object, names),
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        # `from None` here and below: the cause would keep the whole body alive in the traceback.
        raise InvalidRequestError(
            f"the body is not one JSON document: {error.msg} at line {error.lineno}, "
            f"column {error.colno}"
        ) from None
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(document, dict):
        raise InvalidRequestError('the body must be a JSON object, e.g. {"model": "llama3.2"}')
    _check_surrogates(text, document)
    return document


def serialise(document: dict[str, Any]) -> bytes:
    """Write a parsed document: compact, ASCII only, keys in their order."""
    return json.dumps(
        document, ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")
    ).encode("ascii")


def canonical_keys(members: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    r"""Give the keys we know their one spelling: `PROMPT` and `\u017fystem` mean what Go reads.

    Args:
        members: an object of a parsed document, hence without keys equal after `casefold`.
        names: the known keys, in their casefolded spelling.
    """
    return {
        folded if (folded := key.casefold()) in names else key: value
        for key, value in members.items()
    }


def _decoded(body: bytes) -> str:
    if not body.strip():
        raise InvalidRequestError("the body is missing: send a JSON object")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(
            f"the body is not UTF-8 at byte {error.start}: send JSON in UTF-8"
        ) from None
    if text.startswith("\ufeff"):
        raise InvalidRequestError("the body starts with a byte order mark: send UTF-8 without one")
    return text


def _check_shape(text: str) -> None:
    """Bound depth and number of values before the parser builds anything; linear in `text`."""
    openers = text.count("{") + text.count("[")
    if openers <= MAX_DEPTH and text.count(",") <= MAX_VALUES - MAX_DEPTH:
        return  # the usual case, at the speed of memchr
    outside = _outside_strings(text)
    brackets = _NOT_BRACKETS.sub("", outside)
    if outside.count(",") + len(brackets) // 2 > MAX_VALUES:
        raise TooLargeError(f"the body holds more than {MAX_VALUES} values", limit=MAX_VALUES)
    if _depth(brackets) > MAX_DEPTH:
        raise _too_deep()


def is_too_deep(text: str) -> bool:
    """Whether a text, if it is JSON, is nested deeper than a parser should be asked to follow."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    return _depth(_NOT_BRACKETS.sub("", _outside_strings(text))) > MAX_DEPTH


def _outside_strings(text: str) -> str:
    """The text without its strings; exact as far as a parser gets."""
    return "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])


def _depth(brackets: str) -> int:
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _check_surrogates(text: str, document: dict[str, Any]) -> None:
    r"""Refuse half surrogate pairs, which only escapes (`\ud800`) can bring in."""
    if "\\ud" not in text and "\\uD" not in text:
        return
    try:
        json.dumps(document, ensure_ascii=False, check_circular=False).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidRequestError(
            "a string holds half of a surrogate pair (\\ud800 to \\udfff): escape whole characters"
        ) from None


def _object(names: Collection[str], pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        spelled = "".join(members)
        if spelled.isascii() and spelled == spelled.lower():
            return members  # casefold changes nothing, and no two are the same
    seen: set[str] = set()
    for key, _ in pairs:
        folded = key.casefold()
        if folded in seen:
            raise InvalidRequestError(
                f"{repr(folded) if folded in names else 'a key'} stands more than once in one "
                "object (upper and lower case count as equal): send each key once"
            )
        seen.add(folded)
    return members


def _integer(literal: str) -> int:
    _check_length(literal)
    return int(literal)


def _float(literal: str) -> float:
    _check_length(literal)
    value = float(literal)
    if isinf(value):
        raise InvalidRequestError("a number is larger than a 64-bit float can be (1.8e308)")
    return value


def _check_length(literal: str) -> None:
    if len(literal) > MAX_NUMBER_CHARS:
        raise InvalidRequestError(f"a number has more than {MAX_NUMBER_CHARS} characters")


def _constant(literal: str) -> Never:
    raise InvalidRequestError(f"{literal} is not JSON: use a number or null")


def _too_deep() -> InvalidRequestError:
    return InvalidRequestError(f"the body is nested deeper than {MAX_DEPTH} levels")
