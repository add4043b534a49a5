"""Puts other texts where texts stand, in requests and answers, and leaves all else as it is."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

from ogp.dialects.answers import AnswerShape
from ogp.dialects.text import TextShape, without_surrogates

Texts = Sequence[tuple[str, str]]
"""(channel, text) pairs."""
Pairs = Iterator[tuple[tuple[str, str], tuple[str, str]]]
"""What stands at a place, and what shall stand there."""


class _Number(str):
    """A number as it was spelled: no digit of it may change."""

    __slots__ = ()


def replace_values(
    document: dict[str, Any], shape: TextShape, replacements: Mapping[str, str]
) -> dict[str, Any]:
    """A request in which values that are keys of `replacements` are replaced.

    Where `list_texts` lists no text (names, pictures, the roles) nothing is replaced.
    """
    changed: dict[str, Any] = _replaced("", document, shape, replacements)
    return changed


def _replaced(path: str, node: Any, shape: TextShape, replacements: Mapping[str, str]) -> Any:
    if isinstance(node, str):
        return node if node in shape.fixed.get(path, ()) else replacements.get(node, node)
    if isinstance(node, list):
        return [_replaced(f"{path}[]", item, shape, replacements) for item in node]
    if not isinstance(node, dict):
        return node
    members = {}
    for key, value in node.items():
        child = f"{path}{'.' if path else ''}{key if key in shape.names else '*'}"
        is_opaque = child in shape.opaque
        members[key] = value if is_opaque else _replaced(child, value, shape, replacements)
    return members


def rewrite_answer(
    raw: bytes, texts: Texts, changed: Texts, shape: AnswerShape, *, dropped: Collection[str] = ()
) -> bytes:
    """The bytes of an answer with other texts.

    Keys keep their order and numbers their spelling, unknown fields stay, and so does white space
    around the document.

    Args:
        raw: one JSON document, or several below each other.
        texts: what `read_texts` lists of it.
        changed: the same pairs with other texts; the line breaks between values are left out.
        shape: the one it was read by.
        dropped: paths of what tells of the old text, and goes.

    Raises:
        ValueError: it is no JSON, it holds other texts, or two keys of an object become one.
    """
    pairs = zip(texts, changed, strict=True)
    try:
        rewritten = b"".join(_documents(raw, pairs, shape, dropped))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if next(pairs, None) is not None:
        raise ValueError("it holds fewer texts")
    return rewritten


def _documents(
    raw: bytes, pairs: Pairs, shape: AnswerShape, dropped: Collection[str]
) -> Iterator[bytes]:
    try:
        document = _parsed(raw)
    except json.JSONDecodeError:
        if b"\n" not in raw.strip():
            raise
        for line in BytesIO(raw):
            yield line if line.isspace() else _rewritten(line, _parsed(line), pairs, shape, dropped)
    else:
        yield _rewritten(raw, document, pairs, shape, dropped)


def _parsed(raw: bytes) -> Any:
    """As leniently as answers are read."""
    return json.loads(
        raw.decode("utf-8", "replace"),
        strict=False,
        parse_int=_Number,
        parse_float=_Number,
        parse_constant=_Number,
    )


def _rewritten(
    raw: bytes, document: Any, pairs: Pairs, shape: AnswerShape, dropped: Collection[str]
) -> bytes:
    body = raw.strip(b" \t\r\n")
    start = raw.find(body)
    written = _spelled(_Rebuild(pairs, shape, dropped).node("", document)).encode("ascii")
    return raw[:start] + written + raw[start + len(body) :]


class _Rebuild:
    """Walks a document as `read_texts` does and takes the new texts in the same order."""

    def __init__(self, pairs: Pairs, shape: AnswerShape, dropped: Collection[str]) -> None:
        self._pairs, self._shape, self._dropped = pairs, shape, dropped

    def node(self, path: str, node: Any) -> Any:
        if isinstance(node, dict):
            return self._members(path, node)
        if isinstance(node, list):
            return [self.node(f"{path}[]", item) for item in node]
        if isinstance(node, str) and not isinstance(node, _Number):
            text = without_surrogates(node)
            return text if text in self._shape.fixed.get(path, ()) else self._text(path, text)
        return node

    def _members(self, path: str, node: dict[str, Any]) -> dict[str, Any]:
        dot = "." if path else ""
        members: dict[str, Any] = {}
        for old, value in node.items():
            key = without_surrogates(old)
            name = key if key.isidentifier() else "*"
            if key not in self._shape.names:
                key = self._text(f"{path}{dot}*", key)
            child = f"{path}{dot}{name}"
            kept = value if child in self._shape.metadata else self.node(child, value)
            if key in members:
                raise ValueError("two keys become one")
            if child not in self._dropped:
                members[key] = kept
        return members

    def _text(self, path: str, text: str) -> str:
        if not text:
            return text
        (_, old), (_, new) = self._next()
        if old != text:
            raise ValueError("it holds other texts")
        if path not in self._shape.streamed:
            self._next()  # the line break behind a value
        return new

    def _next(self) -> tuple[tuple[str, str], tuple[str, str]]:
        pair = next(self._pairs, None)
        if pair is None:
            raise ValueError("it holds more texts")
        return pair


def _spelled(node: Any) -> str:
    """JSON in ASCII: clients take some other characters for line breaks."""
    if isinstance(node, _Number):
        return str(node)
    if isinstance(node, dict):
        members = (f"{json.dumps(key)}:{_spelled(value)}" for key, value in node.items())
        return "{" + ",".join(members) + "}"
    if isinstance(node, list):
        return "[" + ",".join(map(_spelled, node)) + "]"
    return json.dumps(node)
