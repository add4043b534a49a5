"""How `/api/generate` and `/api/chat` write an answer down."""

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any
from zlib import crc32

from ogp.demo import gojson
from ogp.demo.completion import Completion, Piece, Usage
from ogp.demo.reply import JSON_TYPE
from ogp.demo.script import NDJSON


def timestamp() -> str:
    """Now, as Go writes times."""
    now_ns = time.time_ns()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_ns // 1_000_000_000))
    return f"{seconds}.{now_ns % 1_000_000_000:09d}Z"


def metrics(usage: Usage) -> dict[str, Any]:
    """The figures of the last object."""
    return {
        "total_duration": usage.total_ns,
        "load_duration": 1,
        "prompt_eval_count": usage.prompt_tokens,
        "prompt_eval_duration": usage.prompt_ns,
        "eval_count": usage.completion_tokens,
        "eval_duration": max(1, usage.total_ns - usage.prompt_ns),
    }


def ollama_refusal(_status: int, message: str) -> Any:
    """Ollama's error document."""
    return {"error": message}


class _OllamaForm:
    stream_type = NDJSON
    whole_type = JSON_TYPE

    def __init__(self, model: str) -> None:
        self._model = model

    def _line(self, document: dict[str, Any]) -> bytes:
        return gojson.encode(document) + b"\n"

    def _head(self) -> dict[str, Any]:
        return {"model": self._model, "created_at": timestamp()}

    def opening(self) -> bytes:
        """Nothing precedes the first line."""
        return b""

    def failure(self, message: str) -> bytes:
        """The last line of a stream that failed."""
        return self._line({"error": message})

    def refusal(self, status: int, message: str) -> Any:
        """The error document."""
        return ollama_refusal(status, message)


class GenerateForm(_OllamaForm):
    """`/api/generate`."""

    def __init__(self, model: str, *, prompt: str, raw: bool) -> None:
        super().__init__(model)
        self._prompt = prompt
        self._raw = raw

    def piece(self, piece: Piece) -> bytes:
        """One line."""
        return self._line(
            {
                **self._head(),
                "response": piece.text,
                **_thinking(piece.thinking),
                "done": False,
                **_logprobs(piece.logprobs),
            }
        )

    def closing(self, completion: Completion, usage: Usage) -> bytes:
        """The line with `done`."""
        return self._line(self._done("", "", completion, usage))

    def whole(self, completion: Completion, usage: Usage) -> Any:
        """All in one object."""
        done = self._done(completion.text, completion.thinking, completion, usage)
        return {**done, **_logprobs(completion.logprobs)}

    def _done(
        self, text: str, thinking: str, completion: Completion, usage: Usage
    ) -> dict[str, Any]:
        context = {} if self._raw else {"context": _token_ids(self._prompt + completion.text)}
        return {
            **self._head(),
            "response": text,
            **_thinking(thinking),
            "done": True,
            "done_reason": usage.done_reason,
            **context,
            **metrics(usage),
        }


class ChatForm(_OllamaForm):
    """`/api/chat`."""

    def piece(self, piece: Piece) -> bytes:
        """One line."""
        calls = [piece.tool_call] if piece.tool_call is not None else []
        message = _message(piece.text, piece.thinking, calls)
        return self._line(
            {**self._head(), "message": message, "done": False, **_logprobs(piece.logprobs)}
        )

    def closing(self, _completion: Completion, usage: Usage) -> bytes:
        """The line with `done`."""
        return self._line(self._done(_message("", "", []), usage))

    def whole(self, completion: Completion, usage: Usage) -> Any:
        """All in one object."""
        message = _message(completion.text, completion.thinking, completion.tool_calls)
        return {**self._done(message, usage), **_logprobs(completion.logprobs)}

    def _done(self, message: dict[str, Any], usage: Usage) -> dict[str, Any]:
        return {
            **self._head(),
            "message": message,
            "done": True,
            "done_reason": usage.done_reason,
            **metrics(usage),
        }


class DocumentForm(_OllamaForm):
    """An answer that is one document whatever the model says, e.g. vectors."""

    def __init__(
        self,
        document: Any,
        *,
        refusal: Callable[[int, str], Any] = ollama_refusal,
        whole_type: str = JSON_TYPE,
    ) -> None:
        super().__init__("")
        self.whole_type = whole_type
        self._document = document
        self._refusal = refusal

    def refusal(self, status: int, message: str) -> Any:
        """The error document, in the dialect of the route."""
        return self._refusal(status, message)

    def piece(self, _piece: Piece) -> bytes:
        """Never streamed."""
        return b""

    def closing(self, _completion: Completion, _usage: Usage) -> bytes:
        """Never streamed."""
        return b""

    def whole(self, _completion: Completion, _usage: Usage) -> Any:
        """The document."""
        return self._document


def _message(text: str, thinking: str, calls: Sequence[Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text, **_thinking(thinking)}
    if calls:
        message["tool_calls"] = [
            {"id": call_id(call), "function": {"index": index, **call}}
            for index, call in enumerate(calls)
        ]
    return message


def call_id(call: Any) -> str:
    """The identifier of a tool call, made from its content."""
    return "call_" + sha256(gojson.encode(call)).hexdigest()[:8]


def _thinking(text: str) -> dict[str, str]:
    return {"thinking": text} if text else {}


def _logprobs(entries: Sequence[Any]) -> dict[str, Any]:
    return {"logprobs": list(entries)} if entries else {}


def _token_ids(text: str) -> list[int]:
    return [crc32(word.encode()) & 0xFFFF for word in text.split()]
