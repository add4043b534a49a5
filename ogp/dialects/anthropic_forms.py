"""What Anthropic's operations take: paths, fields, and where text stands in them."""

from collections.abc import Mapping
from typing import Any

from ogp.core.errors import InvalidRequestError
from ogp.dialects.anthropic_answers import ANSWER
from ogp.dialects.fields import Check, typed
from ogp.dialects.forms import Form, Framing, Streams
from ogp.dialects.text import TextShape
from ogp.dialects.vocabulary import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    OBJECT,
    OBJECTS,
    SCHEMA_NAMES,
    STRING,
    STRINGS,
    words,
)


def _at_least_one(where: str, value: Any) -> None:
    INTEGER(where, value)
    if value < 1:
        raise InvalidRequestError(f"{where} must be 1 or more")


_COUNT: Mapping[str, Check] = {
    "messages": OBJECTS,
    "system": typed("a string or a list of text blocks", str, list),
    "tools": OBJECTS,
    "tool_choice": OBJECT,
    "thinking": OBJECT,
    "output_config": OBJECT,
    "mcp_servers": OBJECTS,
}
_MESSAGES: Mapping[str, Check] = {
    **_COUNT,
    "max_tokens": _at_least_one,
    "stop_sequences": STRINGS,
    "metadata": OBJECT,
    "stream": BOOLEAN,
    "temperature": NUMBER,
    "top_p": NUMBER,
    "top_k": INTEGER,
}
TOP_NAMES = frozenset({"model", *_MESSAGES})
"""Keys at the top of a request, in both operations."""
BLOCK_CHECKS: Mapping[str, Check] = {
    "type": STRING,
    "text": STRING,
    "thinking": STRING,
    "signature": STRING,
    "data": STRING,
    "id": STRING,
    "name": STRING,
    "tool_use_id": STRING,
    "is_error": BOOLEAN,
    "source": typed("an object or a string", dict, str),
    "content": typed("a string, a list of blocks or an object", str, list, dict),
    "title": STRING,
    "context": STRING,
    "encrypted_content": STRING,
    "encrypted_index": STRING,
}
"""Fields of content blocks, of whatever type; `input` may be any JSON."""
BLOCK_NAMES = frozenset({"input", *BLOCK_CHECKS})
SOURCE_CHECKS: Mapping[str, Check] = {
    "type": STRING,
    "media_type": STRING,
    "data": STRING,
    "url": STRING,
    "content": typed("a string or a list of blocks", str, list),
}
"""Fields of the `source` of a picture or document."""
MESSAGE_NAMES = frozenset({"role", "content"})
TOOL_NAMES = words("type name description input_schema cache_control max_uses")
OUTSIDE_TOOLS = ("web_search", "web_fetch")
"""How the types of tools begin that the upstream itself runs, with words of the prompt, on the
internet. Ollama asks ollama.com."""
ROLES = ("user", "assistant", "system")

_OTHER_NAMES = words(
    "budget_tokens cache_control cited_text citations disable_parallel_tool_use effort enabled "
    "error_code ttl user_id"
)
_BLOCKS = ("messages[].content[]", "messages[].content[].content[]")
"""Of a message, and inside one of its blocks, e.g. `tool_result`."""
_BLOCK_TYPES = words(
    "document image redacted_thinking search_result server_tool_use text thinking tool_result "
    "tool_use web_search_result web_search_tool_result web_search_tool_result_error"
)
_MEDIA_TYPES = words("application/pdf image/gif image/jpeg image/png image/webp text/plain")
_CACHE_TYPES = words("ephemeral")

SHAPE = TextShape(
    names=TOP_NAMES
    | BLOCK_NAMES
    | SOURCE_CHECKS.keys()
    | MESSAGE_NAMES
    | TOOL_NAMES
    | SCHEMA_NAMES
    | _OTHER_NAMES,
    content=frozenset(
        {"system", "system[].text", "messages[].content"}
        | {
            f"{block}.{field}"
            for block in _BLOCKS
            for field in (
                *("text", "thinking", "title", "context", "content", "content[].text"),
                *("source.data", "source.content", "source.content[].text"),
            )
        }
    ),
    opaque=frozenset({"model"}),
    fixed={
        "messages[].role": frozenset(ROLES),
        **{f"{block}.type": _BLOCK_TYPES for block in _BLOCKS},
        **{f"{block}.source.type": words("base64 content text") for block in _BLOCKS},
        **{f"{block}.source.media_type": _MEDIA_TYPES for block in _BLOCKS},
        **{f"{block}.cache_control.type": _CACHE_TYPES for block in ("system[]", *_BLOCKS)},
        "system[].type": words("text"),
        "tools[].type": words("custom"),
        "tools[].input_schema.type": words("object"),
        "thinking.type": words("adaptive disabled enabled"),
        "tool_choice.type": words("any auto none tool"),
    },
    order=("system", "messages"),
)
"""Where texts stand; the order of blocks is that of `in_reading_order`."""

COUNT_TOKENS = Form(
    operation="count_tokens",
    method="POST",
    path="/v1/messages/count_tokens",
    upstream_path="/v1/messages/count_tokens",
    costs_time=False,
    checks=_COUNT,
    shape=SHAPE,
    answer=ANSWER,
)
"""Scanned like a prompt, as the text leaves for the upstream; needs no turn, as nothing is
generated. Upstreams without it answer 404."""
MESSAGES = Form(
    operation="messages",
    method="POST",
    path="/v1/messages",
    upstream_path="/v1/messages",
    framing=Framing.SSE,
    streams=Streams.IF_TRUE,
    checks=_MESSAGES,
    shape=SHAPE,
    answer=ANSWER,
)
FORMS = (MESSAGES, COUNT_TOKENS)
