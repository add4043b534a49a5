"""The rows of docs/wire.md that concern what is sent upstream and what is scanned."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogp.core.errors import InvalidRequestError
from ogp.core.types import InferenceRequest, TextKind
from ogp.dialects.forms import Body, Caller
from ogp.dialects.ollama import OllamaDialect
from ogp.settings.schema import LimitSettings

PARSERS = {
    operation.path: operation.parse
    for operation in OllamaDialect(LimitSettings()).operations
    if operation.form.body is Body.JSON and operation.form.caller is Caller.USER
}


def parse(path: str, body: Any) -> InferenceRequest:
    raw = body if isinstance(body, bytes) else json.dumps({"model": "m", **body}).encode()
    return PARSERS[path](raw)


def sent(request: InferenceRequest) -> Any:
    return json.loads(request.body)


def contents(request: InferenceRequest) -> list[str]:
    return [part.text for part in request.texts if part.kind is TextKind.CONTENT]


def fields(request: InferenceRequest) -> list[str]:
    return [part.text for part in request.texts if part.kind is TextKind.FIELD]


def test_exactly_one_canonical_key_goes_upstream() -> None:
    request = parse("/api/generate", b'{"MODEL":"m","PROMPT":"hi","\\u017fystem":"s","Foo":1}')
    assert sent(request) == {"model": "m", "prompt": "hi", "system": "s", "Foo": 1}
    assert contents(request) == ["s", "hi"]


def test_keys_of_messages_are_canonical_too() -> None:
    body = '{"model":"m","me\u017f\u017fages":[{"Role":"user","CONTENT":"hi"}]}'.encode()
    request = parse("/api/chat", body)
    assert sent(request)["messages"] == [{"role": "user", "content": "hi"}]
    assert contents(request) == ["hi"]


def test_keys_of_options_stay_as_they_are() -> None:
    options = {"Temperature": 1, "MODEL": "x"}
    assert sent(parse("/api/generate", {"options": options}))["options"] == options


@pytest.mark.parametrize("path", PARSERS)
@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","prompt":"fine","PROMPT":"bad"}',
        b'{"model":"m","prompt":"fine","prompt":"bad"}',
        b'{"model":"m","MODEL":"n"}',
        b'{"model":"m"}{"prompt":"bad"}',
        b'{"model":"m","prompt":"\xff"}',
        b'\xef\xbb\xbf{"model":"m"}',
        b'[{"model":"m"}]',
        b"null",
    ],
)
def test_no_operation_accepts_what_parsers_read_differently(path: str, body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        parse(path, body)


def test_unknown_fields_are_kept_and_scanned() -> None:
    request = parse("/api/chat", {"future": {"deep": ["text"]}, "x": 2**64})
    assert sent(request) == {"model": "m", "future": {"deep": ["text"]}, "x": 2**64}
    assert fields(request) == ["future", "deep", "text", "x"]


def test_tool_arguments_as_json_in_a_string_are_decoded_and_scanned() -> None:
    call = {"function": {"name": "f", "arguments": '{"city": "\\u0062omb"}'}}
    messages = [{"role": "assistant", "tool_calls": [call]}]
    assert "bomb" in fields(parse("/api/chat", {"messages": messages}))


def test_tool_properties_keep_their_order() -> None:
    properties = {name: {"type": "string"} for name in ("zip", "City", "area", "Box")}
    tools = [{"type": "function", "function": {"parameters": {"properties": properties}}}]
    request = parse("/api/chat", {"tools": tools})
    assert list(sent(request)["tools"][0]["function"]["parameters"]["properties"]) == [
        "zip",
        "City",
        "area",
        "Box",
    ]


def test_what_is_sent_is_ascii() -> None:
    request = parse("/api/generate", '{"model":"m","prompt":"\u2028\u00e4\U0001f600"}'.encode())
    assert b'"prompt":"\\u2028\\u00e4\\ud83d\\ude00"' in request.body


Plant = Callable[[str], dict[str, Any]]
MESSAGE: dict[str, Any] = {"role": "user", "content": "fine"}
PLACES: dict[str, Plant] = {
    "key": lambda text: {text: 1},
    "unknown": lambda text: {"later": [{"a": {"b": text}}]},
    "option": lambda text: {"options": {"stop": ["x", text]}},
    "format": lambda text: {"format": {"description": text}},
    "keep_alive": lambda text: {"keep_alive": text},
    "content": lambda text: {"messages": [MESSAGE, {**MESSAGE, "content": text}]},
    "role": lambda text: {"messages": [{"role": text}]},
    "thinking": lambda text: {"messages": [{**MESSAGE, "thinking": text}]},
    "message key": lambda text: {"messages": [{**MESSAGE, text: 1}]},
    "tool name": lambda text: {"messages": [{**MESSAGE, "tool_name": text}]},
    "argument": lambda text: {
        "messages": [{**MESSAGE, "tool_calls": [{"function": {"arguments": {"x": text}}}]}]
    },
    "argument key": lambda text: {
        "messages": [{**MESSAGE, "tool_calls": [{"function": {"arguments": {text: 1}}}]}]
    },
    "tool": lambda text: {"tools": [{"type": text}]},
    "tool enum": lambda text: {"tools": [{"function": {"parameters": {"enum": [text]}}}]},
}


@given(st.sampled_from(sorted(PLACES)), st.text(min_size=3, max_size=20), st.booleans())
def test_a_text_planted_anywhere_is_scanned(place: str, text: str, escaped: bool) -> None:
    document = {"model": "m", **PLACES[place](f"<{text}>")}
    request = parse("/api/chat", json.dumps(document, ensure_ascii=escaped).encode())
    assert f"<{text}>" in [part.text for part in request.texts]
    assert sent(request) == document


def test_every_test_named_in_the_wire_contract_exists() -> None:
    here = Path(__file__).parent
    named = set(re.findall(r"`(test_\w+)`", (here.parents[2] / "docs/wire.md").read_text("utf-8")))
    written = "".join(path.read_text("utf-8") for path in here.parent.rglob("test_*.py"))
    assert len(named) > 30
    assert {name for name in named if f"def {name}(" not in written} == set()
