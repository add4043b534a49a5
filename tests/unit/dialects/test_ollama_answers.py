"""Answers and errors of the Ollama dialect, and the official client on both sides of it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import ollama
import pytest

from ogp.core import errors
from ogp.core.types import AnswerEvent, GuardState, InferenceRequest, ScannerResult, Usage, Verdict
from ogp.dialects.ollama import OllamaDialect
from ogp.settings.schema import LimitSettings

DIALECT = OllamaDialect(LimitSettings())
STREAM = (
    b'{"model":"m","created_at":"t","message":{"role":"assistant","content":"Hel"},"done":false}\n'
    b'{"model":"m","created_at":"t","message":{"role":"assistant","content":"lo"},"done":false}\n'
    b'{"model":"m","created_at":"t","message":{"role":"assistant","content":""},"done":true,'
    b'"done_reason":"stop","prompt_eval_count":3,"eval_count":2}\n'
)
DOCUMENT = b'{"model":"m","response":"Hello","done":true,"prompt_eval_count":3,"eval_count":2}'
VERDICT = Verdict(GuardState.BLOCKED, (ScannerResult("secrets", passed=False),))
BLOCKED = errors.ResponseBlockedError(
    "Blocked.", VERDICT, language="ja", details={"allowed": False}
)


def request(*, stream: bool) -> InferenceRequest:
    return InferenceRequest("ollama", "chat", "POST", "/api/chat", stream=stream)


def events(*chunks: bytes, stream: bool = True, texts: bool = True) -> list[AnswerEvent]:
    return list(DIALECT.events(request(stream=stream), iter(chunks), texts=texts))


def test_a_stream_becomes_one_event_per_line() -> None:
    read = events(STREAM)
    assert b"".join(event.raw for event in read) == STREAM
    assert [event.texts for event in read] == [
        (("message.content", "Hel"),),
        (("message.content", "lo"),),
        (),
    ]
    assert [event.usage for event in read] == [None, None, Usage(3, 2)]


def test_every_cut_of_a_stream_gives_the_same_events() -> None:
    expected = events(STREAM)
    for place in range(len(STREAM)):
        assert events(STREAM[:place], STREAM[place:]) == expected


def test_a_document_becomes_one_event_however_it_is_cut() -> None:
    expected = [AnswerEvent(DOCUMENT, (("response", "Hello"),), Usage(3, 2))]
    for place in range(len(DOCUMENT)):
        assert events(DOCUMENT[:place], DOCUMENT[place:], stream=False) == expected


def test_a_document_where_a_stream_was_asked_for_is_read() -> None:
    assert events(b'{"error":"model not found"}')[0].texts[0] == ("error", "model not found")


@pytest.mark.parametrize("stream", [True, False])
def test_unread_answers_pass_chunk_by_chunk_with_their_usage(stream: bool) -> None:
    whole = STREAM if stream else DOCUMENT
    chunks = [whole[:30], whole[30:60], whole[60:]]
    read = events(*chunks, stream=stream, texts=False)
    assert [event.raw for event in read] == chunks
    assert [event.usage for event in read if event.usage] == [Usage(3, 2)]
    assert all(event.texts == () for event in read)


@pytest.mark.parametrize("raw", [b"eval_count\n", b"[" * 200_000 + b'"eval_count"\n'])
def test_nonsense_in_the_place_of_counts_passes(raw: bytes) -> None:
    assert events(raw, texts=False) == [AnswerEvent(raw)]


def test_malformed_answers_pass_whole_and_are_text() -> None:
    raw = b'\n{"response":"a"}\r\n<p>\xff\n{"response":"b'
    read = events(raw)
    assert b"".join(event.raw for event in read) == raw
    assert [event.texts for event in read] == [
        (),
        (("response", "a"),),
        (("raw", "<p>\ufffd\n"),),
        (("raw", '{"response":"b'),),
    ]


def test_a_document_without_end_is_refused() -> None:
    dialect = OllamaDialect(LimitSettings(), max_document_bytes=100)
    endless = (b" " * 10 for _ in range(10**9))
    with pytest.raises(errors.UpstreamError):
        list(dialect.events(request(stream=False), endless, texts=True))


def test_a_broken_upstream_ends_the_events_with_its_error() -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"response":"a"}\n{"resp'
        raise errors.UpstreamError("gone")

    read = DIALECT.events(request(stream=True), chunks(), texts=True)
    assert next(read).raw == b'{"response":"a"}\n'
    with pytest.raises(errors.UpstreamError):
        next(read)


def body(error: errors.GatewayError) -> Any:
    return json.loads(DIALECT.error_body(error))


def test_bodies_promised_to_existing_clients_hold_the_bare_code() -> None:
    assert body(errors.QueueFullError("llama2")) == {
        "error": "queue_full",
        "code": "queue_full",
        "message": "Server is currently busy processing other requests. Please try again later.",
        "model": "llama2",
    }
    assert body(errors.AccessDeniedError("No.", client_ip="192.0.2.1")) == {
        "error": "access_denied",
        "code": "access_denied",
        "message": "No.",
        "client_ip": "192.0.2.1",
    }


def test_other_bodies_say_what_is_wrong_where_the_official_client_looks() -> None:
    assert body(errors.InvalidRequestError("prompt must be a string")) == {
        "error": "invalid_request: prompt must be a string",
        "code": "invalid_request",
        "message": "prompt must be a string",
    }


def test_facts_stand_at_top_level_and_replace_nothing() -> None:
    error = errors.TooLargeError("long", limit="max_messages", value=2, code="x", error="y")
    assert body(error) == {
        "error": "too_large: long",
        "code": "too_large",
        "message": "long",
        "limit": "max_messages",
        "value": 2,
    }


def test_a_refused_prompt_carries_language_and_details() -> None:
    error = errors.PromptBlockedError("Nein.", VERDICT, language="de", details={"allowed": False})
    assert body(error) == {
        "error": "prompt_blocked",
        "code": "prompt_blocked",
        "message": "Nein.",
        "language": "de",
        "details": {"allowed": False},
    }


def test_a_block_in_the_stream_is_one_line_with_its_reason() -> None:
    event = DIALECT.error_event(BLOCKED)
    assert event.endswith(b"}\n")
    assert json.loads(event) == {
        "error": "response_blocked",
        "code": "response_blocked",
        "message": "Blocked.",
        "language": "ja",
        "reason": "secrets",
    }


def test_an_error_in_the_stream_has_no_reason() -> None:
    assert json.loads(DIALECT.error_event(errors.UpstreamError("It broke off."))) == {
        "error": "upstream_error: It broke off.",
        "code": "upstream_error",
        "message": "It broke off.",
    }


def test_the_error_line_closes_an_open_line_only_where_there_is_one() -> None:
    assert not DIALECT.error_event(BLOCKED).startswith(b"\n")
    assert DIALECT.error_event(BLOCKED, mid_line=True) == b"\n" + DIALECT.error_event(BLOCKED)


def client(answer: bytes, status: int = 200) -> tuple[ollama.Client, list[InferenceRequest]]:
    """The official client before our parser; it gets `answer` for everything."""
    parsed: list[InferenceRequest] = []

    def serve(sent: httpx.Request) -> httpx.Response:
        for operation in DIALECT.operations:
            if (operation.method, operation.path) == (sent.method, sent.url.path):
                parsed.append(operation.parse(sent.content))
        return httpx.Response(status, content=answer)

    return ollama.Client("http://proxy", transport=httpx.MockTransport(serve)), parsed


def test_the_official_clients_bodies_are_accepted_and_kept() -> None:
    def weather(city: str) -> str:
        """Tell the weather.

        Args:
            city: where
        """
        return city

    chat, parsed = client(STREAM.splitlines(keepends=True)[-1])
    message = {"role": "user", "content": "hi", "images": [b"\x89PNG"]}
    chat.chat("m", [message], tools=[weather], think="low", format={"type": "object"})
    chat.chat("m", [ollama.Message(role="assistant", content="x", thinking="y")], keep_alive=-1)
    chat.generate("m", "hi", suffix="s", options={"num_ctx": 10, "stop": ["x"]}, logprobs=True)
    chat.generate("m")
    assert [(one.operation, one.stream) for one in parsed] == [("chat", False)] * 2 + [
        ("generate", False)
    ] * 2
    assert parsed[0].unscanned == ("images",)
    assert [part.text for part in parsed[1].texts] == ["y", "x"]
    assert json.loads(parsed[1].body)["tools"] == []


def test_the_official_clients_other_calls_are_accepted() -> None:
    other, parsed = client(b'{"embeddings":[[1.0]],"embedding":[1.0],"models":[],"model_info":{}}')
    other.embed("m", ["a", "b"], dimensions=4)
    other.embed("m", "a", truncate=True)
    other.embeddings("m", "a")
    other.show("m")
    other.list()
    other.ps()
    assert [one.operation for one in parsed] == [
        *("embed", "embed", "embeddings", "show", "tags", "ps")
    ]


def test_the_official_client_raises_on_a_block_after_some_of_a_stream() -> None:
    first = STREAM.splitlines(keepends=True)[0]
    stream = client(first + DIALECT.error_event(BLOCKED))[0].chat("m", [], stream=True)
    assert next(stream).message.content == "Hel"
    with pytest.raises(ollama.ResponseError, match="response_blocked"):
        next(stream)


def test_the_official_client_survives_line_separators_in_our_words() -> None:
    error = errors.UpstreamError("a\u2028b\u0085c")
    stream = client(DIALECT.error_event(error))[0].chat("m", [], stream=True)
    with pytest.raises(ollama.ResponseError, match="upstream_error: a\u2028b\u0085c"):
        next(stream)


def test_the_official_client_shows_what_is_wrong() -> None:
    answer = DIALECT.error_body(errors.NoUpstreamError("The server is down."))
    with pytest.raises(ollama.ResponseError, match="no_upstream: The server is down"):
        client(answer, 503)[0].generate("m", "hi")
