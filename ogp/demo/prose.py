"""Deterministic answers: the same prompt gives the same text, tokens, vectors and tool calls."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

_QUOTED_WORDS = 60
_CLOSING = (
    "This is the demo model: it runs no neural network and quotes what it was told, "
    "so that you can see which prompt reached it."
)
_TOKEN = re.compile(r"\s*\S+|\s+$")
DIMENSIONS = 32


def tokens_of(text: str) -> list[str]:
    """Cut a text into words with the whitespace before them; joined they are the text again."""
    return _TOKEN.findall(text)


def count_tokens(text: str) -> int:
    """How many tokens a prompt counts as; at least one."""
    return max(1, len(text.split()))


def answer_text(prompt: str, *, images: int = 0) -> str:
    """Quote the prompt's first words."""
    words = prompt.split()
    quoted = " ".join(words[:_QUOTED_WORDS]) + (" ..." if len(words) > _QUOTED_WORDS else "")
    seen = f" I see {images} image{'s' if images > 1 else ''}." if images else ""
    return f"You said: {quoted}{seen} {_CLOSING}"


def thinking_text(prompt: str) -> str:
    """What the model thinks before it answers."""
    return f"The user wrote {count_tokens(prompt)} words. I shall quote them."


def exactly(tokens: Sequence[str], count: int) -> list[str]:
    """Repeat or cut a list of tokens to a length."""
    return list(itertools.islice(itertools.cycle(tokens), count))


def example(schema: Any, text: str) -> Any:
    """A value that fits the common part of a JSON schema; free strings become `text`."""
    if not isinstance(schema, Mapping):
        return text
    if choices := schema.get("enum") or ([schema["const"]] if "const" in schema else None):
        return choices[0]
    for several in ("anyOf", "oneOf", "allOf"):
        if schema.get(several):
            return example(schema[several][0], text)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties") or {}
        return {name: example(part, text) for name, part in properties.items()}
    if kind == "array":
        return [example(schema.get("items"), text)]
    simple: dict[Any, Any] = {"integer": 42, "number": 0.5, "boolean": True, "null": None}
    return simple.get(kind, text)


def chosen_tool(tools: Sequence[Any], prompt: str) -> dict[str, Any] | None:
    """The call to the first tool whose name shares a word of four letters with the prompt.

    The word `tool` in the prompt asks for the first one.
    """
    words = set(re.findall(r"[a-z]{4,}", prompt.lower()))
    for tool in tools:
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping):
            continue
        name = str(function.get("name", ""))
        if words & {"tool", "tools", *re.findall(r"[a-z]{4,}", name.lower())}:
            arguments = example(function.get("parameters") or {"type": "object"}, "demo")
            return {"name": name, "arguments": arguments if isinstance(arguments, dict) else {}}
    return None


def vector(text: str, dimensions: int | None = None) -> list[float]:
    """A unit vector that depends on nothing but the text."""
    size = dimensions or DIMENSIONS
    blocks = (sha256(f"{index}:{text}".encode()).digest() for index in range(size // 32 + 1))
    numbers = [byte - 127.5 for byte in itertools.chain.from_iterable(blocks)][:size]
    length = math.sqrt(sum(number * number for number in numbers))
    return [round(number / length, 8) for number in numbers]
