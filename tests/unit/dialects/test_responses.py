"""Requests of `/v1/responses`: what is accepted, what is seen, what goes upstream."""

import json
from typing import Any

import pytest

from ogp.core.errors import InvalidRequestError, TooLargeError
from ogp.core.types import InferenceRequest, TextKind
from ogp.dialects.responses import ResponsesDialect
from ogp.settings.schema import LimitSettings

DIALECT = ResponsesDialect(LimitSettings())
PNG = "data:image/png;base64,iVBORw0KGgo="
PHRASE = "planted phrase"


def parse(body: Any, *, dialect: ResponsesDialect = DIALECT) -> InferenceRequest:
    raw = body if isinstance(body, bytes) else json.dumps({"model": "m", **body}).encode()
    (operation,) = dialect.operations
    return operation.parse(raw)


def refusal(body: Any) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        parse(body)
    return caught.value.message


def contents(request: InferenceRequest) -> list[str]:
    return [part.text for part in request.texts if part.kind is TextKind.CONTENT]


def fields(request: InferenceRequest) -> list[str]:
    return [part.text for part in request.texts if part.kind is TextKind.FIELD]


def test_the_one_operation() -> None:
    (operation,) = DIALECT.operations
    assert (operation.name, operation.method, operation.path) == (
        *("responses", "POST", "/v1/responses"),
    )
    request = parse({})
    assert (request.dialect, request.upstream_path) == ("openai_responses", "/v1/responses")
    assert (request.scanned, request.queued, request.stream) == (True, True, False)
    assert parse({"stream": True}).stream


def test_texts_of_a_plain_request() -> None:
    request = parse({"input": "P", "instructions": "I", "text": {"format": {"type": "text"}}})
    assert contents(request) == ["I", "P"]
    assert fields(request) == []


def test_texts_of_items() -> None:
    body = {
        "input": [
            {"role": "user", "content": "C0"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "C1"}]},
            {
                "type": "reasoning",
                "id": "rs",
                "summary": [{"type": "summary_text", "text": "S"}],
                "content": [{"type": "reasoning_text", "text": "R"}],
                "encrypted_content": "E",
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "C2", "annotations": [], "logprobs": []},
                    {"type": "refusal", "refusal": "X"},
                ],
            },
            {
                "type": "function_call",
                "call_id": "c",
                "name": "f",
                "arguments": r'{"a":"\u0041b"}',
                "status": "completed",
            },
            {"type": "function_call_output", "call_id": "c", "output": "O1"},
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [{"type": "input_text", "text": text} for text in ("O2", "O3")],
            },
            {"type": "custom_tool_call", "input": "T"},
            {"type": "later", "thing": "L"},
        ],
        "tools": [
            {"type": "function", "name": "f", "description": "D", "parameters": {"title": "P"}},
            {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "g"}]},
        ],
        "text": {"format": {"type": "json_schema", "name": "N", "schema": {"title": "S"}}},
    }
    request = parse(body)
    assert contents(request) == ["C0", "C1", "S", "E", "R", "C2", "X", "O1", "O2", "O3", "T"]
    assert fields(request) == [
        *("rs", "c", "f", r'{"a":"\u0041b"}', "a", "Ab", "c", "c", "later", "thing", "L"),
        *("f", "D", "P", "n", "function", "g", "N", "S"),
    ]
    assert json.loads(request.body) == {"model": "m", **body}


def test_parts_that_the_upstream_joins_stand_next_to_each_other() -> None:
    pieces = [{"type": "input_text", "text": text} for text in ("plan", "ted")]
    image = {"type": "input_image", "image_url": PNG, "detail": "auto"}
    for parts in (pieces, [pieces[0], image, pieces[1]]):
        item = {"type": "function_call_output", "output": parts}
        for body in ({"input": [{"role": "user", "content": parts}]}, {"input": [item]}):
            assert "".join(contents(parse(body))) == "planted"


def test_what_the_upstream_ignores_stays() -> None:
    body = {
        "previous_response_id": "p",
        "store": True,
        "background": True,
        "conversation": {"id": "v"},
        "seed": 18446744073709551616,
    }
    request = parse(body)
    assert json.loads(request.body) == {"model": "m", **body}
    assert fields(request) == ["p", "v", "seed"]


