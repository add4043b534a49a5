"""What a model says, piece by piece, before any dialect writes it down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ogp.demo import gojson, prose


@dataclass(frozen=True, slots=True)
class Piece:
    """One step of an answer: a token of text, of thinking, or a whole tool call."""

    text: str = ""
    thinking: str = ""
    tool_call: Mapping[str, Any] | None = None
    logprobs: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """How an answer ended and what it took; durations in nanoseconds."""

    done_reason: str
    prompt_tokens: int
    completion_tokens: int
    total_ns: int
    prompt_ns: int


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks of the model, whatever the dialect."""

    model: str
    prompt: str
    """The text the answer quotes: the prompt, or the last message."""
    all_text: str = ""
    """Everything that counts as prompt tokens."""
    images: int = 0
    think: bool = False
    tools: Sequence[Any] = ()
    schema: Any = None
    """`json`, or a JSON schema the answer has to fit."""
    max_tokens: int | None = None
    stops: Sequence[str] = ()
    top_logprobs: int | None = None
    """None asks for no log probabilities."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer, known before its first token is sent."""

    pieces: Sequence[Piece]
    done_reason: str = "stop"
    prompt_tokens: int = 1

    @property
    def text(self) -> str:
        """All text, joined."""
        return "".join(piece.text for piece in self.pieces)

    @property
    def thinking(self) -> str:
        """All thinking, joined."""
        return "".join(piece.thinking for piece in self.pieces)

    @property
    def tool_calls(self) -> list[Mapping[str, Any]]:
        """All tool calls."""
        return [piece.tool_call for piece in self.pieces if piece.tool_call is not None]

    @property
    def logprobs(self) -> list[Mapping[str, Any]]:
        """All log probabilities."""
        return [entry for piece in self.pieces for entry in piece.logprobs]


class Form(Protocol):
    """How one dialect writes an answer down."""

    stream_type: str
    whole_type: str

    def opening(self) -> bytes:
        """What goes out before the first piece; may be empty."""
        ...

    def piece(self, piece: Piece) -> bytes:
        """One piece of a stream."""
        ...

    def closing(self, completion: Completion, usage: Usage) -> bytes:
        """What ends a stream that went well."""
        ...

    def whole(self, completion: Completion, usage: Usage) -> Any:
        """The document of an answer that is not streamed."""
        ...

    def failure(self, message: str) -> bytes:
        """What ends a stream that failed; may be empty."""
        ...

    def refusal(self, status: int, message: str) -> Any:
        """The document of an error before the first byte."""
        ...


def compose(ask: Ask, *, tokens: int | None = None) -> Completion:
    """Make up the answer.

    Args:
        ask: what is asked.
        tokens: exact length of the text; None lets the text be as long as it is.
    """
    prompt_tokens = prose.count_tokens(ask.all_text or ask.prompt)
    thinking = prose.tokens_of(prose.thinking_text(ask.prompt)) if ask.think else []
    thoughts = [Piece(thinking=token) for token in thinking]
    call = prose.chosen_tool(ask.tools, ask.prompt) if tokens is None else None
    if call is not None:
        return Completion([*thoughts, Piece(tool_call=call)], "stop", prompt_tokens)
    words = prose.tokens_of(_text(ask))
    if tokens is not None:
        words = prose.exactly(words, tokens)
    words = _stop(words, ask.stops)
    reason = "stop"
    if ask.max_tokens is not None and 0 <= ask.max_tokens < len(words):
        words, reason = words[: ask.max_tokens], "length"
    pieces = [Piece(text=word, logprobs=_logprobs(word, ask.top_logprobs)) for word in words]
    return Completion([*thoughts, *pieces], reason, prompt_tokens)


def _text(ask: Ask) -> str:
    quoted = prose.answer_text(ask.prompt, images=ask.images)
    if ask.schema in (None, ""):
        return quoted
    value = prose.example(ask.schema, ask.prompt) if ask.schema != "json" else {"answer": quoted}
    return gojson.encode(value).decode()


def _stop(words: list[str], stops: Sequence[str]) -> list[str]:
    text = "".join(words)
    found = [text.index(stop) for stop in stops if stop and stop in text]
    return prose.tokens_of(text[: min(found)]) if found else words


def _logprobs(word: str, top: int | None) -> list[dict[str, Any]]:
    if top is None:
        return []
    chosen = {"token": word, "logprob": -0.1, "bytes": list(word.encode())}
    others = [
        {"token": f" alt{rank}", "logprob": -0.1 - rank, "bytes": list(f" alt{rank}".encode())}
        for rank in range(1, top)
    ]
    return [{**chosen, "top_logprobs": [chosen, *others]} if top else chosen]
