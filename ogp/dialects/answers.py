"""Reads the text out of an answer, one JSON document at a time."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import orjson

from ogp.core.types import Usage
from ogp.dialects.text import without_surrogates

RAW = "raw"
"""Channel of bytes that are no JSON: the client may show them as they are."""

Texts = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class AnswerShape:
    """Where a dialect's answers hold what. Paths have no list indices: `logprobs[].token`."""

    names: frozenset[str]
    """Keys of the dialect's own vocabulary; others may come from the model and are text."""
    metadata: frozenset[str]
    """Paths that hold no text of the model."""
    streamed: frozenset[str]
    """Paths whose texts continue from event to event; others are whole values."""
    fixed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Path -> words that are no text there, e.g. the names of roles."""
    numbered: Mapping[str, str] = field(default_factory=dict)
    """Path of a list -> key of its items that tells which of several texts an item continues.

    The number stands in the channel: `choices[1].delta.content`, wherever the item stands.
    """


def read_texts(raw: bytes, shape: AnswerShape) -> tuple[Texts, Any]:
    """List the (channel, text) pairs of one document, and the document.

    Whole values are followed by a line break in their channel, so that neighbours (two tool calls,
    two entries of a list) do not look like one word. What is no JSON is text as it stands, in the
    channel `raw`, and the document is None.
    """
    texts: Texts = []
    try:
        document = decode_answer(raw)
        _collect("", "", document, shape, texts)
    except (ValueError, RecursionError):
        if b"\n" in raw.strip():  # a stream where a document was asked for
            lines = (line for line in BytesIO(raw) if not line.isspace())
            return [text for line in lines for text in read_texts(line, shape)[0]], None
        return [(RAW, raw.decode("utf-8", "replace"))], None
    return texts, document


def decode_answer(raw: bytes) -> Any:
    """Decode as leniently as any client: bad UTF-8, NaN and lone surrogates are read.

    Raises:
        ValueError: no parser reads it.
        RecursionError: it is nested thousands of levels deep.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        text = raw.decode("utf-8", "replace")
        document = json.loads(text, strict=False, parse_int=float)  # float: any number of digits
        return json.loads(without_surrogates(json.dumps(document, ensure_ascii=False)))


def usage_in(document: Any) -> Usage | None:
    """Token counts in Ollama's words, from the last event of a stream or from a document."""
    if not isinstance(document, dict) or document.get("done", True) is not True:
        return None
    return counted(document, "prompt_eval_count", "eval_count")


def counted(counts: Any, prompt: str, completion: str) -> Usage | None:
    """Token counts in any dialect's words; None where there is none.

    Args:
        counts: the object that holds them, or whatever stands in its place.
        prompt: key of the prompt's count.
        completion: key of the answer's.
    """
    if not isinstance(counts, dict):
        return None
    usage = Usage(_count(counts, prompt), _count(counts, completion))
    return usage if usage != Usage() else None


_LARGEST_COUNT = 2**53
"""More is nonsense, and would not fit the column it is recorded in."""


def _count(document: dict[str, Any], key: str) -> int | None:
    value = document.get(key)
    return value if type(value) is int and 0 <= value < _LARGEST_COUNT else None


def _collect(path: str, channel: str, node: Any, shape: AnswerShape, texts: Texts) -> None:
    """Append the texts below a node; deeper than the interpreter goes is a RecursionError."""
    if isinstance(node, dict):
        dot = "." if path else ""
        for key, value in node.items():
            if key not in shape.names:
                _add(f"{path}{dot}*", f"{channel}{dot}*", key, shape, texts)
            if not isinstance(value, str | dict | list):
                continue
            # A key with dots could otherwise pretend to be a path that holds no text.
            name = key if key.isidentifier() else "*"
            child = f"{path}{dot}{name}"
            if child not in shape.metadata:
                _collect(child, f"{channel}{dot}{name}", value, shape, texts)
    elif isinstance(node, list):
        number = shape.numbered.get(path)
        for place, item in enumerate(node):
            mark = "" if number is None else _number(item, number, place)
            _collect(f"{path}[]", f"{channel}[{mark}]", item, shape, texts)
    elif isinstance(node, str) and node not in shape.fixed.get(path, ()):
        _add(path, channel, node, shape, texts)


def _number(item: Any, key: str, place: int) -> int:
    number = item.get(key) if isinstance(item, dict) else None
    return number if type(number) is int else place


def _add(path: str, channel: str, text: str, shape: AnswerShape, texts: Texts) -> None:
    if text:
        channel = channel or RAW
        texts.append((channel, text))
        if path not in shape.streamed:
            texts.append((channel, "\n"))
