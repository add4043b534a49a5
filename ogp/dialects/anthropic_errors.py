"""How Anthropic's clients are told that something is wrong: before the answer, and in it."""

import json
from collections.abc import Mapping
from typing import Any

from ogp.core.errors import BlockedError, GatewayError, UpstreamError
from ogp.core.types import InferenceRequest
from ogp.dialects.rendering import failed_scanners, render_json
from ogp.dialects.sse import write_event

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
CLOSING = b"event: ping\n\n"
"""Ends an event that is open and makes it one that clients pass over; where none is open, it is
nothing to them."""


def error_body(error: GatewayError, request_id: str | None = None) -> bytes:
    """`{"type": "error", "error": {"type", "message", "code", ...facts}, "request_id"}`."""
    document = {"type": "error", "error": _error_object(error), "request_id": request_id}
    return render_json(document)


def error_headers(error: GatewayError) -> Mapping[str, str]:
    """`x-should-retry: false` where the official client would repeat what cannot get better."""
    if error.retry_after_s is None and not isinstance(error, UpstreamError):
        return {"x-should-retry": "false"}
    return {}


def failed_event(error: GatewayError) -> bytes:
    """The last event of a stream that broke: the official clients raise on it, at any place."""
    document = {"type": "error", "error": _without_details(_error_object(error))}
    return write_event("error", render_json(document))


def refusal(error: BlockedError) -> bytes:
    """The end of a message whose rest is withheld: it stopped with `refusal`.

    The block that may be open stays so: its number is not known here, the official clients do not
    ask for its end, and they break on the end of one that they never saw.
    """
    explanation = f"{error.code}: {error.message}"
    details = {"type": "refusal", "category": None, "explanation": explanation}
    delta = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
    facts = _without_details(_error_object(error)) | {
        "language": error.facts.get("language", "en"),
        "reason": error.facts.get("reason") or failed_scanners(error),
    }
    stopped = {"delta": delta, "usage": {"output_tokens": 0}, "error": facts}
    return _event("message_delta", stopped) + _event("message_stop", {})


def refused_message(error: BlockedError, request: InferenceRequest | None) -> bytes:
    """A whole message that says nothing, for a stream in which none has begun."""
    document: Any = json.loads(request.body) if request is not None and request.body else {}
    message = {
        "id": "msg_blocked",
        "type": "message",
        "role": "assistant",
        "model": document.get("model", ""),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }
    return _event("message_start", {"message": message}) + refusal(error)


def _event(name: str, members: dict[str, Any]) -> bytes:
    return write_event(name, render_json({"type": name, **members}))


def _error_object(error: GatewayError) -> dict[str, Any]:
    other = "api_error" if error.status >= 500 else "invalid_request_error"
    kind = _TYPES.get(error.status, other)
    members = {"type": kind, "message": error.message, "code": error.code}
    return members | {name: fact for name, fact in error.facts.items() if name not in members}


def _without_details(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name != "details"}
