"""One answer per dialect with every field that a server may put words into."""

from collections.abc import Mapping
from typing import Any

from tests.support.rich_requests import BIG, UNKNOWN

_LOGPROBS = [{"token": "so", "logprob": -0.1, "top_logprobs": [{"token": "no", "logprob": -2.5}]}]
_ARGUMENTS = '{"zone": "north", "n": [1]}'
_OLLAMA = {
    "model": "demo",
    "created_at": "2026-01-01T00:00:00Z",
    "response": "so it is",
    "thinking": "hm",
    "message": {
        "role": "assistant",
        "content": "so it is",
        "thinking": "hm",
        "tool_name": "look",
        "tool_calls": [
            {"id": "c", "function": {"name": "look", "arguments": {"zone": ["north"], "n": BIG}}}
        ],
    },
    "logprobs": _LOGPROBS,
    "_debug_info": {"rendered_template": "<user>", "image_count": 0},
    "error": "none",
    "remote_model": "far",
    "remote_host": "away",
    "unknown": UNKNOWN,
    "done_reason": "stop",
    "done": True,
}
_MESSAGE = {
    "role": "assistant",
    "content": "so it is",
    "refusal": "not that",
    "reasoning": "hm",
    "reasoning_content": "hm hm",
    "annotations": [{"type": "url_citation", "url_citation": {"url": "page", "title": "Lakes"}}],
    "audio": {"id": "a", "transcript": "so it is"},
    "function_call": {"name": "look", "arguments": _ARGUMENTS},
    "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "look", "arguments": _ARGUMENTS}}
    ],
}
_OPENAI = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "demo",
    "system_fingerprint": "fp",
    "service_tier": "auto",
    "choices": [
        {
            "index": 0,
            "text": "so it is",
            "message": _MESSAGE,
            "delta": _MESSAGE,
            "logprobs": {"content": _LOGPROBS, "refusal": _LOGPROBS, "tokens": ["so"]},
            "finish_reason": "stop",
        },
        {"index": 1, "message": {"content": "or so"}, "content_filter": {"hate": "low"}},
    ],
    "data": [{"object": "embedding", "index": 0, "title": "one"}],
    "error": {"message": "none", "type": "t", "param": "p", "code": "c"},
    "unknown": UNKNOWN,
}
_PART = {
    "type": "output_text",
    "text": "so it is",
    "annotations": [{"type": "url_citation", "url": "page", "title": "Lakes"}],
    "logprobs": _LOGPROBS,
}
_RESPONSES = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "demo",
    "incomplete_details": {"reason": "none"},
    "error": {"code": "c", "message": "none"},
    "output": [
        {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [_PART, {"type": "refusal", "refusal": "not that"}],
        },
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "content": [{"type": "reasoning_text", "text": "hm hm"}],
            "encrypted_content": "well",
        },
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": _ARGUMENTS},
        {"type": "custom_tool_call", "call_id": "c", "name": "look", "input": "north"},
        {"type": "web_search_call", "action": {"query": "lakes"}},
    ],
    "output_text": "so it is",
    "unknown": UNKNOWN,
}
_ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "demo",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {
            "type": "text",
            "text": "so it is",
            "citations": [{"type": "page", "cited_text": "so", "document_title": "Lakes"}],
        },
        {"type": "tool_use", "id": "c", "name": "look", "input": {"zone": ["north"], "n": BIG}},
        {"type": "server_tool_use", "id": "c", "name": "look", "input": {"query": "lakes"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "c",
            "content": [{"type": "web_search_result", "title": "Lakes", "url": "page"}],
        },
    ],
    "stop_reason": "end_turn",
    "stop_sequence": "END",
    "stop_details": {"category": "none", "explanation": "it ended"},
    "error": {"type": "t", "message": "none"},
    "unknown": UNKNOWN,
}
RICH_ANSWERS: Mapping[str, dict[str, Any]] = {
    "ollama": _OLLAMA,
    "openai": _OPENAI,
    "openai_responses": _RESPONSES,
    "anthropic": _ANTHROPIC,
}
"""By dialect."""


def as_event(dialect: str, document: dict[str, Any]) -> dict[str, Any]:
    """The answer as the event of a stream that repeats it whole."""
    if dialect == "openai_responses":
        return {"type": "response.completed", "sequence_number": 1, "response": document}
    if dialect == "anthropic":
        return {"type": "message_start", "message": document}
    return document
