"""Requests with a phrase in each place that the coverage table declares, and in every other."""

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from ogp.dialects.coverage import DIALECTS
from ogp.dialects.forms import Body, Caller, Form

Path = tuple[str | int, ...]
"""Keys and indices from the top of a document to a place in it."""

PICTURE = "data:image/png;base64,aGk="
PARAMETERS = {
    "type": "object",
    "properties": {
        "zone": {"type": "string", "description": "where", "enum": ["north", "south"]},
        "area": {"type": "integer", "default": 12345678901234567890},
    },
    "required": ["zone"],
}
TOOL = {
    "type": "function",
    "function": {"name": "look", "description": "looks", "parameters": PARAMETERS},
}


def model_forms() -> list[tuple[str, Form]]:
    """(dialect, route) of all that takes text for a model."""
    return [
        (kind.name, form)
        for kind in DIALECTS
        for form in kind.forms
        if form.reaches_model and form.caller is Caller.USER and form.body is Body.JSON
    ]


def minimal(form: Form, model: str = "demo") -> dict[str, Any]:
    """The smallest sensible request of a route."""
    if "messages" in form.checks:
        messages = [{"role": "user", "content": "hi"}]
        return {"model": model, "messages": messages, "max_tokens": 9}
    return {"model": model, "input" if "input" in form.checks else "prompt": "hi"}


def planted(dialect: str, form: Form, place: str, values: Sequence[str]) -> dict[str, Any]:
    """A request with text at a declared place.

    Args:
        dialect: tells what stands around the place.
        form: the route.
        place: as the coverage table names it, e.g. `messages[].content[].text`.
        values: one text, or the halves of one, which become neighbours in the innermost list.
    """
    segments = place.split(".")
    lists = [number for number, segment in enumerate(segments) if segment.endswith("[]")]
    innermost = lists[-1] if lists else -1
    return planted_at(dialect, form, place, values, innermost)


def planted_at(
    dialect: str, form: Form, place: str, values: Sequence[str], level: int
) -> dict[str, Any]:
    """The same, where the values become neighbours in the list at segment number `level`."""
    segments = place.split(".")
    grown: list[Any] = list(values)
    for number in reversed(range(len(segments))):
        field = segments[number].removesuffix("[]")
        is_list = segments[number].endswith("[]")
        if is_list and number == level:
            grown = [grown]
        elif is_list:
            grown = [[value] for value in grown]
        above = segments[number - 1] if number else ""
        grown = [_owner(dialect, above, field, value) for value in grown]
    (document,) = grown
    return {**minimal(form), **document}


def list_levels(place: str) -> list[int]:
    """Numbers of the segments of a place that are lists."""
    return [n for n, segment in enumerate(place.split(".")) if segment.endswith("[]")]


_ANTHROPIC_OWNERS = {"text": "text", "thinking": "thinking", "content": "tool_result"}
_RESPONSES_PARTS = {"text": "input_text", "refusal": "refusal"}
_RESPONSES_ITEMS: dict[str, dict[str, Any]] = {
    "content": {"type": "message", "role": "user"},
    "output": {"type": "function_call_output", "call_id": "c"},
    "input": {"type": "custom_tool_call", "call_id": "c", "name": "n"},
    "encrypted_content": {"type": "reasoning", "summary": []},
    "summary": {"type": "reasoning"},
}


def _owner(dialect: str, above: str, field: str, value: Any) -> dict[str, Any]:
    """The object that has a field, with what such an object must have besides."""
    if not above:
        return {field: value}
    if above == "messages[]":
        return {"role": "user", field: value}
    if above == "input[]":
        return {**_RESPONSES_ITEMS[field], field: value}
    if above == "summary[]":
        return {"type": "summary_text", field: value}
    if dialect == "openai_responses":
        return {"type": _RESPONSES_PARTS[field], field: value}
    if dialect == "openai":
        return {"type": "content" if above == "prediction" else field, field: value}
    if above == "source":
        return {"type": "text" if field == "data" else "content", field: value}
    return {"type": _ANTHROPIC_OWNERS.get(field, "document"), field: value}


def leaves(node: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Where strings stand in a document, in its order."""
    if isinstance(node, str):
        yield path, node
    for key, value in _members(node):
        yield from leaves(value, (*path, key))


def objects(node: Any, path: Path = ()) -> Iterator[Path]:
    """Where objects stand in a document."""
    if isinstance(node, dict):
        yield path
    for key, value in _members(node):
        yield from objects(value, (*path, key))


def replaced(document: Any, path: Path, value: Any) -> Any:
    """A copy with another value at a path."""
    copy = deepcopy(document)
    if not path:
        return value
    node = copy
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return copy


def at(document: Any, path: Path) -> Any:
    """What stands at a path."""
    for key in path:
        document = document[key]
    return document


def named(path: Path) -> str:
    """The path as the coverage table spells it."""
    words = ["[]" if isinstance(key, int) else f".{key}" for key in path]
    return "".join(words).removeprefix(".")


def escaped(phrase: str) -> str:
    """The phrase as JSON escapes, without quotation marks."""
    return "".join(f"\\u{ord(letter):04x}" for letter in phrase)


def nested(phrase: str) -> str:
    """JSON for a string, in which the phrase can be read only when that is decoded again."""
    return f'{{"in": [{{"here": "a {escaped(phrase)}"}}]}}'


def encoded(document: Any, phrase: str) -> bytes:
    """A request body in which every letter of the phrase is escaped."""
    return json.dumps(document).replace(phrase, escaped(phrase)).encode()


def _members(node: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(node, dict):
        yield from node.items()
    elif isinstance(node, list):
        yield from enumerate(node)
