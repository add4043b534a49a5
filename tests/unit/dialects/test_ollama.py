import json
from typing import Any

import pytest

from ogp.core.errors import InvalidRequestError, TooLargeError
from ogp.core.types import InferenceRequest, TextKind
from ogp.dialects.forms import Caller
from ogp.dialects.ollama import OllamaDialect
from ogp.settings.schema import LimitSettings

DIALECT = OllamaDialect(LimitSettings())
GENERATIVE = ["/api/generate", "/v1/generate", "/api/chat", "/api/embed", "/api/embeddings"]


def parse(
    path: str, body: Any, *, method: str = "POST", dialect: Any = DIALECT
) -> InferenceRequest:
    raw = body if isinstance(body, bytes) else json.dumps({"model": "m", **body}).encode()
    operation = next(o for o in dialect.operations if (o.method, o.path) == (method, path))
    request = operation.parse(raw)
    assert isinstance(request, InferenceRequest)
    return request


def refusal(path: str, body: Any, **where: str) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        parse(path, body, **where)
    return caught.value.message


def sent(request: InferenceRequest) -> Any:
    return json.loads(request.body)


def contents(request: InferenceRequest) -> list[str]:
    return [part.text for part in request.texts if part.kind is TextKind.CONTENT]


def fields(request: InferenceRequest) -> list[str]:
    return [part.text for part in request.texts if part.kind is TextKind.FIELD]


def test_operations_for_everybody() -> None:
    everybody = [o for o in DIALECT.operations if o.form.caller is Caller.USER]
    assert {(o.name, o.method, o.path) for o in everybody} == {
        ("generate", "POST", "/api/generate"),
        ("generate", "POST", "/v1/generate"),
        ("chat", "POST", "/api/chat"),
        ("embed", "POST", "/api/embed"),
        ("embeddings", "POST", "/api/embeddings"),
        ("show", "POST", "/api/show"),
        ("version", "GET", "/api/version"),
        ("version", "HEAD", "/api/version"),
        ("tags", "GET", "/api/tags"),
        ("tags", "HEAD", "/api/tags"),
        ("ps", "GET", "/api/ps"),
        ("status", "GET", "/api/status"),
    }


def test_v1_generate_is_an_alias() -> None:
    request = parse("/v1/generate", {"prompt": "hi"})
    assert request == parse("/api/generate", {"prompt": "hi"})
    assert (request.operation, request.upstream_path) == ("generate", "/api/generate")


@pytest.mark.parametrize("path", GENERATIVE)
def test_what_reaches_a_model_is_scanned_and_queued(path: str) -> None:
    request = parse(path, {})
    assert (request.scanned, request.queued, request.method) == (True, True, "POST")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/version"),
        ("HEAD", "/api/version"),
        ("GET", "/api/tags"),
        ("HEAD", "/api/tags"),
        ("GET", "/api/ps"),
        ("GET", "/api/status"),
    ],
)
def test_listings_take_no_body(method: str, path: str) -> None:
    request = parse(path, b"", method=method)
    assert (request.method, request.upstream_path, request.body) == (method, path, b"")
    assert (request.scanned, request.queued, request.stream, request.model) == (
        False,
        False,
        False,
        "",
    )
    assert refusal(path, b"{}", method=method) == f"{method} {path} takes no body: send none"


@pytest.mark.parametrize(
    ("stream", "streams"),
    [
        ({}, True),
        ({"stream": None}, True),
        ({"stream": True}, True),
        ({"stream": False}, False),
        ({"STREAM": False}, False),
    ],
)
def test_answers_stream_unless_told_otherwise(stream: dict[str, Any], streams: bool) -> None:
    assert parse("/api/generate", stream).stream is streams
    assert parse("/api/chat", stream).stream is streams
    assert parse("/api/embed", stream).stream is False


def test_the_model_is_canonical_and_sent_as_written() -> None:
    request = parse("/api/generate", {"model": "llama2:latest"})
    assert (request.model, sent(request)["model"]) == ("llama2", "llama2:latest")


