"""What all dialects share; that of requests with messages is tested with each dialect."""

import json
from typing import Any

import pytest

from ogp.core.errors import ForbiddenError, InvalidRequestError, TooLargeError
from ogp.dialects.coverage import DIALECTS
from ogp.dialects.form_dialect import FormDialect, shape_of
from ogp.dialects.forms import Body, Caller
from ogp.dialects.ollama_forms import GENERATING, LISTINGS
from ogp.settings.schema import LimitSettings

MADE: list[FormDialect] = [kind(LimitSettings()) for kind in DIALECTS]
OPERATIONS = [(dialect, operation) for dialect in MADE for operation in dialect.operations]
REFUSED = [(d, o) for d, o in OPERATIONS if o.form.caller is Caller.NOBODY]
WITHOUT_BODY = [
    (d, o) for d, o in OPERATIONS if o.form.body is Body.NOTHING and o.form.caller is Caller.USER
]
ASKED = {"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 9}
TO_A_MODEL = [
    (d, o) for d, o in OPERATIONS if o.form.reaches_model and o.form.caller is Caller.USER
]


def ids(value: Any) -> str:
    return str(getattr(value, "path", ""))


@pytest.mark.parametrize(("dialect", "operation"), REFUSED, ids=ids)
def test_a_refused_route_is_refused_whatever_is_sent(dialect: FormDialect, operation: Any) -> None:
    for body in (b"", b"{}", b"\xff"):
        with pytest.raises(ForbiddenError) as caught:
            operation.parse(body)
        assert caught.value.message == operation.form.why != ""


@pytest.mark.parametrize(("dialect", "operation"), WITHOUT_BODY, ids=ids)
def test_a_route_without_a_body_takes_none(dialect: FormDialect, operation: Any) -> None:
    request = operation.parse(b"", {"model": "m"})
    assert (request.dialect, request.method, request.body) == (dialect.name, operation.method, b"")
    assert (request.scanned, request.queued, request.managed) == (False, False, False)
    with pytest.raises(InvalidRequestError, match="takes no body"):
        operation.parse(b"{}", {"model": "m"})


@pytest.mark.parametrize(("dialect", "operation"), TO_A_MODEL, ids=ids)
def test_requests_are_what_their_form_says(dialect: FormDialect, operation: Any) -> None:
    form = operation.form
    request = operation.parse(json.dumps(ASKED).encode())
    assert (request.dialect, request.operation) == (dialect.name, form.operation)
    assert (request.method, request.upstream_path) == (form.method, form.upstream_path)
    assert (request.scanned, request.queued) == (True, form.queued)
    assert request.stream is form.is_stream(ASKED)
    assert "x" in [part.text for part in request.texts]


@pytest.mark.parametrize(("dialect", "operation"), TO_A_MODEL, ids=ids)
def test_models_of_other_servers_are_named(dialect: FormDialect, operation: Any) -> None:
    request = operation.parse(json.dumps({**ASKED, "model": "x:cloud"}).encode())
    assert request.restricted == ("cloud_model",)


def test_the_number_of_messages_is_limited_in_every_dialect() -> None:
    for kind in DIALECTS:
        dialect = kind(LimitSettings(max_messages=3))
        dialect.check_count(3)
        with pytest.raises(TooLargeError, match=f"{kind.messages} holds 4 messages"):
            dialect.check_count(4)


def test_a_route_that_reaches_no_model_has_no_shape() -> None:
    assert shape_of(GENERATING[0]).content
    with pytest.raises(AssertionError, match="version"):
        shape_of(LISTINGS[0])
