"""Refusals and blocks of OpenAI's dialects, as the official client takes them."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseIncompleteEvent

from ogp.core import errors
from ogp.core.types import GuardState, InferenceRequest, ScannerResult, Verdict
from ogp.dialects.openai import OpenAIDialect
from ogp.dialects.responses import ResponsesDialect
from ogp.settings.schema import LimitSettings

CHAT, RESPONSES = OpenAIDialect(LimitSettings()), ResponsesDialect(LimitSettings())
VERDICT = Verdict(GuardState.BLOCKED, (ScannerResult("secrets", passed=False),))
BLOCKED = errors.ResponseBlockedError(
    "Blocked.", VERDICT, language="ja", details={"allowed": False}
)
BROKEN = errors.UpstreamError("It broke off.\u2028")
HELLO: list[Any] = [{"role": "user", "content": "hi"}]
FIRST_CHUNK = (
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}\n\n'
)
FIRST_TEXT = (
    b'data: {"id":"1","object":"text_completion","created":1,"model":"m",'
    b'"choices":[{"index":0,"text":"Hel","finish_reason":null}]}\n\n'
)
FIRST_EVENT = (
    b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":'
    b'{"id":"r","object":"response","created_at":1,"model":"m","output":[],"tools":[],'
    b'"parallel_tool_calls":true,"tool_choice":"auto"}}\n\n'
)


def body(error: errors.GatewayError) -> Any:
    rendered = CHAT.error_body(error)
    assert rendered == RESPONSES.error_body(error)
    return json.loads(rendered)


class Proxy:
    """The official client before our parsers; it gets `answer` for everything."""

    def __init__(
        self, answer: bytes, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.parsed: list[InferenceRequest] = []
        self.calls = 0
        self._answer, self._status, self._headers = answer, status, headers or {}
        self.client = openai.OpenAI(
            base_url="http://proxy/v1",
            api_key="k",
            http_client=httpx2.Client(transport=httpx2.MockTransport(self._serve)),
        )

    def _serve(self, sent: httpx2.Request) -> httpx2.Response:
        self.calls += 1
        for operation in (*CHAT.operations, *RESPONSES.operations):
            if (operation.method, operation.path) == (sent.method, sent.url.path):
                self.parsed.append(operation.parse(sent.content))
        kind = "text/event-stream" if self.parsed and self.parsed[-1].stream else "application/json"
        headers = {"Content-Type": kind, **self._headers}
        return httpx2.Response(self._status, content=self._answer, headers=headers)


def test_a_refusal_is_an_object_with_our_code_and_facts() -> None:
    assert body(errors.QueueFullError("llama2")) == {
        "error": {
            "message": "Server is currently busy processing other requests. Please try again "
            "later.",
            "type": "api_error",
            "param": None,
            "code": "queue_full",
            "model": "llama2",
        }
    }


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.InvalidRequestError("x"), "invalid_request_error"),
        (errors.UnauthorizedError("x"), "authentication_error"),
        (errors.ForbiddenError("x"), "permission_error"),
        (errors.NotFoundError("x"), "not_found_error"),
        (errors.TooLargeError("x"), "invalid_request_error"),
        (errors.RateLimitError("x", 1.0), "rate_limit_error"),
        (errors.UpstreamError("x"), "api_error"),
        (errors.PromptBlockedError("x", VERDICT), "content_policy_violation"),
    ],
)
def test_a_refusal_has_the_type_that_clients_know(error: errors.GatewayError, kind: str) -> None:
    assert body(error)["error"]["type"] == kind


def test_a_refused_prompt_carries_language_and_details() -> None:
    error = errors.PromptBlockedError(
        "Nein.", VERDICT, language="de", details={"allowed": False}, type="x"
    )
    assert body(error)["error"] == {
        "message": "Nein.",
        "type": "content_policy_violation",
        "param": None,
        "code": "prompt_blocked",
        "language": "de",
        "details": {"allowed": False},
    }


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.InvalidRequestError("Why."), openai.BadRequestError),
        (errors.UnauthorizedError("Why."), openai.AuthenticationError),
        (errors.PromptBlockedError("Why.", VERDICT), openai.PermissionDeniedError),
        (errors.NotFoundError("Why."), openai.NotFoundError),
        (errors.RequestTimeoutError("m"), openai.InternalServerError),
    ],
)
def test_the_official_client_raises_the_right_class_once(
    error: errors.GatewayError, kind: type[openai.APIStatusError]
) -> None:
    headers = dict(CHAT.error_headers(error))
    assert headers == RESPONSES.error_headers(error) == {"x-should-retry": "false"}
    proxy = Proxy(CHAT.error_body(error), error.status, headers)
    with pytest.raises(kind) as caught:
        proxy.client.chat.completions.create(model="m", messages=HELLO)
    assert caught.value.code == error.code
    assert error.message in str(caught.value)
    assert proxy.calls == 1


@pytest.mark.parametrize(
    "error", [errors.QueueFullError("m"), errors.RateLimitError("x", 1.0), BROKEN]
)
def test_what_may_go_away_may_be_repeated(error: errors.GatewayError) -> None:
    assert CHAT.error_headers(error) == {}


def documents(stream: bytes) -> list[Any]:
    lines = [line for line in stream.split(b"\n") if line.startswith(b"data: {")]
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


def test_a_block_in_a_chat_finishes_every_choice() -> None:
    asked = CHAT.operations[0].parse(b'{"model":"M:latest","n":2,"stream":true,"messages":[]}')
    event = CHAT.error_event(BLOCKED, request=asked)
    (chunk,) = documents(event)
    assert event.endswith(b"\n\ndata: [DONE]\n\n")
    assert chunk["choices"] == [
        {"index": index, "delta": {}, "logprobs": None, "finish_reason": "content_filter"}
        for index in range(2)
    ]
    assert (chunk["object"], chunk["model"]) == ("chat.completion.chunk", "M:latest")
    assert chunk["guard"] == {
        "code": "response_blocked",
        "message": "Blocked.",
        "language": "ja",
        "reason": "secrets",
    }
    ChatCompletionChunk.model_validate(chunk, strict=True)


@pytest.mark.parametrize(("n", "count"), [(0, 1), (-5, 1), (1000, 128), (None, 1)])
def test_a_nonsense_number_of_choices_is_bounded(n: int | None, count: int) -> None:
    asked = CHAT.operations[0].parse(json.dumps({"model": "m", "n": n}).encode())
    (chunk,) = documents(CHAT.error_event(BLOCKED, request=asked))
    assert len(chunk["choices"]) == count


def test_a_block_can_be_told_without_the_request() -> None:
    (chunk,) = documents(CHAT.error_event(BLOCKED))
    assert (chunk["model"], len(chunk["choices"])) == ("", 1)
    (event,) = documents(RESPONSES.error_event(BLOCKED))
    assert event["response"]["model"] == ""


def test_a_block_names_the_answer_that_it_ends() -> None:
    (chunk,) = documents(CHAT.error_event(BLOCKED, head=FIRST_CHUNK))
    assert (chunk["id"], chunk["created"]) == ("1", 1)
    (event,) = documents(RESPONSES.error_event(BLOCKED, head=FIRST_EVENT))
    assert (event["response"]["id"], event["response"]["created_at"]) == ("r", 1)


@pytest.mark.parametrize(
    "head", [b"data: {", b"data: [1]\n\n", b'data: {"response":[]}\n\n', b'data: {"id":5}\n\n']
)
def test_a_head_that_tells_nothing_is_passed_over(head: bytes) -> None:
    (chunk,) = documents(CHAT.error_event(BLOCKED, head=head))
    assert chunk["id"] == "chatcmpl-blocked"
    (event,) = documents(RESPONSES.error_event(BLOCKED, head=head))
    assert event["response"]["id"] == "resp_blocked"


@pytest.mark.parametrize("dialect", [CHAT, RESPONSES])
@pytest.mark.parametrize("error", [BLOCKED, BROKEN])
def test_what_is_open_is_closed_first(dialect: Any, error: errors.GatewayError) -> None:
    assert dialect.error_event(error)[:1] == b"\n" != dialect.error_event(error)[1:2]
    closing = dialect.error_event(error, mid_line=True)
    assert (closing[:2], closing[2:3] == b"\n") == (b"\n\n", False)


def test_a_broken_stream_ends_without_the_end_mark() -> None:
    event = CHAT.error_event(errors.UpstreamError("It broke off.", details={"x": 1}))
    assert documents(event) == [
        {
            "error": {
                "message": "It broke off.",
                "type": "api_error",
                "param": None,
                "code": "upstream_error",
            }
        }
    ]
    assert b"[DONE]" not in event


def chat_stream(answer: bytes) -> Iterator[Any]:
    return iter(
        Proxy(answer).client.chat.completions.create(model="m", messages=HELLO, stream=True)
    )


def test_the_official_client_ends_a_blocked_chat_by_the_filter() -> None:
    first, last = chat_stream(FIRST_CHUNK + CHAT.error_event(BLOCKED))
    assert first.choices[0].delta.content == "Hel"
    assert last.choices[0].finish_reason == "content_filter"


def test_the_official_client_ends_a_blocked_completion_by_the_filter() -> None:
    asked = InferenceRequest("openai", "completions", "POST", "/v1/completions")
    proxy = Proxy(FIRST_TEXT + CHAT.error_event(BLOCKED, request=asked))
    first, last = proxy.client.completions.create(model="m", prompt="hi", stream=True)
    assert first.choices[0].text == "Hel"
    assert (last.choices[0].text, last.choices[0].finish_reason) == ("", "content_filter")
    assert last.object == "text_completion"


@pytest.mark.parametrize("opened", [b"", b": note\n", b": no"])
def test_the_official_client_raises_on_a_broken_chat(opened: bytes) -> None:
    closing = CHAT.error_event(BROKEN, mid_line=opened == b": no")
    stream = chat_stream(FIRST_CHUNK + opened + closing)
    assert next(stream).choices[0].delta.content == "Hel"
    with pytest.raises(openai.APIError, match="It broke off"):
        next(stream)


def test_the_official_client_passes_over_signs_of_life() -> None:
    asked = InferenceRequest("openai", "chat_completions", "POST", "/v1/chat/completions")
    sign = CHAT.keepalive(asked)
    assert sign == RESPONSES.keepalive(asked)
    answer = sign + FIRST_CHUNK + sign + b"data: [DONE]\n\n"
    assert [chunk.choices[0].delta.content for chunk in chat_stream(answer)] == ["Hel"]


def test_the_official_client_reads_a_blocked_response_as_incomplete() -> None:
    event = RESPONSES.error_event(BLOCKED)
    ResponseIncompleteEvent.model_validate(documents(event)[0], strict=True)
    proxy = Proxy(FIRST_EVENT + event)
    first, last = proxy.client.responses.create(model="m", input="hi", stream=True)
    assert first.type == "response.created"
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "content_filter"
    assert last.response.status == "incomplete"


def test_the_official_helper_ends_a_blocked_response() -> None:
    proxy = Proxy(FIRST_EVENT + RESPONSES.error_event(BLOCKED, head=FIRST_EVENT[:-1] + b"\n\ndata"))
    with proxy.client.responses.stream(model="m", input="hi") as stream:
        assert [event.type for event in stream] == ["response.created", "response.incomplete"]


def test_the_official_client_raises_on_a_broken_response() -> None:
    event = RESPONSES.error_event(BROKEN)
    assert {"code": "upstream_error", "message": BROKEN.message, "param": None}.items() <= (
        documents(event)[0].items()
    )
    proxy = Proxy(FIRST_EVENT + event)
    stream = iter(proxy.client.responses.create(model="m", input="hi", stream=True))
    next(stream)
    with pytest.raises(openai.APIError, match="It broke off"):
        next(stream)


def test_a_failed_scanner_is_an_error_not_a_filter() -> None:
    error = errors.GuardError("The guard failed.", VERDICT)
    assert "error" in documents(CHAT.error_event(error))[0]
    assert documents(RESPONSES.error_event(error))[0]["type"] == "error"


def test_the_official_clients_bodies_are_accepted() -> None:
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {}}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "hi"}, image]}]
    proxy = Proxy(b'{"data":[{"embedding":[1.0]}],"choices":[],"output":[]}')
    proxy.client.chat.completions.create(
        model="m",
        messages=messages,
        tools=[tool],
        tool_choice="auto",
        stop=["x"],
        n=2,
        logprobs=True,
        top_logprobs=3,
        temperature=0.5,
        max_completion_tokens=5,
        response_format={"type": "json_object"},
        reasoning_effort="low",
        metadata={"a": "b"},
        user="u",
    )
    proxy.client.completions.create(model="m", prompt="hi", suffix="s", logprobs=2, echo=True)
    proxy.client.embeddings.create(model="m", input=["a", "b"], dimensions=4)
    proxy.client.embeddings.create(model="m", input="a")
    proxy.client.responses.create(
        model="m",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        instructions="i",
        max_output_tokens=5,
        text={"format": {"type": "json_schema", "name": "n", "schema": {}}},
        tools=[{"type": "function", "name": "f", "parameters": {}, "strict": True}],
        reasoning={"effort": "low"},
        include=["reasoning.encrypted_content"],
        store=False,
    )
    proxy.client.models.list()
    assert [one.operation for one in proxy.parsed] == [
        *("chat_completions", "completions", "embeddings", "embeddings", "responses", "models")
    ]
    assert proxy.parsed[0].unscanned == ("images",)
    assert json.loads(proxy.parsed[2].body)["encoding_format"] == "base64"
