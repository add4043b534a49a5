"""Errors in Anthropic's language."""

import json
from typing import Any

import pytest

from ogp.core import errors
from ogp.core.types import GuardState, InferenceRequest, ScannerResult, Verdict
from ogp.dialects.anthropic import AnthropicDialect
from ogp.settings.schema import LimitSettings

DIALECT = AnthropicDialect(LimitSettings())
VERDICT = Verdict(GuardState.BLOCKED, (ScannerResult("secrets", passed=False),))
BLOCKED = errors.ResponseBlockedError(
    "Blocked.", VERDICT, language="ja", details={"allowed": False}
)
REQUEST = InferenceRequest(
    "anthropic", "messages", "POST", "/v1/messages", body=b'{"model":"m"}', stream=True
)


class OverloadedError(errors.GatewayError):
    status = 529


def body(error: errors.GatewayError) -> Any:
    return json.loads(DIALECT.error_body(error))


def sent(raw: bytes) -> list[Any]:
    """Data of each event; its name is that of its document."""
    found = []
    for block in raw.decode().split("\n\n")[:-1]:
        name, _, data = block.rpartition("data: ")
        if data and "data: " in block:
            found.append(json.loads(data))
            assert name == f"event: {found[-1]['type']}\n"
        else:
            assert block.strip() == "event: ping"
    return found


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.InvalidRequestError("x"), "invalid_request_error"),
        (errors.UnauthorizedError("x"), "authentication_error"),
        (errors.ForbiddenError("x"), "permission_error"),
        (errors.PromptBlockedError("x", VERDICT), "permission_error"),
        (errors.NotFoundError("x"), "not_found_error"),
        (errors.MethodNotAllowedError("x"), "invalid_request_error"),
        (errors.BodyTimeoutError("x"), "invalid_request_error"),
        (errors.TooLargeError("x"), "request_too_large"),
        (errors.UnsupportedEncodingError("x"), "invalid_request_error"),
        (errors.RateLimitError("x", 1.0), "rate_limit_error"),
        (errors.GatewayError("x"), "api_error"),
        (errors.UpstreamError("x"), "api_error"),
        (errors.QueueFullError("m"), "overloaded_error"),
        (errors.GuardError("x", VERDICT), "overloaded_error"),
        (errors.RequestTimeoutError("m"), "timeout_error"),
        (OverloadedError("x"), "overloaded_error"),
    ],
)
def test_the_status_tells_the_type(error: errors.GatewayError, kind: str) -> None:
    document = body(error)
    assert (document["type"], document["error"]["type"]) == ("error", kind)
    assert document["error"]["code"] == error.code
    assert document["error"]["message"] == error.message


def test_facts_stand_in_the_error_and_replace_nothing() -> None:
    error = errors.TooLargeError("long", limit="max_messages", value=2, code="x", type="y")
    assert body(error) == {
        "type": "error",
        "error": {
            "type": "request_too_large",
            "message": "long",
            "code": "too_large",
            "limit": "max_messages",
            "value": 2,
        },
        "request_id": None,
    }


def test_the_request_is_named_where_its_id_is_known() -> None:
    document = json.loads(DIALECT.error_body(errors.NotFoundError("x"), request_id="r1"))
    assert document["request_id"] == "r1"


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (errors.PromptBlockedError("x", VERDICT), {"x-should-retry": "false"}),
        (errors.BodyTimeoutError("x"), {"x-should-retry": "false"}),
        (errors.QueueFullError("m"), {}),
        (errors.UpstreamError("x"), {}),
    ],
)
def test_what_a_retry_cannot_mend_says_so(
    error: errors.GatewayError, headers: dict[str, str]
) -> None:
    assert DIALECT.error_headers(error) == headers


def test_a_blocked_message_ends_with_a_refusal() -> None:
    ended, stopped = sent(DIALECT.error_event(BLOCKED, request=REQUEST))
    assert ended["delta"] == {
        "stop_reason": "refusal",
        "stop_sequence": None,
        "stop_details": {
            "type": "refusal",
            "category": None,
            "explanation": "response_blocked: Blocked.",
        },
    }
    assert ended["usage"] == {"output_tokens": 0}
    assert ended["error"] == {
        "type": "permission_error",
        "message": "Blocked.",
        "code": "response_blocked",
        "language": "ja",
        "reason": "secrets",
    }
    assert stopped == {"type": "message_stop"}


def test_a_blocked_message_that_has_not_begun_is_a_whole_one() -> None:
    begun, *rest = sent(DIALECT.error_event(BLOCKED, request=REQUEST, head=b""))
    assert begun["message"]["model"] == "m"
    assert begun["message"]["content"] == []
    assert rest == sent(DIALECT.error_event(BLOCKED))
    (nameless, *_) = sent(DIALECT.error_event(BLOCKED, head=b""))
    assert nameless["message"]["model"] == ""


@pytest.mark.parametrize("head", [b"event: message_start", b""])
def test_other_errors_are_an_event_of_their_own_without_details(head: bytes) -> None:
    error = errors.GuardError("No.", VERDICT, details={"allowed": False})
    assert sent(DIALECT.error_event(error, head=head)) == [
        {
            "type": "error",
            "error": {"type": "overloaded_error", "message": "No.", "code": "guard_error"},
        }
    ]


@pytest.mark.parametrize("mid_line", [True, False])
def test_an_open_event_is_closed_before(mid_line: bool) -> None:
    raw = DIALECT.error_event(errors.UpstreamError("x"), mid_line=mid_line)
    assert raw.startswith(b"\nevent: ping\n\nevent: error\n" if mid_line else b"event: ping\n\n")


def test_a_sign_of_life_is_a_ping() -> None:
    assert DIALECT.keepalive(REQUEST) == b'event: ping\ndata: {"type": "ping"}\n\n'