def test_what_the_guard_reads_is_what_goes_upstream() -> None:
    raw = (
        b'{"Model":"m","INPUT":[{"Role":"user","Content":[{"TYPE":"input_text","Text":"a"}]},'
        b'{"Type":"reasoning","Summary":[{"TEXT":"b"}],"Encrypted_Content":"c"}]}'
    )
    request = parse(raw)
    assert request.body == (
        b'{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},'
        b'{"type":"reasoning","summary":[{"text":"b"}],"encrypted_content":"c"}]}'
    )
    assert contents(request) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"input": 5}, "input must be a string or a list of items, not a number"),
        ({"input": ["x"]}, "input[0] must be an object, not a string"),
        ({"input": [{"content": 5}]}, "input[0].content must be a string or a list of parts"),
        ({"input": [{"output": [5]}]}, "input[0].output[0] must be an object"),
        ({"input": [{"arguments": {}}]}, "input[0].arguments must be JSON in a string"),
        ({"input": [{"encrypted_content": []}]}, "input[0].encrypted_content must be a string"),
        ({"input": [{"summary": "x"}]}, "input[0].summary must be a list of objects"),
        ({"instructions": ["x"]}, "instructions must be a string, not a list"),
        ({"stream": 1}, "stream must be true or false"),
        ({"text": "x"}, "text must be an object"),
        ({"tools": [1]}, "tools[0] must be an object"),
    ],
)
def test_a_wrong_type_is_refused_by_the_fields_name(body: dict[str, Any], message: str) -> None:
    assert refusal(body).startswith(message)


def test_files_are_refused_wherever_they_stand() -> None:
    part = {"type": "input_file", "file_url": "http://192.0.2.1/"}
    assert refusal({"input": [{"content": [part]}]}).startswith("input[0].content[0].type must be")
    assert refusal({"input": [{"output": [part]}]}).startswith("input[0].output[0].type must be")


def test_pictures_are_passed_and_noted() -> None:
    part = {"type": "input_image", "image_url": PNG}
    for name in ("content", "output"):
        request = parse({"input": [{"type": "message", name: [part]}]})
        assert request.unscanned == ("images",)
        assert request.texts == ()
        url = {"type": "input_image", "image_url": "http://192.0.2.1/x.png"}
        assert "addresses are not fetched" in refusal({"input": [{name: [url]}]})


def test_cloud_models_are_restricted() -> None:
    assert parse({"model": "x:cloud"}).restricted == ("cloud_model",)


def test_items_are_limited_as_messages_are() -> None:
    dialect = ResponsesDialect(LimitSettings(max_messages=2, max_message_chars=5))
    item = {"role": "user", "content": "x"}
    assert parse({"input": [item] * 2}, dialect=dialect).texts
    with pytest.raises(TooLargeError, match="input holds 3 messages"):
        parse({"input": [item] * 3}, dialect=dialect)
    with pytest.raises(TooLargeError, match=r"input\[0\].content has 6 characters"):
        parse({"input": [{"role": "user", "content": "123456"}]}, dialect=dialect)
    assert parse({"input": "123456"}, dialect=dialect).texts


def planted_at(path: str) -> dict[str, Any]:
    """A body with the phrase at a declared path, and around it what makes it valid."""
    value: Any = PHRASE
    for step in reversed(path.split(".")):
        name = step.rstrip("[]")
        kinds = {"text": "input_text", "refusal": "refusal"}
        is_part = ".content[]" in path or ".output[]" in path
        value = [value] if step.endswith("[]") else value
        value = {"type": kinds[name], name: value} if is_part and name in kinds else {name: value}
    document: dict[str, Any] = value
    return document


def test_a_phrase_at_any_declared_path_of_text_is_seen() -> None:
    shape = DIALECT.forms[0].shape
    assert shape is not None
    for path in sorted(shape.content):
        request = parse(planted_at(path))
        assert PHRASE in contents(request), path
        assert PHRASE in request.body.decode()


def test_a_phrase_in_any_field_is_seen_or_refused() -> None:
    values = [PHRASE, [PHRASE], {"k": PHRASE}, [{"k": PHRASE}], {PHRASE: 1}, [{PHRASE: 1}]]
    items = ["type", "role", "id", "status", "call_id", "name", "arguments", "summary", "unknown"]
    bodies = [{name: value} for name in [*DIALECT.forms[0].checks, "unknown"] for value in values]
    bodies += [{"input": [{name: value}]} for name in items for value in values]
    for body in bodies:
        try:
            request = parse(body)
        except InvalidRequestError:
            continue
        assert PHRASE in [part.text for part in request.texts], body
