import json

import pytest

from ogp.core.errors import (
    BlockedError,
    GatewayError,
    NotFoundError,
    ResponseBlockedError,
    UpstreamError,
)
from ogp.core.types import GuardState, InferenceRequest, Verdict
from ogp.dialects.base import Dialect, Operation
from ogp.dialects.coverage import DIALECTS
from ogp.settings.schema import LimitSettings

MADE: list[Dialect] = [kind(LimitSettings()) for kind in DIALECTS]
EVERY = pytest.mark.parametrize("dialect", MADE, ids=lambda dialect: dialect.name)


def operations() -> list[Operation]:
    return [operation for dialect in MADE for operation in dialect.operations]


def test_no_route_is_listed_twice() -> None:
    routes = [(operation.method, operation.path) for operation in operations()]
    assert len(routes) == len(set(routes))


def test_names_of_dialects_are_their_own() -> None:
    assert len({dialect.name for dialect in MADE}) == len(MADE)


def test_paths_are_plain_and_absolute() -> None:
    for operation in operations():
        assert operation.path.startswith(("/api/", "/v1/"))
        assert not set(operation.path) & set("*:?#% ")
        assert operation.path.count("{") == operation.path.count("}") <= 1


def test_an_operation_is_called_as_its_form_says() -> None:
    (operation,) = (o for o in operations() if (o.method, o.path) == ("DELETE", "/api/delete"))
    assert (operation.name, operation.method) == ("delete", operation.form.method)


def request_of(dialect: Dialect) -> InferenceRequest:
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":9,"stream":true}'
    paths = ("/api/chat", "/v1/chat/completions", "/v1/responses", "/v1/messages")
    return next(o for o in dialect.operations if o.path in paths).parse(body)


@EVERY
def test_errors_before_the_answer_are_one_document(dialect: Dialect) -> None:
    for error in (NotFoundError("x"), BlockedError("no", Verdict(GuardState.BLOCKED))):
        assert dialect.error_body(error, "r1").startswith(b"{")
        assert dialect.error_body(error).endswith(b"}")
        assert all(name and value for name, value in dialect.error_headers(error).items())


@EVERY
@pytest.mark.parametrize(
    "error", [UpstreamError("cut"), ResponseBlockedError("no", Verdict(GuardState.BLOCKED))]
)
@pytest.mark.parametrize("mid_line", [False, True])
@pytest.mark.parametrize("head", [b"", b"x"])
def test_errors_in_the_answer_end_it(
    dialect: Dialect, error: GatewayError, mid_line: bool, head: bytes
) -> None:
    request = request_of(dialect)
    last = dialect.error_event(error, request=request, mid_line=mid_line, head=head)
    assert error.code.encode() in last
    assert last.endswith(b"\n")


@EVERY
def test_a_sign_of_life_has_no_text(dialect: Dialect) -> None:
    request = request_of(dialect)
    sign = dialect.keepalive(request)
    assert sign.endswith(b"\n")
    assert sign.startswith((b": ", b"event: ping\n", b'{"model":"m"'))


def test_ollamas_sign_of_life_is_a_line_of_the_answer() -> None:
    sign = json.loads(MADE[0].keepalive(request_of(MADE[0])))
    assert (sign["message"], sign["done"]) == ({"role": "assistant", "content": ""}, False)
    generate = MADE[0].operations[0].parse(b'{"model":"m","prompt":"x"}')
    assert json.loads(MADE[0].keepalive(generate))["response"] == ""
