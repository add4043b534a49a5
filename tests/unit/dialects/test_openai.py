"""Requests of OpenAI's dialect: what is accepted, what is seen, what goes upstream."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ogp.core.errors import ForbiddenError, InvalidRequestError, TooLargeError
from ogp.core.types import InferenceRequest, TextKind
from ogp.dialects.forms import Caller, Form
from ogp.dialects.openai import OpenAIDialect
from ogp.settings.schema import LimitSettings

DIALECT = OpenAIDialect(LimitSettings())
CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
POSTED = [CHAT, COMPLETIONS, EMBEDDINGS]
PNG = "data:image/png;base64,iVBORw0KGgo="
PHRASE = "planted phrase"


def parse(
    path: str,
    body: Any,
    *,
    method: str = "POST",
    dialect: Any = DIALECT,
    params: Mapping[str, str] | None = None,
) -> InferenceRequest:
    raw = body if isinstance(body, bytes) else json.dumps({"model": "m", **body}).encode()
    operation = next(o for o in dialect.operations if (o.method, o.path) == (method, path))
    more = () if params is None else (params,)
    request = operation.parse(raw, *more)
    assert isinstance(request, InferenceRequest)
    return request


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content, **more}]}


def refusal(path: str, body: Any, **where: Any) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        parse(path, body, **where)
    return caught.value.message


def sent(request: InferenceRequest) -> Any:
    return json.loads(request.body)


def contents(request: InferenceRequest) -> list[str]:
    return [part.text for part in request.texts if part.kind is TextKind.CONTENT]


def fields(request: InferenceRequest) -> list[str]:
    return [part.text for part in request.texts if part.kind is TextKind.FIELD]


def test_operations() -> None:
    assert {(o.name, o.method, o.path) for o in DIALECT.operations} == {
        ("chat_completions", "POST", CHAT),
        ("completions", "POST", COMPLETIONS),
        ("embeddings", "POST", EMBEDDINGS),
        ("models", "GET", "/v1/models"),
        ("model", "GET", "/v1/models/{model}"),
        ("transcriptions", "POST", "/v1/audio/transcriptions"),
    }


@pytest.mark.parametrize("path", POSTED)
def test_what_reaches_a_model_is_scanned_and_queued(path: str) -> None:
    request = parse(path, {})
    assert (request.dialect, request.method, request.upstream_path) == ("openai", "POST", path)
    assert (request.scanned, request.queued, request.model) == (True, True, "m")


@pytest.mark.parametrize(
    ("stream", "streams"),
    [
        ({}, False),
        ({"stream": None}, False),
        ({"stream": False}, False),
        ({"stream": True}, True),
        ({"STREAM": True}, True),
    ],
)
def test_answers_stream_if_asked_to(stream: dict[str, Any], streams: bool) -> None:
    assert parse(CHAT, stream).stream is streams
    assert parse(COMPLETIONS, stream).stream is streams
    assert parse(EMBEDDINGS, stream).stream is False


def test_the_list_of_models_takes_no_body() -> None:
    request = parse("/v1/models", b"", method="GET")
    assert (request.method, request.upstream_path, request.body) == ("GET", "/v1/models", b"")
    assert (request.scanned, request.queued, request.model) == (False, False, "")
    assert refusal("/v1/models", b"{}", method="GET") == "GET /v1/models takes no body: send none"


def test_one_model_is_named_by_the_path() -> None:
    path = "/v1/models/{model}"
    request = parse(path, b"", method="GET", params={"model": "User/Llama3:latest"})
    assert (request.model, request.upstream_path) == (
        "user/llama3",
        "/v1/models/User%2FLlama3:latest",
    )
    assert refusal(path, b"", method="GET").startswith("model is required")
    for name in ("../x", "a/../b", "a?b", "a#b", "a%2fb", "/a", "a//b", "a\nb"):
        assert refusal(path, b"", method="GET", params={"model": name}).startswith("model must")


def test_transcriptions_are_refused_with_the_reason() -> None:
    with pytest.raises(ForbiddenError, match="no scanner reads sound"):
        parse("/v1/audio/transcriptions", b"\xff")
    form = next(form for form in DIALECT.forms if form.operation == "transcriptions")
    assert form.caller is Caller.NOBODY


@pytest.mark.parametrize("path", POSTED)
@pytest.mark.parametrize("model", [None, "", 5, ["m"], "../m", "a b"])
def test_a_request_without_a_proper_model_is_refused(path: str, model: Any) -> None:
    assert refusal(path, {"model": model}).startswith("model ")


def test_the_model_is_canonical_and_sent_as_written() -> None:
    request = parse(CHAT, {"model": "Llama2:latest"})
    assert (request.model, sent(request)["model"]) == ("llama2", "Llama2:latest")


@pytest.mark.parametrize(
    ("body", "restricted"),
    [
        ({"model": "gpt-oss:120b-cloud"}, ("cloud_model",)),
        ({"_debug_render_only": True}, ("debug_render",)),
        ({"_debug_render_only": False}, ()),
    ],
)
def test_fields_that_hide_the_prompt_are_restricted(
    body: dict[str, Any], restricted: tuple[str, ...]
) -> None:
    assert parse(CHAT, body).restricted == parse(COMPLETIONS, body).restricted == restricted


def test_texts_of_a_chat() -> None:
    call = {"id": "I", "type": "function", "function": {"name": "F", "arguments": '{"a":"A"}'}}
    body = {
        "messages": [
            {"role": "system", "content": "C0"},
            {"role": "user", "content": [{"type": "text", "text": "C1"}], "name": "N"},
            {"role": "assistant", "content": None, "reasoning": "R", "tool_calls": [call]},
            {"role": "assistant", "reasoning_content": "S", "refusal": "X"},
            {"role": "tool", "content": "C2", "tool_call_id": "I"},
            {"role": "odd", "content": ""},
        ],
        "tools": [{"type": "function", "function": {"name": "g", "description": "D"}}],
        "tool_choice": {"type": "function", "function": {"name": "h"}},
        "stop": ["S1"],
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"title": "T"}}},
        "prediction": {"type": "content", "content": "P"},
        "later": {"field": "L"},
    }
    request = parse(CHAT, body)
    assert contents(request) == ["C0", "C1", "R", "S", "X", "C2", "P"]
    assert fields(request) == [
        *("N", "I", "F", '{"a":"A"}', "I", "odd", "g", "D", "function", "h", "S1", "T", "content"),
        *("later", "field", "L"),
    ]
    assert sent(request) == {"model": "m", **body}


def test_adjacent_parts_stand_next_to_each_other() -> None:
    parts = [{"type": "text", "text": text} for text in ("plan", "ted")]
    assert "".join(contents(parse(CHAT, user(parts)))) == "planted"


def test_texts_are_listed_in_reading_order() -> None:
    message = {"content": "2", "role": "user", "reasoning": "1"}
    body = {"messages": [message], "suffix": "S", "prompt": "P"}
    assert contents(parse(CHAT, body)) == ["P", "S", "1", "2"]


def test_json_inside_tool_arguments_is_read() -> None:
    call = {"function": {"name": "f", "arguments": r'{"a":"pl\u0061nted"}'}}
    request = parse(CHAT, {"messages": [{"role": "assistant", "tool_calls": [call]}]})
    assert "planted" in fields(request)


def test_texts_of_the_flat_routes() -> None:
    assert contents(parse(COMPLETIONS, {"prompt": "P", "suffix": "S"})) == ["P", "S"]
    assert contents(parse(EMBEDDINGS, {"input": "a"})) == ["a"]
    assert contents(parse(EMBEDDINGS, {"input": ["a", "b"], "encoding_format": "base64"})) == [
        *("a", "b")
    ]


def test_what_the_guard_reads_is_what_goes_upstream() -> None:
    raw = (
        b'{"MODEL":"m","me\\u017f\\u017fages":[{"Role":"user","CONTENT":[{"Type":"text",'
        b'"TEXT":"hi"}],"Tool_Calls":[{"Function":{"Arguments":"{}"}}]}],'
        b'"seed":18446744073709551616}'
    )
    request = parse(CHAT, raw)
    assert request.body == (
        b'{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"hi"}],'
        b'"tool_calls":[{"function":{"arguments":"{}"}}]}],"seed":18446744073709551616}'
    )
    assert contents(request) == ["hi"]


def test_keys_that_are_equal_in_another_case_are_refused() -> None:
    assert "more than once" in refusal(CHAT, b'{"model":"m","messages":[],"Messages":[]}')
    assert "more than once" in refusal(
        CHAT, b'{"model":"m","messages":[{"role":"user","content":"a","CONTENT":"b"}]}'
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"messages": "x"}, "messages must be a list of objects, not a string"),
        ({"messages": ["x"]}, "messages[0] must be an object, not a string"),
        ({"messages": [{}]}, "messages[0].role is required"),
        ({"messages": [{"role": 5}]}, "messages[0].role must be a string"),
        (user(5), "messages[0].content must be a string or a list of parts, not a number"),
        (user(["x"]), "messages[0].content[0] must be an object, not a string"),
        (user("x", tool_calls=[1]), "messages[0].tool_calls[0] must be an object"),
        (
            user("x", tool_calls=[{"function": {"arguments": {}}}]),
            "messages[0].tool_calls[0].function.arguments must be JSON in a string, not an object",
        ),
        (
            user("x", tool_calls=[{"function": "f"}]),
            "messages[0].tool_calls[0].function must be an object",
        ),
        ({"stream": "yes"}, "stream must be true or false, not a string"),
        ({"n": 1.5}, "n must be an integer"),
        ({"temperature": True}, "temperature must be a number"),
        ({"stop": [1]}, "stop[0] must be a string"),
        ({"stop": 1}, "stop must be a string or a list of strings"),
        ({"tools": {}}, "tools must be a list of objects"),
        ({"tool_choice": []}, "tool_choice must be a string or an object"),
        ({"response_format": "json"}, "response_format must be an object"),
    ],
)
def test_a_wrong_type_is_refused_by_the_fields_name(body: dict[str, Any], message: str) -> None:
    assert refusal(CHAT, body).startswith(message)


@pytest.mark.parametrize("prompt", [["a", "b"], [1, 2], [[1]], 5])
def test_a_completion_takes_one_string(prompt: Any) -> None:
    message = refusal(COMPLETIONS, {"prompt": prompt})
    assert message.startswith("prompt must be a string; lists of strings or of token ids are not")


@pytest.mark.parametrize("value", [[1, 2], [[1]], ["a", 1], 5])
def test_token_ids_are_refused_with_the_reason(value: Any) -> None:
    message = refusal(EMBEDDINGS, {"input": value})
    assert message.startswith("input")
    assert "token ids cannot be scanned" in message


def test_pictures_and_sound_are_passed_and_noted() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    request = parse(CHAT, user(parts))
    assert request.unscanned == ("audio", "images")
    assert not any("iVBOR" in part.text or "UklG" in part.text for part in request.texts)
    assert sent(request)["messages"][0]["content"] == parts


def test_nulls_are_absent() -> None:
    request = parse(CHAT, {"messages": [{"role": "user", "content": None, "tool_calls": None}]})
    assert contents(request) == []
    call = {"type": "function", "function": None}
    assert parse(CHAT, user("x", tool_calls=[call])).unscanned == ()


LIMITED = OpenAIDialect(
    LimitSettings(max_messages=2, max_message_chars=5, max_prompt_chars=30), max_document_bytes=100
)


def too_large(path: str, body: Any) -> TooLargeError:
    with pytest.raises(TooLargeError) as caught:
        parse(path, body, dialect=LIMITED)
    return caught.value


def test_the_number_of_messages_is_limited() -> None:
    message = {"role": "user", "content": "x"}
    assert parse(CHAT, {"messages": [message] * 2}, dialect=LIMITED).texts
    error = too_large(CHAT, {"messages": [message] * 3})
    assert error.message == "messages holds 3 messages, more than 2 (limits.max_messages)"
    assert error.facts == {"limit": "max_messages", "value": 2}


def test_each_part_counts_as_the_message_that_the_upstream_makes_of_it() -> None:
    parts = [{"type": "text", "text": "x"}] * 2
    assert parse(CHAT, user(parts), dialect=LIMITED).texts
    body = {"messages": [{"role": "user", "content": parts}, {"role": "user", "content": []}]}
    assert too_large(CHAT, body).facts["limit"] == "max_messages"


def test_the_length_of_a_message_is_limited() -> None:
    assert too_large(CHAT, user("123456")).message == (
        "messages[0].content has 6 characters, more than 5 (limits.max_message_chars)"
    )
    assert parse(COMPLETIONS, {"prompt": "123456"}, dialect=LIMITED).texts


@pytest.mark.parametrize("path", POSTED)
def test_the_length_of_the_whole_text_is_limited(path: str) -> None:
    assert too_large(path, {"other": "x" * 31}).facts["limit"] == "max_prompt_chars"


def planted_at(path: str) -> dict[str, Any]:
    """A body with the phrase at a declared path, and around it what makes it valid."""
    value: Any = PHRASE
    for step in reversed(path.split(".")):
        name = step.rstrip("[]")
        for _ in range(step.count("[]")):
            value = [value]
        if name in ("text", "refusal") and value == PHRASE and "[]." in path:
            value = {"type": name, name: value}
        else:
            value = {name: value}
        if path.startswith("messages[]") and step != "messages[]":
            value.setdefault("role", "user")
    document: dict[str, Any] = value
    return document


FORMS = [form for form in DIALECT.forms if form.shape]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.operation)
def test_a_phrase_at_any_declared_path_of_text_is_seen(form: Form) -> None:
    shape = form.shape
    assert shape is not None
    for path in sorted(shape.content):
        if path.startswith("input") and form.operation != "embeddings":
            continue  # a list here means nothing, and is read as any other unknown field
        request = parse(form.path, planted_at(path))
        assert PHRASE in contents(request), path
        assert PHRASE in request.body.decode()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.operation)
def test_a_phrase_in_any_field_is_seen_or_refused(form: Form) -> None:
    values = [PHRASE, [PHRASE], {"k": PHRASE}, [{"k": PHRASE}], {PHRASE: 1}, [{PHRASE: 1}]]
    for name in [*form.checks, "unknown"]:
        for value in values:
            try:
                request = parse(form.path, {name: value})
            except InvalidRequestError:
                continue
            assert PHRASE in [part.text for part in request.texts], (name, value)
    for name in ["role", "name", "tool_call_id", "tool_calls", "function_call", "unknown"]:
        for value in values:
            try:
                request = parse(CHAT, user("x", **{name: value}))
            except InvalidRequestError:
                continue
            assert PHRASE in [part.text for part in request.texts], (name, value)
