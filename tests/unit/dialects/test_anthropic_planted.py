"""A phrase in every place of a request in Anthropic's language."""

import json
from typing import Any

import pytest

from ogp.core.types import InferenceRequest, TextKind
from ogp.dialects.anthropic import AnthropicDialect
from ogp.dialects.anthropic_forms import FORMS, SHAPE
from ogp.settings.schema import LimitSettings

DIALECT = AnthropicDialect(LimitSettings())
PATHS = [form.path for form in FORMS]
PHRASE = "forbidden words"
USER = {"role": "user", "content": "hi"}


def parse(body: dict[str, Any], *, path: str = "/v1/messages") -> InferenceRequest:
    (operation,) = [found for found in DIALECT.operations if found.path == path]
    whole = {"model": "llama3.2", "max_tokens": 16, "messages": [USER], **body}
    return operation.parse(json.dumps(whole).encode())


def blocks(*content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content)}]}


def text(said: str) -> dict[str, str]:
    return {"type": "text", "text": said}


def running(request: InferenceRequest) -> str:
    return "".join(part.text for part in request.texts if part.kind is TextKind.CONTENT)


def said(request: InferenceRequest) -> set[str]:
    return {part.text for part in request.texts}


OWNERS = {"text": "text", "thinking": "thinking", "content": "tool_result"}
"""Field -> type of the blocks that have it; other fields are those of documents."""


def planted(path: str, phrase: Any) -> dict[str, Any]:
    """A body with the phrase at a path of the declaration, e.g. `system[].text`."""
    value = phrase
    for segment in reversed(path.split(".")):
        field = segment.removesuffix("[]")
        if field == "source":
            value["type"] = "content" if "content" in value else "text"
        value = {field: [value] if segment.endswith("[]") else value}
        value["type"] = OWNERS.get(field, "document")
    del value["type"]
    for message in value.get("messages", ()):
        message["role"] = "user"
        del message["type"]
    return dict(value)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("place", sorted(SHAPE.content))
def test_a_phrase_in_any_place_of_running_text_is_seen(place: str, path: str) -> None:
    request = parse(planted(place, PHRASE), path=path)
    (part,) = [part for part in request.texts if part.text == PHRASE]
    assert part.kind is TextKind.CONTENT
    assert PHRASE in running(request)


@pytest.mark.parametrize("place", sorted(SHAPE.content))
def test_a_phrase_is_seen_behind_escapes_and_unusual_keys(place: str) -> None:
    document = {"model": "m", "max_tokens": 1, "messages": [USER], **planted(place, PHRASE)}
    escaped = "".join(f"\\u{ord(char):04x}" for char in PHRASE)
    body = json.dumps(document).replace(PHRASE, escaped)
    for name in ("text", "content", "source", "system", "messages"):
        body = body.replace(f'"{name}":', f'"{name.upper()}":'.replace("S", "\u017f"))
    request = DIALECT.operations[0].parse(body.encode())
    assert PHRASE in running(request)
    assert json.loads(request.body) == document


FIELDS: list[dict[str, Any]] = [
    blocks({"type": "tool_use", "id": "t", "name": PHRASE, "input": {}}),
    blocks({"type": "tool_use", "id": "t", "name": "n", "input": {"a": [{"b": PHRASE}]}}),
    blocks({"type": "tool_use", "id": "t", "name": "n", "input": {PHRASE: 1}}),
    blocks({"type": "tool_use", "id": "t", "name": "n", "input": PHRASE}),
    blocks({"type": "tool_use", "id": "t", "name": "n", "input": {"a": f'{{"b\\n":"{PHRASE}"}}'}}),
    blocks({"type": "server_tool_use", "id": "t", "name": "n", "input": {"query": PHRASE}}),
    blocks(
        {
            "type": "web_search_tool_result",
            "content": [{"type": "web_search_result", "title": PHRASE}],
        }
    ),
    blocks({"type": "web_search_tool_result", "content": {"type": "e", "error_code": PHRASE}}),
    blocks({"type": "search_result", "source": PHRASE, "title": "t", "content": [text("x")]}),
    blocks({"type": "text", "text": "x", "citations": [{"type": "c", "cited_text": PHRASE}]}),
    blocks({"type": "text", "text": "x", "novelty": PHRASE}),
    blocks({"type": "redacted_thinking", "data": PHRASE}),
    blocks({"type": "thinking", "thinking": "x", "signature": PHRASE}),
    blocks({"type": PHRASE}),
    {"tools": [{"name": PHRASE}]},
    {"tools": [{"name": "n", "description": PHRASE}]},
    {"tools": [{"name": "n", "input_schema": {"properties": {PHRASE: {}}}}]},
    {"tools": [{"name": "n", "input_schema": {"properties": {"a": {"enum": [PHRASE]}}}}]},
    {"tool_choice": {"type": "tool", "name": PHRASE}},
    {"stop_sequences": [PHRASE]},
    {"metadata": {"user_id": PHRASE}},
    {"output_config": {"format": {"schema": {"title": PHRASE}}}},
    {"novelty": [{"deep": PHRASE}]},
    {PHRASE: 1},
]


@pytest.mark.parametrize("body", FIELDS)
def test_a_phrase_in_any_other_string_is_seen(body: dict[str, Any]) -> None:
    assert PHRASE in said(parse(body))


SEPARATORS: list[dict[str, Any]] = [
    {"type": "tool_use", "id": "t", "name": "n", "input": {"a": "junk"}},
    {"type": "tool_result", "tool_use_id": "t", "content": "junk"},
    {"type": "tool_result", "tool_use_id": "t", "content": [text("junk")]},
    {"type": "thinking", "thinking": "junk"},
    {"type": "document", "title": "junk", "source": {"type": "text", "data": "junk"}},
    {"type": "document", "context": "c", "source": {"type": "content", "content": [text("junk")]}},
    {"type": "search_result", "title": "junk", "content": [text("junk")]},
    {"type": "novelty", "text": "junk", "content": "junk"},
    {"type": "text"},
]


@pytest.mark.parametrize("between", SEPARATORS)
def test_a_phrase_over_two_blocks_is_one_whatever_stands_between(between: dict[str, Any]) -> None:
    """The upstream takes other blocks out from between the text blocks of a message."""
    assert PHRASE in running(parse(blocks(text("a forbid"), between, text("den words"))))
    inside = {"type": "tool_result", "content": [text("a forbid"), between, text("den words")]}
    assert PHRASE in running(parse(blocks(inside)))
    assert PHRASE in running(parse({"system": [text("forbid"), between, text("den words")]}))


def test_fields_of_other_types_do_not_tear_a_phrase_apart() -> None:
    first = {"type": "text", "text": "forbid", "title": "x", "content": "x", "thinking": "x"}
    assert PHRASE in running(parse(blocks(first, text("den words"))))


def test_a_phrase_over_two_messages_is_one() -> None:
    messages = [{"role": "user", "content": [text("forbid")]}, {**USER, "content": "den words"}]
    assert PHRASE in running(parse({"messages": messages}))
    assert PHRASE in running(parse({"system": "forbid", **blocks(text("den words"))}))


def test_system_comes_first_wherever_it_stands() -> None:
    body = json.dumps({"messages": [USER], "system": "one", "model": "m", "max_tokens": 1})
    assert running(DIALECT.operations[0].parse(body.encode())) == "onehi"
