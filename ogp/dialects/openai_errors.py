"""How OpenAI's clients are told that something is wrong: before the answer, and in it."""

import json
import time
from collections.abc import Mapping
from typing import Any

from ogp.core.errors import BlockedError, GatewayError, UpstreamError
from ogp.core.types import InferenceRequest
from ogp.dialects.answers import decode_answer
from ogp.dialects.rendering import failed_scanners, render_json
from ogp.dialects.sse import cut_events, read_event, write_event

_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
}
_MAX_CHOICES = 128
LAST_SEQUENCE_NUMBER = 2**31 - 1
"""Of our own last event of a response: higher than any that came, and an integer anywhere."""


def error_object(error: GatewayError) -> dict[str, Any]:
    """`{"message", "type", "param", "code", ...facts}`."""
    blocked = isinstance(error, BlockedError)
    kind = "content_policy_violation" if blocked else _TYPES.get(error.status, "api_error")
    members = {"message": error.message, "type": kind, "param": None, "code": error.code}
    return members | {name: fact for name, fact in error.facts.items() if name not in members}


def error_body(error: GatewayError) -> bytes:
    """The document of a refusal, as the official client reads it into `error.body`."""
    return render_json({"error": error_object(error)})


def error_headers(error: GatewayError) -> Mapping[str, str]:
    """`x-should-retry: false` where the official client would repeat what cannot get better."""
    if error.retry_after_s is None and not isinstance(error, UpstreamError):
        return {"x-should-retry": "false"}
    return {}


def failed_event(error: GatewayError) -> bytes:
    """The last event of a stream that broke: the official client raises `APIError` on it."""
    return write_event(None, render_json({"error": _without_details(error_object(error))}))


def blocked_chunks(error: BlockedError, request: InferenceRequest | None, head: bytes) -> bytes:
    """The end of a stream whose rest is withheld: every choice is finished by `content_filter`.

    Args:
        error: why.
        request: what was asked; tells the model, and how many choices there are.
        head: the first bytes that were sent; they tell the answer's id.
    """
    begun = _begun(head)
    asked = _document_of(request)
    is_chat = request is None or request.operation != "completions"
    ended: dict[str, Any] = {"delta": {}} if is_chat else {"text": ""}
    chunk = {
        "id": begun.get("id", "chatcmpl-blocked" if is_chat else "cmpl-blocked"),
        "object": "chat.completion.chunk" if is_chat else "text_completion",
        "created": begun.get("created", int(time.time())),
        "model": asked.get("model", ""),
        "choices": [
            {"index": index, **ended, "logprobs": None, "finish_reason": "content_filter"}
            for index in range(_choices(asked))
        ],
        "guard": guard_facts(error),
    }
    return write_event(None, render_json(chunk)) + write_event(None, b"[DONE]")


def blocked_response(error: BlockedError, request: InferenceRequest | None, head: bytes) -> bytes:
    """The last event of a response whose rest is withheld.

    Args:
        error: why.
        request: what was asked; tells the model.
        head: the first bytes that were sent; they tell the answer's id, and the official client's
            helper takes no event with another one.
    """
    begun = _begun(head)
    response = {
        "id": begun.get("id", "resp_blocked"),
        "object": "response",
        "created_at": begun.get("created_at", int(time.time())),
        "status": "incomplete",
        "incomplete_details": {"reason": "content_filter"},
        "error": None,
        "model": _document_of(request).get("model", ""),
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
        "guard": guard_facts(error),
    }
    return _typed("response.incomplete", {"response": response})


def failed_response(error: GatewayError) -> bytes:
    """The last event of a response that broke.

    The members of OpenAI's `error` event, and the same in an object, on which the official client
    raises: it hands an event without one to a caller who may not look at it.
    """
    members = _without_details(error_object(error))
    shown = {name: members[name] for name in ("code", "message", "param")}
    return _typed("error", {**shown, "error": members})


def guard_facts(error: BlockedError) -> dict[str, Any]:
    """What was found, without the scores: for clients that show more than that it was filtered."""
    return {
        "code": error.code,
        "message": error.message,
        "language": error.facts.get("language", "en"),
        "reason": error.facts.get("reason") or failed_scanners(error),
    }


def _typed(name: str, members: dict[str, Any]) -> bytes:
    event = {"type": name, "sequence_number": LAST_SEQUENCE_NUMBER, **members}
    return write_event(name, render_json(event))


def _without_details(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name != "details"}


def _document_of(request: InferenceRequest | None) -> dict[str, Any]:
    """What was asked; our own serialisation, hence an object."""
    if request is None or not request.body:
        return {}
    document: dict[str, Any] = json.loads(request.body)
    return document


def _begun(head: bytes) -> dict[str, Any]:
    """Id and time that the answer's first event named; empty where it cannot be read."""
    raw = next(cut_events(iter([head])), b"")
    try:
        document = decode_answer(read_event(raw).data or b"")
    except (ValueError, RecursionError):
        return {}
    if isinstance(document, dict):
        document = document.get("response", document)
    if not isinstance(document, dict):
        return {}
    kinds = {"id": str, "created": int, "created_at": int}
    return {
        name: document[name] for name, kind in kinds.items() if type(document.get(name)) is kind
    }


def _choices(asked: Mapping[str, Any]) -> int:
    count = asked.get("n")
    return min(max(1, count), _MAX_CHOICES) if type(count) is int else 1