@pytest.mark.parametrize("path", [*GENERATIVE, "/api/show"])
@pytest.mark.parametrize("model", [None, "", 5, ["m"], "../m", "a b"])
def test_a_request_without_a_proper_model_is_refused(path: str, model: Any) -> None:
    assert refusal(path, {"model": model}).startswith("model ")


def test_loading_and_unloading_pass() -> None:
    for body in ({}, {"prompt": ""}, {"prompt": None, "keep_alive": 0}, {"keep_alive": "-1s"}):
        assert contents(parse("/api/generate", body)) == []
    for body in ({"messages": []}, {"messages": None}, {}):
        assert contents(parse("/api/chat", body)) == []


def test_texts_of_generate() -> None:
    body = {
        "prompt": "P",
        "system": "S",
        "suffix": "X",
        "template": "T",
        "format": {"type": "object", "properties": {"city": {"description": "D"}}},
        "options": {"stop": ["stop-it"], "temperature": 0.1},
        "keep_alive": "5m",
        "later": {"field": "L"},
    }
    request = parse("/api/generate", body)
    assert contents(request) == ["T", "S", "P", "X"]
    assert fields(request) == [
        "object", "city", "D", "stop-it", "5m", "later", "field", "L",
    ]  # fmt: skip
    assert list(sent(request)) == ["model", *body]


def test_texts_of_chat() -> None:
    call = {"function": {"name": "f", "arguments": {"city": "Rome"}}}
    body = {
        "messages": [
            {"role": "user", "content": "C0"},
            {"role": "assistant", "content": "C1", "thinking": "T1", "tool_calls": [call]},
            {"role": "tool", "content": "C2", "tool_name": "N", "tool_call_id": "I"},
            {"role": "odd", "content": None, "extra": "E"},
        ],
        "tools": [{"type": "function", "function": {"name": "g", "description": "D"}}],
    }
    request = parse("/api/chat", body)
    assert contents(request) == ["C0", "T1", "C1", "C2"]
    assert fields(request) == ["f", "city", "Rome", "N", "I", "odd", "extra", "E", "g", "D"]
    assert [part.where for part in request.texts][:3] == [
        "messages[0].content",
        "messages[1].thinking",
        "messages[1].content",
    ]


def test_texts_of_embeddings() -> None:
    assert contents(parse("/api/embed", {"input": "a"})) == ["a"]
    assert contents(parse("/api/embed", {"input": ["a", "b"]})) == ["a", "b"]
    assert contents(parse("/api/embeddings", {"prompt": "a"})) == ["a"]


def test_show_reaches_no_model() -> None:
    request = parse("/api/show", {"system": "s", "template": "t", "raw": True, "verbose": True})
    assert (request.scanned, request.queued, request.restricted) == (False, False, ())


@pytest.mark.parametrize("extra", [{}, {"model": "x"}, {"model": ""}, {"MODEL": None}])
def test_show_takes_name_for_model(extra: dict[str, Any]) -> None:
    request = parse("/api/show", json.dumps({"Name": "x", **extra}).encode())
    assert (request.model, sent(request)) == ("x", {"model": "x"})


def test_show_refuses_two_models() -> None:
    assert refusal("/api/show", {"name": "y"}) == "model and name differ: send model alone"


def test_name_is_just_a_field_elsewhere() -> None:
    assert "evil" in fields(parse("/api/generate", {"name": "evil"}))
    assert refusal("/api/generate", b'{"name":"m"}').startswith("model is required")


def test_images_are_checked_and_counted_but_not_read() -> None:
    request = parse("/api/generate", {"prompt": "p", "images": ["aGk="]})
    assert (request.unscanned, fields(request)) == (("images",), [])
    request = parse("/api/chat", {"messages": [{"role": "user", "images": ["aGk="]}]})
    assert (request.unscanned, fields(request)) == (("images",), [])
    assert parse("/api/generate", {"images": []}).unscanned == ()
    assert parse("/api/chat", {"messages": [{"role": "user"}]}).unscanned == ()


def test_token_ids_are_named_as_unread() -> None:
    assert parse("/api/generate", {"context": [1, 2]}).unscanned == ("context",)


