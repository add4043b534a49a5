"""How a text is put into a request, and into a streamed answer, of each dialect; for canaries."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MODEL = "canary"


@dataclass(frozen=True, slots=True)
class Form:
    """What a client of one dialect sends, and what its server answers."""

    operation: str
    """Name of the dialect's operation."""
    question: Callable[[str], bytes]
    """Body of a request with this prompt, whose answer is streamed."""
    answer: Callable[[Sequence[str]], bytes]
    """A streamed answer of these pieces."""


def _chat(text: str, **more: Any) -> bytes:
    messages = [{"role": "user", "content": text}]
    return _json({"model": MODEL, "messages": messages, "stream": True, **more})


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()


def _ollama(pieces: Sequence[str]) -> bytes:
    def events() -> Iterator[Mapping[str, Any]]:
        for piece in pieces:
            yield {"message": {"role": "assistant", "content": piece}, "done": False}
        yield {"message": {"role": "assistant", "content": ""}, "done": True}

    return b"".join(_json({"model": MODEL, **event}) + b"\n" for event in events())


def _openai(pieces: Sequence[str]) -> bytes:
    def chunk(delta: Mapping[str, str], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        document = {"id": MODEL, "object": "chat.completion.chunk", "created": 0, "model": MODEL}
        return b"data: " + _json({**document, "choices": [choice]}) + b"\n\n"

    contents = [chunk({"content": piece}) for piece in pieces]
    return b"".join([*contents, chunk({}, "stop"), b"data: [DONE]\n\n"])


def _event(kind: str, **facts: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + _json({"type": kind, **facts}) + b"\n\n"


def _responses(pieces: Sequence[str]) -> bytes:
    place = {"item_id": MODEL, "output_index": 0, "content_index": 0}
    deltas = [_event("response.output_text.delta", **place, delta=piece) for piece in pieces]
    whole = {"id": MODEL, "object": "response", "status": "completed", "model": MODEL, "output": []}
    return b"".join([*deltas, _event("response.completed", response=whole)])


def _anthropic(pieces: Sequence[str]) -> bytes:
    message = {"id": MODEL, "type": "message", "role": "assistant", "model": MODEL, "content": []}
    block = {"type": "text", "text": ""}
    return b"".join(
        [
            _event("message_start", message=message),
            _event("content_block_start", index=0, content_block=block),
            *(
                _event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
                for piece in pieces
            ),
            _event("content_block_stop", index=0),
            _event("message_delta", delta={"stop_reason": "end_turn"}),
            _event("message_stop"),
        ]
    )


FORMS: Mapping[str, Form] = {
    "ollama": Form("chat", _chat, _ollama),
    "openai": Form("chat_completions", _chat, _openai),
    "openai_responses": Form(
        "responses", lambda text: _json({"model": MODEL, "input": text, "stream": True}), _responses
    ),
    "anthropic": Form("messages", lambda text: _chat(text, max_tokens=100), _anthropic),
}
"""By name of the dialect."""
