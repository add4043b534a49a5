"""How `/v1/responses` writes an answer down, as Ollama's converter does."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ogp.demo import gojson
from ogp.demo.completion import Completion, Piece, Usage
from ogp.demo.ollama_forms import call_id
from ogp.demo.v1_forms import openai_refusal

_ITEM_IDS = ("rs_1", "msg_1")


class ResponsesForm:
    """A response, in one document or as typed events. For one answer: it counts its events."""

    stream_type = "text/event-stream"
    whole_type = "application/json"

    def __init__(self, model: str, asked: Mapping[str, Any] | None = None) -> None:
        """Begin.

        Args:
            model: the answer's.
            asked: the request, parts of which come back.
        """
        self._model, self._asked = model, asked or {}
        self._created_s = int(time.time())
        self._number = 0
        self._index = 0
        self._thought = ""
        self._said = ""
        self._is_thinking = False
        self._calls: list[dict[str, Any]] = []

    def opening(self) -> bytes:
        """The events before the first piece."""
        running = self._document("in_progress", [], None)
        return self._event("response.created", response=running) + self._event(
            "response.in_progress", response=running
        )

    def piece(self, piece: Piece) -> bytes:
        """The events of one piece; text after a tool call is dropped, as Ollama does."""
        events = b""
        if piece.thinking:
            events += self._think(piece.thinking)
        if piece.tool_call is not None:
            events += self._end_thinking() + self._call(piece.tool_call)
        if piece.text and not self._calls:
            events += self._end_thinking() + self._say(piece.text)
        return events

    def closing(self, completion: Completion, usage: Usage) -> bytes:
        """The events after the last piece; they repeat the whole text three times."""
        events = self._end_thinking()
        if self._said and not self._calls:
            place = {"item_id": _ITEM_IDS[1], "output_index": self._index, "content_index": 0}
            part = _text_part(self._said)
            item = _message("completed", [part])
            events += (
                self._event("response.output_text.done", **place, text=self._said, logprobs=[])
                + self._event("response.content_part.done", **place, part=part)
                + self._event("response.output_item.done", output_index=self._index, item=item)
            )
        response = self._document("completed", _output(completion), usage)
        return events + self._event("response.completed", response=response)

    def failure(self, _message: str) -> bytes:
        """The stream just ends."""
        return b""

    def refusal(self, status: int, message: str) -> Any:
        """The error document."""
        return openai_refusal(status, message)

    def whole(self, completion: Completion, usage: Usage) -> Any:
        """All in one document."""
        return self._document("completed", _output(completion), usage)

    def _think(self, text: str) -> bytes:
        events = b""
        if not self._is_thinking:
            self._is_thinking = True
            item = {"id": _ITEM_IDS[0], "type": "reasoning", "summary": []}
            events = self._event("response.output_item.added", output_index=self._index, item=item)
        self._thought += text
        return events + self._event(
            "response.reasoning_summary_text.delta",
            item_id=_ITEM_IDS[0],
            output_index=self._index,
            summary_index=0,
            delta=text,
        )

    def _end_thinking(self) -> bytes:
        if not self._is_thinking:
            return b""
        self._is_thinking = False
        self._index += 1
        return self._event(
            "response.reasoning_summary_text.done",
            item_id=_ITEM_IDS[0],
            output_index=self._index - 1,
            summary_index=0,
            text=self._thought,
        ) + self._event(
            "response.output_item.done",
            output_index=self._index - 1,
            item=_reasoning(self._thought),
        )

    def _call(self, call: Mapping[str, Any]) -> bytes:
        index = self._index + len(self._calls)
        item = _function_call(call, len(self._calls))
        self._calls.append(item)
        place = {"item_id": item["id"], "output_index": index}
        begun = {**item, "status": "in_progress", "arguments": ""}
        name = "response.function_call_arguments"
        arguments = item["arguments"]
        return (
            self._event("response.output_item.added", output_index=index, item=begun)
            + self._event(f"{name}.delta", **place, delta=arguments)
            + self._event(f"{name}.done", **place, arguments=arguments)
            + self._event("response.output_item.done", output_index=index, item=item)
        )

    def _say(self, text: str) -> bytes:
        place = {"item_id": _ITEM_IDS[1], "output_index": self._index, "content_index": 0}
        events = b""
        if not self._said:
            item = _message("in_progress", [])
            events = self._event(
                "response.output_item.added", output_index=self._index, item=item
            ) + self._event("response.content_part.added", **place, part=_text_part(""))
        self._said += text
        return events + self._event("response.output_text.delta", **place, delta=text, logprobs=[])

    def _document(self, status: str, output: Sequence[Any], usage: Usage | None) -> dict[str, Any]:
        asked = self._asked
        text = asked.get("text") or {"format": {"type": "text"}}
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": self._created_s,
            "completed_at": self._created_s if usage else None,
            "status": status,
            "incomplete_details": None,
            "model": self._model,
            "previous_response_id": None,
            "instructions": asked.get("instructions") or None,
            "output": list(output),
            "error": None,
            "tools": asked.get("tools") or [],
            "tool_choice": "auto",
            "truncation": "disabled",
            "parallel_tool_calls": True,
            "text": text,
            "reasoning": asked.get("reasoning"),
            "usage": usage and _figures(usage),
            "store": False,
            "background": False,
            "service_tier": "default",
            "metadata": {},
        }

    def _event(self, name: str, **fields: Any) -> bytes:
        document = gojson.encode({"type": name, "sequence_number": self._number, **fields})
        self._number += 1
        return b"event: " + name.encode() + b"\ndata: " + document + b"\n\n"


def _output(completion: Completion) -> list[Any]:
    output: list[Any] = [_reasoning(completion.thinking)] if completion.thinking else []
    if completion.tool_calls:
        return output + [_function_call(*pair[::-1]) for pair in enumerate(completion.tool_calls)]
    return [*output, _message("completed", [_text_part(completion.text)])]


def _reasoning(text: str) -> dict[str, Any]:
    """Ollama puts the plain thinking where others have it encrypted."""
    summary = [{"type": "summary_text", "text": text}]
    return {
        "id": _ITEM_IDS[0],
        "type": "reasoning",
        "summary": summary,
        "encrypted_content": text,
    }


def _function_call(call: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {
        "id": f"fc_1_{number}",
        "type": "function_call",
        "status": "completed",
        "call_id": call_id(call),
        "name": call["name"],
        "arguments": gojson.encode(call["arguments"]).decode(),
    }


def _message(status: str, content: Sequence[Any]) -> dict[str, Any]:
    return {
        "id": _ITEM_IDS[1],
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": list(content),
    }


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _figures(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
