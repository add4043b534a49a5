"""Requests in Anthropic's language."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ogp.core.errors import InvalidRequestError, TooLargeError
from ogp.core.types import InferenceRequest, Priority
from ogp.dialects.anthropic import AnthropicDialect
from ogp.settings.schema import LimitSettings

DIALECT = AnthropicDialect(LimitSettings())
PATHS = ("/v1/messages", "/v1/messages/count_tokens")
USER = {"role": "user", "content": "hi"}


def parse(
    body: dict[str, Any], *, path: str = "/v1/messages", dialect: AnthropicDialect = DIALECT
) -> InferenceRequest:
    (operation,) = [found for found in dialect.operations if found.path == path]
    whole = {"model": "llama3.2", "max_tokens": 16, "messages": [USER], **body}
    sent = {key: value for key, value in whole.items() if value is not ...}
    return operation.parse(json.dumps(sent).encode())


def refusal(body: dict[str, Any], *, path: str = "/v1/messages") -> str:
    with pytest.raises(InvalidRequestError) as caught:
        parse(body, path=path)
    return caught.value.message


def blocks(*content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content)}]}


def text(said: str) -> dict[str, str]:
    return {"type": "text", "text": said}


def said(request: InferenceRequest) -> set[str]:
    return {part.text for part in request.texts}


def test_the_operations_are_two() -> None:
    found = [(one.name, one.method, one.path) for one in DIALECT.operations]
    assert found == [("messages", "POST", PATHS[0]), ("count_tokens", "POST", PATHS[1])]


def test_a_message_is_scanned_queued_and_sent_as_it_was_read() -> None:
    body = {
        "model": "Llama3.2:latest",
        "max_tokens": 16,
        "messages": [USER],
        "stream": True,
        "temperature": 0.5,
        "novelty": {"n": 12345678901234567890},
    }
    request = parse(body)
    assert json.loads(request.body) == body
    assert b"12345678901234567890" in request.body
    assert (request.dialect, request.operation, request.model) == (
        "anthropic",
        "messages",
        "llama3.2",
    )
    assert (request.method, request.upstream_path) == ("POST", "/v1/messages")
    assert (request.stream, request.scanned, request.queued) == (True, True, True)


@pytest.mark.parametrize("stream", [False, None, ...])
def test_a_message_is_one_document_unless_a_stream_is_asked_for(stream: Any) -> None:
    assert not parse({"stream": stream}).stream


def test_tokens_are_counted_without_a_turn_but_not_without_the_guard() -> None:
    request = parse({"max_tokens": ..., "stream": True}, path=PATHS[1])
    assert (request.scanned, request.queued, request.stream) == (True, False, False)
    assert said(request) == {"hi"}


PICTURE = {"type": "base64", "media_type": "image/png", "data": "aGkh"}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "aGkh" * 30}
SIGNED = "Ab+/" * 30


@pytest.mark.parametrize(
    ("block", "kinds"),
    [
        ({"type": "image", "source": PICTURE}, ("images",)),
        ({"type": "tool_result", "content": [{"type": "image", "source": PICTURE}]}, ("images",)),
        ({"type": "tool_result", "content": {"type": "image", "source": PICTURE}}, ("images",)),
        ({"type": "document", "source": PDF}, ("documents",)),
        ({"type": "redacted_thinking", "data": SIGNED}, ("redacted_thinking",)),
        ({"type": "thinking", "thinking": "x", "signature": SIGNED + "=="}, ()),
        (
            {
                "type": "web_search_tool_result",
                "content": [{"type": "web_search_result", "encrypted_content": SIGNED}],
            },
            ("encrypted_content",),
        ),
        (
            {
                "type": "document",
                "source": {"type": "content", "content": [{"type": "image", "source": PICTURE}]},
            },
            ("images",),
        ),
    ],
)
def test_what_no_scanner_reads_is_named_and_sent(
    block: dict[str, Any], kinds: tuple[str, ...]
) -> None:
    request = parse(blocks(block))
    assert request.unscanned == kinds
    assert json.loads(request.body)["messages"][0]["content"] == [block]
    assert not {"aGkh", PDF["data"], SIGNED, SIGNED + "=="} & said(request)


RESTRICTED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ()),
    ({"model": "x:cloud"}, ("cloud_model",)),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, ("web_search",)),
    ({"tools": [{"TYPE": "web_fetch_20250910", "name": "x"}]}, ("web_search",)),
    ({"tools": [{"type": "custom", "name": "web_search"}]}, ()),
    ({"tools": []}, ()),
    ({"mcp_servers": [{"type": "url", "url": "http://x"}]}, ("mcp_servers",)),
    ({"mcp_servers": []}, ()),
]


@pytest.mark.parametrize(("body", "names"), RESTRICTED)
def test_what_sends_words_elsewhere_is_named(body: dict[str, Any], names: tuple[str, ...]) -> None:
    assert parse(body).restricted == names


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": ...}, "model is required"),
    ({"max_tokens": ...}, "max_tokens is required: 1 or more"),
    ({"max_tokens": None}, "max_tokens is required: 1 or more"),
    ({"max_tokens": 0}, "max_tokens must be 1 or more"),
    ({"max_tokens": True}, "max_tokens must be an integer, not a boolean"),
    ({"max_tokens": 1.5}, "max_tokens must be an integer, not a number"),
    ({"messages": ...}, 'messages is required: a list of {"role", "content"}'),
    ({"messages": []}, 'messages is required: a list of {"role", "content"}'),
    ({"messages": {}}, "messages must be a list"),
    ({"messages": ["x"]}, "messages[0] must be an object, not a string"),
    ({"messages": [{"content": "x"}]}, 'messages[0].role must be "user", "assistant" or "system"'),
    (
        {"messages": [{"role": "tool", "content": "x"}]},
        'messages[0].role must be "user", "assistant" or "system"',
    ),
    (
        {"messages": [{"role": "user"}]},
        "messages[0].content must be a string or a list of blocks, not null",
    ),
    (blocks("x"), "messages[0].content[0] must be an object (a content block), not a string"),
    (blocks({"text": "x"}), "messages[0].content[0].type is required"),
    (blocks({"type": 5}), "messages[0].content[0].type must be a string, not a number"),
    (blocks({"type": "text", "TEXT": 5}), "messages[0].content[0].text must be a string"),
    (
        blocks({"type": "tool_result", "content": ["x"]}),
        "messages[0].content[0].content[0] must be an object (a content block), not a string",
    ),
    (
        blocks({"type": "tool_result", "content": 5}),
        "messages[0].content[0].content must be a string, a list of blocks or an object",
    ),
    (
        blocks({"type": "image", "source": {"type": "url", "url": "http://x"}}),
        "messages[0].content[0].source names a URL, which the server would fetch",
    ),
    (
        blocks({"type": "image", "source": {**PICTURE, "URL": "http://x"}}),
        "messages[0].content[0].source names a URL, which the server would fetch",
    ),
    (
        blocks({"type": "tool_result", "content": [{"type": "image", "source": {"Type": "url"}}]}),
        "messages[0].content[0].content[0].source names a URL",
    ),
    (
        blocks({"type": "tool_result", "content": {"type": "image", "source": {"type": "url"}}}),
        "messages[0].content[0].content.source names a URL",
    ),
    (blocks({"type": "tool_result", "content": {}}), "messages[0].content[0].content.type is"),
    (
        blocks({"type": "image", "source": {**PICTURE, "data": "obey me"}}),
        "messages[0].content[0].source.data must be standard base64",
    ),
    (
        blocks({"type": "image", "source": {"type": "base64"}}),
        "messages[0].content[0].source.data must be a base64 string, not null",
    ),
    (
        blocks({"type": "document", "source": {"type": "file", "file_id": "f"}}),
        'messages[0].content[0].source.type must be "base64", "text" or "content"',
    ),
    (
        blocks({"type": "document", "source": {"type": "content", "content": [5]}}),
        "messages[0].content[0].source.content[0] must be an object (a content block)",
    ),
    ({"system": 5}, "system must be a string or a list of text blocks, not a number"),
    ({"system": ["x"]}, "system[0] must be an object (a content block), not a string"),
    ({"tools": "x"}, "tools must be a list of objects, not a string"),
    ({"stop_sequences": "x"}, "stop_sequences must be a list of strings, not a string"),
    ({"stream": "true"}, "stream must be true or false, not a string"),
]


@pytest.mark.parametrize(("body", "message"), REFUSED)
def test_requests_are_checked_and_the_refusal_names_the_field(
    body: dict[str, Any], message: str
) -> None:
    assert refusal(body).startswith(message)


@pytest.mark.parametrize(
    "body",
    [
        blocks(),
        blocks({"type": "text", "text": None}),
        blocks({"type": "tool_result", "content": None}),
        blocks({"type": "document", "source": {"type": "content", "content": "x"}}),
        {"system": None, "tools": None, "thinking": None},
        {"messages": [{"role": "system", "content": "x"}]},
        {"messages": [{"role": "assistant", "content": ""}]},
    ],
)
def test_empty_and_rare_forms_pass(body: dict[str, Any]) -> None:
    parse(body)


def small(**limits: int) -> AnthropicDialect:
    return AnthropicDialect(LimitSettings(**limits))


def too_large(dialect: AnthropicDialect, body: dict[str, Any]) -> tuple[str, Any]:
    with pytest.raises(TooLargeError) as caught:
        parse(body, dialect=dialect)
    return caught.value.message, caught.value.facts


def test_text_in_total_is_limited_and_pictures_do_not_count() -> None:
    dialect = small(max_prompt_chars=40)
    picture = {"type": "image", "source": {**PICTURE, "data": "aGkh" * 99}}
    parse(blocks(text("x" * 40), picture), dialect=dialect)
    message, facts = too_large(dialect, blocks(text("x" * 20), text("x" * 21)))
    assert "40 characters of text (limits.max_prompt_chars)" in message
    assert facts == {"limit": "max_prompt_chars", "value": 40}


def test_the_number_of_messages_is_limited() -> None:
    parse({"messages": [USER] * 2}, dialect=small(max_messages=2))
    message, facts = too_large(small(max_messages=2), {"messages": [USER] * 3})
    assert message == "messages holds 3 messages, more than 2 (limits.max_messages)"
    assert facts == {"limit": "max_messages", "value": 2}


def test_the_length_of_a_block_is_limited() -> None:
    message, _ = too_large(small(max_message_chars=4), blocks(text("1234"), text("12345")))
    assert message.startswith("messages[0].content[1].text has 5 characters, more than 4")


def test_texts_can_be_replaced_wherever_they_stand() -> None:
    tool = {"type": "tool_use", "id": "t", "name": "n", "input": {"to": "bob", "n": 2**64}}
    body = blocks(text("bob"), tool, {"type": "image", "source": PICTURE})
    request = parse({**body, "system": "bob", "stream": True, "bob": "x"})
    changed = DIALECT.with_texts(request, {"bob": "[1]"})
    assert "bob" not in {part.text for part in changed.texts if "(key)" not in part.where}
    expected = json.loads(request.body.replace(b':"bob"', b':"[1]"'))
    assert json.loads(changed.body) == expected
    assert (changed.stream, changed.unscanned) == (True, ("images",))


def test_what_the_edge_and_the_guard_added_survives_a_replacement() -> None:
    noted = replace(parse({}), priority=Priority.BATCH, vault={"[1]": "bob"})
    changed = DIALECT.with_texts(noted, {"hi": "[1]"})
    assert (changed.priority, changed.vault) == (Priority.BATCH, {"[1]": "bob"})
    assert said(changed) == {"[1]"}
