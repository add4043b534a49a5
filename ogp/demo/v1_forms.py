"""How OpenAI's older routes write an answer down: chat and completions.

Text, thinking (chat) and tool calls (chat) only: what Ollama's compatibility layers add for
rarer requests is left out.
"""

import time
from base64 import b64encode
from collections.abc import Sequence
from struct import pack
from typing import Any

from ogp.demo import gojson
from ogp.demo.completion import Completion, Piece, Usage
from ogp.demo.ollama_forms import call_id

_FINGERPRINT = "fp_ollama"
_DONE = b"data: [DONE]\n\n"


def openai_refusal(status: int, message: str) -> Any:
    """OpenAI's error document."""
    kind = {400: "invalid_request_error", 404: "not_found_error"}.get(status, "api_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def anthropic_refusal(status: int, message: str) -> Any:
    """Anthropic's error document."""
    kinds = {400: "invalid_request_error", 404: "not_found_error", 503: "overloaded_error"}
    error = {"type": kinds.get(status, "api_error"), "message": message}
    return {"type": "error", "error": error, "request_id": "req_demo"}


def openai_usage(usage: Usage) -> dict[str, int]:
    """OpenAI's figures."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


class _SseForm:
    stream_type = "text/event-stream"
    whole_type = "application/json"

    def __init__(self, model: str) -> None:
        self._model = model
        self._created_s = int(time.time())

    def opening(self) -> bytes:
        """Nothing precedes the first event."""
        return b""

    def refusal(self, status: int, message: str) -> Any:
        """The error document."""
        return openai_refusal(status, message)


class ChatCompletionForm(_SseForm):
    """`/v1/chat/completions`. Ollama gives one choice; more are given as other servers do."""

    def __init__(self, model: str, *, include_usage: bool, choices: int = 1) -> None:
        super().__init__(model)
        self._include_usage = include_usage
        self._choices = range(max(1, choices))
        self._is_first = True
        self._calls = 0

    def piece(self, piece: Piece) -> bytes:
        """One chunk for each choice; the first names the role."""
        delta: dict[str, Any] = {"role": "assistant"} if self._is_first else {}
        self._is_first = False
        delta["content"] = piece.text
        if piece.thinking:
            delta["reasoning"] = piece.thinking
        if piece.tool_call is not None:
            delta["tool_calls"] = _openai_calls([piece.tool_call], self._calls)
            self._calls += 1
        more = _logprobs(piece.logprobs)
        return b"".join(
            self._chunk([{"index": index, "delta": delta, "finish_reason": None, **more}])
            for index in self._choices
        )

    def closing(self, completion: Completion, usage: Usage) -> bytes:
        """The finish chunks, the usage where asked for, and the end mark."""
        reason = "tool_calls" if completion.tool_calls else usage.done_reason
        finish = b"".join(
            self._chunk([{"index": index, "delta": {}, "finish_reason": reason}])
            for index in self._choices
        )
        figures = self._chunk([], usage=openai_usage(usage)) if self._include_usage else b""
        return finish + figures + _DONE

    def failure(self, _message: str) -> bytes:
        """Ollama's layer shows a failed stream as an empty chunk and no end mark."""
        return self.piece(Piece())

    def whole(self, completion: Completion, usage: Usage) -> Any:
        """All in one document."""
        message: dict[str, Any] = {"role": "assistant", "content": completion.text}
        if completion.thinking:
            message["reasoning"] = completion.thinking
        if completion.tool_calls:
            message["tool_calls"] = _openai_calls(completion.tool_calls)
        reason = "tool_calls" if completion.tool_calls else usage.done_reason
        more = _logprobs(completion.logprobs)
        choices = [
            {"index": index, "message": message, "finish_reason": reason, **more}
            for index in self._choices
        ]
        return self._document("chat.completion", choices, usage=openai_usage(usage))

    def _chunk(self, choices: Sequence[Any], **more: Any) -> bytes:
        return _data(self._document("chat.completion.chunk", choices, **more))

    def _document(self, kind: str, choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        return {
            "id": "chatcmpl-1",
            "object": kind,
            "created": self._created_s,
            "model": self._model,
            "system_fingerprint": _FINGERPRINT,
            "choices": list(choices),
            **more,
        }


class CompletionForm(_SseForm):
    """`/v1/completions`."""

    def __init__(self, model: str, *, include_usage: bool) -> None:
        super().__init__(model)
        self._include_usage = include_usage

    def piece(self, piece: Piece) -> bytes:
        """One chunk."""
        return _data(self._document(piece.text, None))

    def closing(self, _completion: Completion, usage: Usage) -> bytes:
        """The finish chunk, the usage where asked for, and the end mark."""
        figures = b""
        if self._include_usage:
            figures = _data(
                {**self._document("", None), "choices": [], "usage": openai_usage(usage)}
            )
        return _data(self._document("", usage.done_reason)) + figures + _DONE

    def failure(self, _message: str) -> bytes:
        """Ollama's layer shows a failed stream as an empty chunk and no end mark."""
        return self.piece(Piece())

    def whole(self, completion: Completion, usage: Usage) -> Any:
        """All in one document."""
        document = self._document(completion.text, usage.done_reason)
        return {**document, "usage": openai_usage(usage)}

    def _document(self, text: str, reason: str | None) -> dict[str, Any]:
        return {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": self._created_s,
            "model": self._model,
            "system_fingerprint": _FINGERPRINT,
            "choices": [{"text": text, "index": 0, "finish_reason": reason}],
        }


def encoded_vector(vector: Sequence[float]) -> str:
    """A vector as base64 of little-endian floats, which OpenAI's client asks for."""
    return b64encode(pack(f"<{len(vector)}f", *vector)).decode()


def _logprobs(entries: Sequence[Any]) -> dict[str, Any]:
    return {"logprobs": {"content": list(entries)}} if entries else {}


def _openai_calls(calls: Sequence[Any], first: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "id": call_id(call),
            "index": index,
            "type": "function",
            "function": {
                "name": call["name"],
                "arguments": gojson.encode(call["arguments"]).decode(),
            },
        }
        for index, call in enumerate(calls, first)
    ]


def _data(document: Any) -> bytes:
    return b"data: " + gojson.encode(document) + b"\n\n"
