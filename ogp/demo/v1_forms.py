"""How the `/v1` routes write an answer down: OpenAI's chat, completions and responses, Anthropic's.

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
    """`/v1/chat/completions`."""

    def __init__(self, model: str, *, include_usage: bool) -> None:
        super().__init__(model)
        self._include_usage = include_usage
        self._is_first = True

    def piece(self, piece: Piece) -> bytes:
        """One chunk; the first names the role."""
        delta: dict[str, Any] = {"role": "assistant"} if self._is_first else {}
        self._is_first = False
        delta["content"] = piece.text
        if piece.thinking:
            delta["reasoning"] = piece.thinking
        if piece.tool_call is not None:
            delta["tool_calls"] = _openai_calls([piece.tool_call])
        return self._chunk([{"index": 0, "delta": delta, "finish_reason": None}])

    def closing(self, completion: Completion, usage: Usage) -> bytes:
        """The finish chunk, the usage where asked for, and the end mark."""
        reason = "tool_calls" if completion.tool_calls else usage.done_reason
        finish = self._chunk([{"index": 0, "delta": {}, "finish_reason": reason}])
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
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return self._document("chat.completion", [choice], usage=openai_usage(usage))

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


class ResponsesForm(_SseForm):
    """`/v1/responses`."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._number = 0

    def opening(self) -> bytes:
        """The events before the first delta."""
        running = self._document("in_progress", [], None)
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        return (
            self._event("response.created", response=running)
            + self._event("response.in_progress", response=running)
            + self._event(
                "response.output_item.added", output_index=0, item=_item("in_progress", [])
            )
            + self._event("response.content_part.added", **_PLACE, part=part)
        )

    def piece(self, piece: Piece) -> bytes:
        """One delta."""
        return self._event("response.output_text.delta", **_PLACE, delta=piece.text, logprobs=[])

    def closing(self, completion: Completion, usage: Usage) -> bytes:
        """The events after the last delta."""
        text = completion.text
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        item = _item("completed", [part])
        return (
            self._event("response.output_text.done", **_PLACE, text=text, logprobs=[])
            + self._event("response.content_part.done", **_PLACE, part=part)
            + self._event("response.output_item.done", output_index=0, item=item)
            + self._event("response.completed", response=self.whole(completion, usage))
        )

    def failure(self, _message: str) -> bytes:
        """The stream just ends."""
        return b""

    def whole(self, completion: Completion, usage: Usage) -> Any:
        """All in one document."""
        text = completion.text
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        return self._document("completed", [_item("completed", [part])], usage)

    def _document(self, status: str, output: Sequence[Any], usage: Usage | None) -> dict[str, Any]:
        figures = None
        if usage is not None:
            figures = {
                "input_tokens": usage.prompt_tokens,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": usage.completion_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage.prompt_tokens + usage.completion_tokens,
            }
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": self._created_s,
            "status": status,
            "error": None,
            "model": self._model,
            "output": list(output),
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": figures,
        }

    def _event(self, name: str, **fields: Any) -> bytes:
        self._number += 1
        return _named(name, {"type": name, "sequence_number": self._number - 1, **fields})


_PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


def _item(status: str, content: Sequence[Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": list(content),
    }


class MessagesForm(_SseForm):
    """`/v1/messages`, Anthropic's."""

    def __init__(self, model: str, prompt_tokens: int) -> None:
        super().__init__(model)
        self._prompt_tokens = prompt_tokens

    def opening(self) -> bytes:
        """The events before the first delta."""
        block = {"type": "text", "text": ""}
        start = {"type": "content_block_start", "index": 0, "content_block": block}
        message = self._document([], None, self._prompt_tokens, 0)
        return _named("message_start", {"type": "message_start", "message": message}) + _named(
            "content_block_start", start
        )

    def piece(self, piece: Piece) -> bytes:
        """One delta."""
        delta = {"type": "text_delta", "text": piece.text}
        return _named(
            "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}
        )

    def closing(self, _completion: Completion, usage: Usage) -> bytes:
        """The events after the last delta."""
        delta = {"stop_reason": _stop_reason(usage), "stop_sequence": None}
        figures = {
            "input_tokens": usage.prompt_tokens,
            "output_tokens": usage.completion_tokens,
        }
        return (
            _named("content_block_stop", {"type": "content_block_stop", "index": 0})
            + _named("message_delta", {"type": "message_delta", "delta": delta, "usage": figures})
            + _named("message_stop", {"type": "message_stop"})
        )

    def failure(self, message: str) -> bytes:
        """An error event."""
        return _named("error", anthropic_refusal(500, message))

    def refusal(self, status: int, message: str) -> Any:
        """The error document."""
        return anthropic_refusal(status, message)

    def whole(self, completion: Completion, usage: Usage) -> Any:
        """All in one document."""
        content = [{"type": "text", "text": completion.text}]
        reason = _stop_reason(usage)
        return self._document(content, reason, usage.prompt_tokens, usage.completion_tokens)

    def _document(
        self, content: Sequence[Any], reason: str | None, tokens_in: int, tokens_out: int
    ) -> dict[str, Any]:
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": list(content),
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": {"input_tokens": tokens_in, "output_tokens": tokens_out},
        }


def _stop_reason(usage: Usage) -> str:
    return "max_tokens" if usage.done_reason == "length" else "end_turn"


def encoded_vector(vector: Sequence[float]) -> str:
    """A vector as base64 of little-endian floats, which OpenAI's client asks for."""
    return b64encode(pack(f"<{len(vector)}f", *vector)).decode()


def _openai_calls(calls: Sequence[Any]) -> list[dict[str, Any]]:
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
        for index, call in enumerate(calls)
    ]


def _data(document: Any) -> bytes:
    return b"data: " + gojson.encode(document) + b"\n\n"


def _named(event: str, document: Any) -> bytes:
    return b"event: " + event.encode() + b"\n" + _data(document)
