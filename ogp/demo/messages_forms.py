"""How `/v1/messages` writes an answer down, as Ollama's converter does."""

from typing import Any

from ogp.demo import gojson
from ogp.demo.completion import Completion, Piece, Usage
from ogp.demo.ollama_forms import call_id
from ogp.demo.v1_forms import anthropic_refusal


class MessagesForm:
    """A message, in one document or block by block. For one answer: it counts its blocks."""

    stream_type = "text/event-stream"
    whole_type = "application/json"

    def __init__(self, model: str, prompt_tokens: int) -> None:
        """Begin.

        Args:
            model: as the request named it.
            prompt_tokens: Ollama's estimate, told before the real count is known.
        """
        self._model, self._prompt_tokens = model, prompt_tokens
        self._index = 0
        self._open = ""
        self._has_begun = self._has_called = False

    def opening(self) -> bytes:
        """Nothing precedes the first event; the message begins with its first piece."""
        return b""

    def piece(self, piece: Piece) -> bytes:
        """The events of one step: blocks are opened and closed as its kind changes."""
        events = self._begin()
        if piece.thinking:
            events += self._delta("thinking", piece.thinking)
        if piece.text:
            events += self._delta("text", piece.text)
        if piece.tool_call is not None:
            events += self._tool_use(piece.tool_call)
        return events

    def closing(self, _completion: Completion, usage: Usage) -> bytes:
        """The events after the last piece."""
        return (
            self._begin()
            + self._close()
            + _event(
                "message_delta",
                delta={"stop_reason": _stop_reason(usage, has_called=self._has_called)},
                usage=_figures(usage),
            )
            + _event("message_stop")
        )

    def whole(self, completion: Completion, usage: Usage) -> Any:
        """All in one document."""
        content: list[Any] = []
        if completion.thinking:
            content.append({"type": "thinking", "thinking": completion.thinking})
        if completion.text:
            content.append({"type": "text", "text": completion.text})
        content += [
            {**_call_block(call), "input": call["arguments"]} for call in completion.tool_calls
        ]
        message = self._message(content)
        reason = _stop_reason(usage, has_called=bool(completion.tool_calls))
        return {**message, "stop_reason": reason, "usage": _figures(usage)}

    def failure(self, _message: str) -> bytes:
        """The stream just ends: the converter finds neither text nor an end in an error."""
        return self._begin()

    def refusal(self, status: int, message: str) -> Any:
        """The error document."""
        return anthropic_refusal(status, message)

    def _begin(self) -> bytes:
        if self._has_begun:
            return b""
        self._has_begun = True
        usage = {"input_tokens": self._prompt_tokens, "output_tokens": 0}
        return _event("message_start", message={**self._message([]), "usage": usage})

    def _message(self, content: list[Any]) -> dict[str, Any]:
        return {
            "id": "msg_demo",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": content,
        }

    def _delta(self, kind: str, text: str) -> bytes:
        events = b""
        if self._open != kind:
            events = self._close()
            self._open = kind
            events += self._block("start", content_block={"type": kind, kind: ""})
        return events + self._block("delta", delta={"type": f"{kind}_delta", kind: text})

    def _tool_use(self, call: Any) -> bytes:
        arguments = gojson.encode(call["arguments"]).decode()
        self._has_called = True
        events = self._close()
        self._open = "tool_use"
        events += self._block("start", content_block={**_call_block(call), "input": {}})
        delta = {"type": "input_json_delta", "partial_json": arguments}
        return events + self._block("delta", delta=delta) + self._close()

    def _close(self) -> bytes:
        if not self._open:
            return b""
        events = self._block("stop")
        self._open = ""
        self._index += 1
        return events

    def _block(self, step: str, **fields: Any) -> bytes:
        return _event(f"content_block_{step}", index=self._index, **fields)


def _event(name: str, **fields: Any) -> bytes:
    document = gojson.encode({"type": name, **fields})
    return b"event: %s\ndata: %s\n\n" % (name.encode(), document)


def _call_block(call: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id(call), "name": call["name"]}


def _figures(usage: Usage) -> dict[str, int]:
    return {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}


def _stop_reason(usage: Usage, *, has_called: bool) -> str:
    if has_called:
        return "tool_use"
    return "max_tokens" if usage.done_reason == "length" else "end_turn"
