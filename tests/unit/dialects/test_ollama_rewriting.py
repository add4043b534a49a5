"""Requests and answers of Ollama with other texts in them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ogp.core.errors import TooLargeError
from ogp.core.types import AnswerEvent, InferenceRequest, Priority, Usage
from ogp.dialects.ollama import OllamaDialect
from ogp.settings.schema import LimitSettings

DIALECT = OllamaDialect(LimitSettings())


def parse(path: str, document: dict[str, Any]) -> InferenceRequest:
    operation = next(each for each in DIALECT.operations if each.path == path)
    return operation.parse(json.dumps(document).encode())


def read(raw: bytes, *, stream: bool = True) -> AnswerEvent:
    request = InferenceRequest("ollama", "chat", "POST", "/api/chat", stream=stream)
    (event,) = DIALECT.events(request, iter([raw]), texts=True)
    return event


REQUESTS = {
    "/api/generate": {"prompt": "old", "system": "old", "images": ["aGk="], "stream": False},
    "/v1/generate": {"prompt": "old"},
    "/api/chat": {
        "messages": [{"role": "tool", "content": "old", "tool_name": "old"}],
        "tools": [{"type": "function", "function": {"name": "f", "description": "old"}}],
    },
    "/api/embed": {"input": ["old", "other"]},
    "/api/embeddings": {"prompt": "old"},
}


@pytest.mark.parametrize("path", REQUESTS)
def test_a_request_with_other_texts_is_one_that_was_asked_with_them(path: str) -> None:
    document = {"model": "old", "options": {"seed": 12345678901234567890}, **REQUESTS[path]}
    asked = json.loads(json.dumps(document).replace('"old"', '"new"')) | {"model": "old"}
    request = parse(path, document)
    assert DIALECT.with_texts(request, {"old": "new"}) == parse(path, asked)


def test_what_did_not_come_in_the_body_is_kept() -> None:
    request = parse("/api/generate", {"model": "m", "prompt": "old"})
    request = replace(request, priority=Priority.BATCH, vault={"[A_1]": "a"})
    changed = DIALECT.with_texts(request, {"old": "new"})
    assert (changed.priority, changed.vault) == (Priority.BATCH, {"[A_1]": "a"})


def test_limits_hold_for_other_texts() -> None:
    dialect = OllamaDialect(LimitSettings(max_message_chars=10))
    request = parse("/api/chat", {"model": "m", "messages": [{"role": "user", "content": "old"}]})
    with pytest.raises(TooLargeError):
        dialect.with_texts(request, {"old": "x" * 11})


def test_an_answer_with_other_texts_keeps_everything_else() -> None:
    raw = b'{"model":"m","x":12345678901234567890,"message":{"content":"old"},"done":false}\n'
    event = read(raw)
    texts = [(name, "n\xe9w" if text == "old" else text) for name, text in event.texts]
    changed = DIALECT.with_answer_texts(event, texts)
    assert changed.raw == raw.replace(b'"old"', b'"n\\u00e9w"')
    assert changed.texts == tuple(texts)


def test_usage_is_kept() -> None:
    event = replace(read(b'{"response":"old","done":true}'), usage=Usage(1, 2))
    assert DIALECT.with_answer_texts(event, [("response", "new")]).usage == Usage(1, 2)


def test_a_text_that_became_empty_is_no_text() -> None:
    changed = DIALECT.with_answer_texts(read(b'{"response":"old"}\n'), [("response", "")])
    assert (changed.raw, changed.texts) == (b'{"response":""}\n', ())


def test_probabilities_go_but_what_else_has_their_name_stays() -> None:
    raw = (
        b'{"message":{"tool_calls":[{"function":{"arguments":{"logprobs":"old"}}}]},'
        b'"logprobs":[{"token":"old","logprob":-1.5}]}\n'
    )
    event = read(raw)
    texts = [(name, "new" if text == "old" else text) for name, text in event.texts]
    changed = DIALECT.with_answer_texts(event, texts)
    assert json.loads(changed.raw) == {
        "message": {"tool_calls": [{"function": {"arguments": {"logprobs": "new"}}}]}
    }


@pytest.mark.parametrize("raw", [b"no json\n", b'{"unfinished":"old', b"old"])
def test_what_is_no_json_cannot_be_changed(raw: bytes) -> None:
    event = read(raw)
    with pytest.raises(ValueError):  # noqa: PT011 - JSON has its own subclass
        DIALECT.with_answer_texts(event, [("raw", "new")])
