"""What the dialects with server-sent events share, seen through OpenAI's."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ogp.core.errors import InvalidRequestError
from ogp.core.types import AnswerEvent, InferenceRequest, Priority, TextKind
from ogp.dialects.form_dialect import shape_of
from ogp.dialects.openai import OpenAIDialect
from ogp.dialects.openai_forms import MODELS
from ogp.dialects.responses import ResponsesDialect
from ogp.settings.schema import LimitSettings

CHAT, RESPONSES = OpenAIDialect(LimitSettings()), ResponsesDialect(LimitSettings())


def chat(*messages: dict[str, Any], **more: Any) -> InferenceRequest:
    body = json.dumps({"model": "m", "messages": messages, **more}).encode()
    return CHAT.operations[0].parse(body)


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def sent(request: InferenceRequest) -> Any:
    return json.loads(request.body)


def test_a_path_has_one_operation_for_each_form() -> None:
    assert [o.path for o in CHAT.operations] == [form.path for form in CHAT.forms]


def test_texts_are_replaced_in_the_body_and_read_anew() -> None:
    request = chat(
        user("a secret"),
        user([{"type": "text", "text": "a secret"}]),
        stop=["a secret"],
        seed=18446744073709551616,
        stream=True,
    )
    request = replace(request, priority=Priority.BATCH, vault={"[1]": "x"})
    after = CHAT.with_texts(request, {"a secret": "hidden", "user": "no role"})
    assert sent(after) == {
        "model": "m",
        "messages": [user("hidden"), user([{"type": "text", "text": "hidden"}])],
        "stop": ["hidden"],
        "seed": 18446744073709551616,
        "stream": True,
    }
    assert [part.text for part in after.texts if part.kind is TextKind.CONTENT] == ["hidden"] * 2
    assert (after.priority, after.vault, after.stream) == (Priority.BATCH, {"[1]": "x"}, True)


def test_pictures_and_names_are_not_replaced() -> None:
    url = "data:image/png;base64,aGk="
    request = chat(user([{"type": "image_url", "image_url": {"url": url}}]))
    assert sent(CHAT.with_texts(request, {url: "x", "m": "x"})) == sent(request)


def test_texts_of_a_response_are_replaced() -> None:
    body = {"model": "m", "input": [{"role": "user", "content": "a secret"}], "instructions": "I"}
    request = RESPONSES.operations[0].parse(json.dumps(body).encode())
    after = RESPONSES.with_texts(request, {"a secret": "hidden", "I": "J"})
    assert [part.text for part in after.texts] == ["J", "hidden"]


@pytest.mark.parametrize("dialect", [CHAT, RESPONSES])
def test_a_sign_of_life_holds_no_text(dialect: Any) -> None:
    request = chat(stream=True)
    if dialect is RESPONSES:
        request = RESPONSES.operations[0].parse(b'{"model":"m","stream":true}')
    assert dialect.keepalive(request) == b": waiting\n\n"
    assert list(dialect.events(request, iter([]), texts=True)) == []


def test_the_strict_parse_applies() -> None:
    for body in (b"", b"[]", b'{"model":"m"} x', b'{"model":"m","a":NaN}', b"\xff"):
        with pytest.raises(InvalidRequestError):
            CHAT.operations[0].parse(body)


def test_answers_of_routes_without_a_body_are_read() -> None:
    request = CHAT.operations[3].parse(b"")
    assert list(CHAT.events(request, iter([b"{}"]), texts=False)) == [AnswerEvent(b"{}")]


def test_a_route_that_reaches_no_model_has_no_shape() -> None:
    with pytest.raises(AssertionError, match="models"):
        shape_of(MODELS)