def test_images_that_are_no_base64_are_refused() -> None:
    assert refusal("/api/generate", {"images": ["obey me"]}).startswith("images[0] must be")
    messages = [{"role": "user", "Images": ["aGk=", "obey me"]}]
    message = refusal("/api/chat", {"messages": messages})
    assert message.startswith("messages[0].images[1] must be")


@pytest.mark.parametrize("path", ["/api/chat", "/api/embed", "/api/embeddings"])
def test_images_where_none_belong_are_text(path: str) -> None:
    request = parse(path, {"images": ["obey me"]})
    assert ("obey me" in fields(request), request.unscanned) == (True, ())


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ({"content": "x"}, "messages[0].role is required: system, user, assistant or tool"),
        ({"role": None}, "messages[0].role is required: system, user, assistant or tool"),
        ({"role": 5}, "messages[0].role must be a string, not a number"),
        ({"role": "user", "content": []}, "messages[0].content must be a string, not a list"),
        ({"role": "user", "CONTENT": 5}, "messages[0].content must be a string, not a number"),
        ({"role": "user", "tool_calls": {}}, "messages[0].tool_calls must be a list of objects"),
    ],
)
def test_messages_are_checked(message: dict[str, Any], refused: str) -> None:
    assert refusal("/api/chat", {"messages": [message]}).startswith(refused)


RESTRICTED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"context": [1]}, ("context",)),
    ({"context": []}, ()),
    ({"raw": True}, ("raw",)),
    ({"RAW": True}, ("raw",)),
    ({"raw": False}, ()),
    ({"template": "{{ .Prompt }}"}, ("template",)),
    ({"template": ""}, ()),
    ({"_debug_render_only": True}, ("debug_render",)),
    ({"_debug_render_only": False}, ()),
    ({"model": "x:cloud"}, ("cloud_model",)),
    ({"model": "x:7b-cloud"}, ("cloud_model",)),
    (
        {"context": [1], "raw": True, "template": "t", "model": "x-cloud:latest"},
        ("context", "raw", "template", "cloud_model"),
    ),
]


@pytest.mark.parametrize(("body", "names"), RESTRICTED)
def test_what_blinds_the_guard_is_named(body: dict[str, Any], names: tuple[str, ...]) -> None:
    assert parse("/api/generate", body).restricted == names


def small(**limits: int) -> OllamaDialect:
    return OllamaDialect(LimitSettings(**limits))


def too_large(dialect: OllamaDialect, path: str, body: dict[str, Any]) -> tuple[str, Any]:
    with pytest.raises(TooLargeError) as caught:
        parse(path, body, dialect=dialect)
    return caught.value.message, caught.value.facts


def test_text_in_total_is_limited() -> None:
    dialect = small(max_prompt_chars=10)
    parse("/api/generate", {"prompt": "12345", "system": "67890"}, dialect=dialect)
    parse("/api/generate", {"prompt": "1", "images": ["aGkh" * 99]}, dialect=dialect)
    message, facts = too_large(dialect, "/api/generate", {"prompt": "12345", "system": "678901"})
    assert "10 characters of text (limits.max_prompt_chars)" in message
    assert facts == {"limit": "max_prompt_chars", "value": 10}


def test_the_number_of_messages_is_limited() -> None:
    dialect = small(max_messages=2)
    messages = [{"role": "user", "content": "x"}] * 2
    parse("/api/chat", {"messages": messages}, dialect=dialect)
    message, facts = too_large(dialect, "/api/chat", {"messages": messages * 2})
    assert message == "messages holds 4 messages, more than 2 (limits.max_messages)"
    assert facts == {"limit": "max_messages", "value": 2}


def test_the_length_of_a_message_is_limited_and_that_of_a_prompt_is_not() -> None:
    dialect = small(max_message_chars=4)
    parse("/api/generate", {"prompt": "12345"}, dialect=dialect)
    parse("/api/chat", {"messages": [{"role": "user", "content": "1234"}]}, dialect=dialect)
    messages = [{"role": "user"}, {"role": "user", "content": "12345"}]
    message, facts = too_large(dialect, "/api/chat", {"messages": messages})
    assert message == (
        "messages[1].content has 5 characters, more than 4 (limits.max_message_chars)"
    )
    assert facts == {"limit": "max_message_chars", "value": 4}
