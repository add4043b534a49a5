"""The request bodies of Ollama's API as its Go types declare them: what binds to which field."""

import re
from typing import Any

from ogp.demo.gojson import (
    ANYTHING,
    BOOL,
    DICTIONARY,
    IMAGES,
    INTEGER,
    NUMBER,
    OPTIONAL_BOOL,
    STRING,
    GoJSONError,
    Kind,
    ListOf,
    Struct,
)

_DURATION = re.compile(r"[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_LEVELS = ("high", "medium", "low", "max")


class _KeepAlive:
    """A number of seconds or a Go duration."""

    def bind(self, value: Any, _old: Any, _where: str) -> Any:
        if isinstance(value, str) and not _DURATION.fullmatch(value):
            raise GoJSONError(f'time: invalid duration "{value}"')
        if isinstance(value, bool | list):
            raise GoJSONError("Unsupported type")
        return value


class _Think:
    """A boolean or a level."""

    def bind(self, value: Any, _old: Any, _where: str) -> Any:
        if value is None or isinstance(value, bool) or value in _LEVELS:
            return value
        raise GoJSONError(
            'invalid think value (must be "high", "medium", "low", "max", true, or false)'
        )


KEEP_ALIVE, THINK = _KeepAlive(), _Think()

_TOOL_CALL = Struct(
    "ToolCall",
    {
        "id": STRING,
        "function": Struct(
            "ToolCallFunction", {"index": INTEGER, "name": STRING, "arguments": DICTIONARY}
        ),
    },
)
_MESSAGE = Struct(
    "Message",
    {
        "role": STRING,
        "content": STRING,
        "thinking": STRING,
        "images": IMAGES,
        "tool_calls": ListOf(_TOOL_CALL),
        "tool_name": STRING,
        "tool_call_id": STRING,
    },
)
_TOOL = Struct(
    "Tool",
    {
        "type": STRING,
        "items": ANYTHING,
        "function": Struct(
            "ToolFunction", {"name": STRING, "description": STRING, "parameters": ANYTHING}
        ),
    },
)
_SAMPLING: dict[str, Kind] = {
    "model": STRING,
    "stream": OPTIONAL_BOOL,
    "format": ANYTHING,
    "keep_alive": KEEP_ALIVE,
    "options": DICTIONARY,
    "think": THINK,
    "truncate": OPTIONAL_BOOL,
    "shift": OPTIONAL_BOOL,
    "_debug_render_only": BOOL,
    "logprobs": BOOL,
    "top_logprobs": INTEGER,
}
GENERATE = Struct(
    "GenerateRequest",
    {
        "prompt": STRING,
        "suffix": STRING,
        "system": STRING,
        "template": STRING,
        "context": ListOf(INTEGER),
        "raw": BOOL,
        "images": IMAGES,
        **_SAMPLING,
    },
)
# api.Message has its own decoder, which replaces an element instead of merging into it.
CHAT = Struct(
    "ChatRequest",
    {"messages": ListOf(_MESSAGE, merges=False), "tools": ListOf(_TOOL), **_SAMPLING},
)
EMBED = Struct(
    "EmbedRequest",
    {
        "model": STRING,
        "input": ANYTHING,
        "keep_alive": KEEP_ALIVE,
        "truncate": OPTIONAL_BOOL,
        "dimensions": INTEGER,
        "options": DICTIONARY,
    },
)
EMBEDDINGS = Struct(
    "EmbeddingRequest",
    {"model": STRING, "prompt": STRING, "keep_alive": KEEP_ALIVE, "options": DICTIONARY},
)
SHOW = Struct(
    "ShowRequest",
    {
        "model": STRING,
        "name": STRING,
        "system": STRING,
        "template": STRING,
        "verbose": BOOL,
        "options": DICTIONARY,
    },
)
TRANSFER = Struct(
    "PullRequest",
    {
        "model": STRING,
        "name": STRING,
        "insecure": BOOL,
        "username": STRING,
        "password": STRING,
        "stream": OPTIONAL_BOOL,
    },
)
CREATE = Struct(
    "CreateRequest",
    {
        "model": STRING,
        "name": STRING,
        "from": STRING,
        "system": STRING,
        "template": STRING,
        "stream": OPTIONAL_BOOL,
    },
)
COPY = Struct("CopyRequest", {"source": STRING, "destination": STRING})
DELETE = Struct("DeleteRequest", {"model": STRING, "name": STRING})

_OPENAI_MESSAGE = Struct(
    "Message",
    {"role": STRING, "content": ANYTHING, "name": STRING, "tool_calls": ANYTHING},
)
OPENAI_CHAT = Struct(
    "ChatCompletionRequest",
    {
        "model": STRING,
        "messages": ListOf(_OPENAI_MESSAGE),
        "stream": BOOL,
        "stream_options": ANYTHING,
        "max_tokens": ANYTHING,
        "stop": ANYTHING,
        "tools": ListOf(_TOOL),
        "response_format": ANYTHING,
        "temperature": NUMBER,
        "reasoning_effort": ANYTHING,
        "logprobs": BOOL,
        "top_logprobs": INTEGER,
        "n": INTEGER,
    },
)
OPENAI_COMPLETION = Struct(
    "CompletionRequest",
    {
        "model": STRING,
        "prompt": STRING,
        "suffix": STRING,
        "stream": BOOL,
        "stream_options": ANYTHING,
        "max_tokens": ANYTHING,
        "stop": ANYTHING,
        "temperature": NUMBER,
    },
)
OPENAI_EMBED = Struct(
    "EmbedRequest",
    {"model": STRING, "input": ANYTHING, "dimensions": INTEGER, "encoding_format": STRING},
)
RESPONSES = Struct(
    "ResponsesRequest",
    {
        "model": STRING,
        "input": ANYTHING,
        "instructions": STRING,
        "stream": OPTIONAL_BOOL,
        "max_output_tokens": ANYTHING,
        "tools": ANYTHING,
        "text": ANYTHING,
        "reasoning": ANYTHING,
    },
)
