"""Lists every decoded string of a request, so that the guard sees all that a model could."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ogp.core.errors import InvalidRequestError, TooLargeError
from ogp.core.types import TextKind, TextPart
from ogp.dialects.strict import MAX_DEPTH, is_too_deep

NESTED_LEVELS = 3
"""How often a string inside a string is decoded; upstreams decode tool arguments once."""
MAX_TEXTS = 10_000
"""Most texts of one request: each costs a scan, and three bytes of body can make one."""


@dataclass(frozen=True, slots=True)
class TextShape:
    """Where a dialect's documents hold what.

    Paths are those of `TextPart.where` with list indices removed, e.g. `messages[].content`. Keys
    that are not in `names` appear in paths as `*`: they are the client's text.
    """

    names: frozenset[str]
    """Keys of the dialect's own vocabulary, which are not listed."""
    content: frozenset[str]
    """Paths of running prompt text."""
    opaque: frozenset[str] = frozenset()
    """Paths that hold no text and were checked by other means (images, the model's name)."""
    fixed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Path -> words that need no scan there, e.g. the four roles."""
    order: tuple[str, ...] = ()
    """Keys in the order in which the model reads them, wherever they stand in the document.

    Joined texts follow it: a phrase begun in `system` and ended in `prompt` is one phrase.
    """


def list_texts(
    document: dict[str, Any], shape: TextShape, *, max_chars: int
) -> tuple[TextPart, ...]:
    """List keys and values, and the strings of JSON documents that stand inside strings.

    Args:
        document: a document from the strict parse.
        shape: where it holds what.
        max_chars: most characters in all; what is decoded a second time counts once.

    Raises:
        TooLargeError: there is more text, or it is in more than `MAX_TEXTS` pieces.
        InvalidRequestError: JSON inside a string is nested too deeply to be decoded.
    """
    parts: list[TextPart] = []
    chars = 0
    for part in _walk(document, shape):
        chars += len(part.text)
        if chars > max_chars:
            raise TooLargeError(
                f"the request holds more than {max_chars} characters of text "
                "(limits.max_prompt_chars)",
                limit="max_prompt_chars",
                value=max_chars,
            )
        parts.append(part)
        if "\\" in part.text:  # without an escape the string itself shows all that is in it
            parts.extend(_nested_texts(part))
        if len(parts) > MAX_TEXTS:
            raise TooLargeError(
                f"the request holds more than {MAX_TEXTS} separate strings", limit=MAX_TEXTS
            )
    return tuple(parts)


def without_surrogates(text: str) -> str:
    """Lone surrogates become U+FFFD, as Go and JavaScript print them; pairs become characters."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


Node = tuple[str, str, Any]
"""Where it stands, its path without indices, the value."""


def _walk(document: dict[str, Any], shape: TextShape) -> Iterator[TextPart]:
    """Every string, in the model's reading order; memory grows with depth, not with size."""
    pending = [_members("", "", document, shape)]
    while pending:
        for where, path, value in pending[-1]:
            if isinstance(value, str):
                if value and value not in shape.fixed.get(path, ()):
                    kind = TextKind.CONTENT if path in shape.content else TextKind.FIELD
                    yield TextPart(where, value, kind)
                continue
            if isinstance(value, dict):
                pending.append(_members(where, path, value, shape))
            else:
                pending.append(_items(where, path, value))
            break
        else:
            pending.pop()


def _members(where: str, path: str, members: dict[str, Any], shape: TextShape) -> Iterator[Node]:
    dot = "." if where else ""
    for key in _reading_order(members, shape.order):
        value = members[key]
        if key in shape.names:
            name = key
        else:
            name = "*"
            yield f"{where}{dot}* (key)", "", key
        child_path = f"{path}{dot}{name}"
        if isinstance(value, str | dict | list) and child_path not in shape.opaque:
            yield f"{where}{dot}{name}", child_path, value


def _items(where: str, path: str, items: list[Any]) -> Iterator[Node]:
    for index, value in enumerate(items):
        if isinstance(value, str | dict | list):
            yield f"{where}[{index}]", f"{path}[]", value


def _reading_order(members: dict[str, Any], order: tuple[str, ...]) -> Iterable[str]:
    ranked = [key for key in order if key in members]
    if len(ranked) < 2:
        return members
    return dict.fromkeys((*ranked, *members))


def _nested_texts(part: TextPart) -> Iterator[TextPart]:
    """Strings of the JSON document that a string holds, as an upstream may decode it again."""
    found = [part.text]
    for _ in range(NESTED_LEVELS):
        found = [inner for text in found for inner in _decoded_strings(text, part.where)]
        for text in found:
            yield TextPart(f"{part.where} (nested)", text)


def _decoded_strings(text: str, where: str) -> list[str]:
    stripped = text.lstrip(" \t\r\n")
    if not stripped.startswith(("{", "[", '"')) or "\\" not in stripped:
        return []
    if is_too_deep(stripped):
        raise InvalidRequestError(
            f"{where} holds JSON that is nested deeper than {MAX_DEPTH} levels: it cannot be "
            "scanned"
        )
    try:
        tree = json.loads(
            stripped,
            object_pairs_hook=list,  # keeps every duplicate
            parse_int=_nothing,
            parse_float=_nothing,
            parse_constant=_nothing,
            strict=False,
        )
    except json.JSONDecodeError:
        return []  # text that only looks like JSON; nobody can decode it
    return [without_surrogates(string) for string in _strings(tree) if string]


def _strings(tree: Any) -> Iterator[str]:
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, list | tuple):
            pending.extend(reversed(node))


def _nothing(_literal: str) -> None:
    """Numbers inside nested JSON are no text, and their length must not matter."""
