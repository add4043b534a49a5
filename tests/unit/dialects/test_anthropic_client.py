"""The official client on the other side of the dialect."""

from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import pytest

from ogp.core import errors
from ogp.core.types import GuardState, InferenceRequest, ScannerResult, Verdict
from ogp.dialects.anthropic import AnthropicDialect
from ogp.settings.schema import LimitSettings

DIALECT = AnthropicDialect(LimitSettings())
VERDICT = Verdict(GuardState.BLOCKED, (ScannerResult("secrets", passed=False),))
BLOCKED = errors.ResponseBlockedError("Blocked.", VERDICT)
BROKEN = errors.UpstreamError("The upstream broke off.")
ASKED: dict[str, Any] = {
    "model": "m",
    "max_tokens": 5,
    "messages": [{"role": "user", "content": "hi"}],
}
REQUEST = InferenceRequest(
    "anthropic", "messages", "POST", "/v1/messages", body=b'{"model":"m"}', stream=True
)
BEGUN = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
    b'"role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,'
    b'"usage":{"input_tokens":7,"output_tokens":0}}}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"Hel"}}\n\n'
)


def client(answer: bytes, *, status: int = 200, kind: str = "text/event-stream") -> Any:
    def respond(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": kind}, content=answer)

    return anthropic.Anthropic(
        api_key="ogp_x",
        base_url="http://proxy.test",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(respond)),
    )


@pytest.fixture(params=["helper", "raw"])
def read(request: pytest.FixtureRequest) -> Callable[[bytes], tuple[str | None, str]]:
    """Reads a stream to its end by either interface; the stop reason and the text."""

    def helper(answer: bytes) -> tuple[str | None, str]:
        with client(answer).messages.stream(**ASKED) as stream:
            text = "".join(stream.text_stream)
            return stream.get_final_message().stop_reason, text

    def raw(answer: bytes) -> tuple[str | None, str]:
        reason, text = None, ""
        for event in client(answer).messages.create(**ASKED, stream=True):
            if event.type == "content_block_delta":
                text += event.delta.text
            elif event.type == "message_delta":
                reason = event.delta.stop_reason
        return reason, text

    return helper if request.param == "helper" else raw


def test_a_blocked_stream_is_a_refusal(read: Any) -> None:
    assert read(BEGUN + DIALECT.error_event(BLOCKED, request=REQUEST)) == ("refusal", "Hel")


def test_a_refusal_says_why() -> None:
    answer = BEGUN + DIALECT.error_event(BLOCKED, request=REQUEST)
    with client(answer).messages.stream(**ASKED) as stream:
        message = stream.get_final_message()
    assert message.stop_details.explanation == "response_blocked: Blocked."
    assert message.usage.input_tokens == 7


def test_a_stream_that_is_blocked_before_it_begins_is_a_refusal(read: Any) -> None:
    life = DIALECT.keepalive(REQUEST)
    refused = DIALECT.error_event(BLOCKED, request=REQUEST, head=b"")
    assert read(life + life + refused) == ("refusal", "")


@pytest.mark.parametrize("before", [b"", BEGUN, DIALECT.keepalive(REQUEST)])
def test_a_broken_stream_raises(read: Any, before: bytes) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        read(before + DIALECT.error_event(BROKEN, request=REQUEST))
    body: Any = caught.value.body
    assert (body["error"]["type"], body["error"]["code"]) == ("api_error", "upstream_error")


def test_a_stream_that_is_cut_anywhere_raises(read: Any) -> None:
    for place in range(len(BEGUN)):
        cut = BEGUN[:place]
        mid_line = not cut.endswith(b"\n")
        with pytest.raises(anthropic.APIStatusError):
            read(cut + DIALECT.error_event(BROKEN, request=REQUEST, mid_line=mid_line))


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (errors.InvalidRequestError("x"), anthropic.BadRequestError),
        (errors.UnauthorizedError("x"), anthropic.AuthenticationError),
        (errors.PromptBlockedError("x", VERDICT), anthropic.PermissionDeniedError),
        (errors.NotFoundError("x"), anthropic.NotFoundError),
        (errors.RateLimitError("x", 1.0), anthropic.RateLimitError),
        (errors.QueueFullError("m"), anthropic.InternalServerError),
        (errors.RequestTimeoutError("m"), anthropic.InternalServerError),
    ],
)
def test_refusals_raise_their_class(error: errors.GatewayError, raised: type[Exception]) -> None:
    answer = DIALECT.error_body(error)
    with pytest.raises(raised) as caught:
        client(answer, status=error.status, kind="application/json").messages.create(**ASKED)
    body: Any = getattr(caught.value, "body", None)
    assert body["error"]["code"] == error.code
