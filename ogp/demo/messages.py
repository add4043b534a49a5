"""`POST /v1/messages`: what Ollama makes of Anthropic's requests."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from typing import Any

from ogp.demo import gojson, prose
from ogp.demo.call import Call, RefusedError
from ogp.demo.completion import Ask
from ogp.demo.gojson import ANYTHING, BOOL, INTEGER, NUMBER, STRING, ListOf, Struct
from ogp.demo.messages_forms import MessagesForm

_BLOCK = Struct(
    "ContentBlock",
    {
        "type": STRING,
        "text": STRING,
        "thinking": STRING,
        "signature": STRING,
        "source": Struct(
            "ImageSource",
            {"type": STRING, "media_type": STRING, "data": STRING, "url": STRING},
        ),
        "id": STRING,
        "name": STRING,
        "input": ANYTHING,
        "tool_use_id": STRING,
        "content": ANYTHING,
        "is_error": BOOL,
    },
)


class _Content:
    """A string, or a list of blocks."""

    def bind(self, value: Any, _old: Any, where: str) -> Any:
        if value is None or isinstance(value, str):
            return [{"type": "text", "text": value or ""}]
        return ListOf(_BLOCK).bind(value, None, where)


MESSAGES = Struct(
    "MessagesRequest",
    {
        "model": STRING,
        "max_tokens": INTEGER,
        "messages": ListOf(
            Struct("MessageParam", {"role": STRING, "content": _Content()}), merges=False
        ),
        "system": ANYTHING,
        "stream": BOOL,
        "temperature": NUMBER,
        "top_p": NUMBER,
        "top_k": INTEGER,
        "stop_sequences": ListOf(STRING),
        "tools": ListOf(
            Struct(
                "Tool",
                {"type": STRING, "name": STRING, "description": STRING, "input_schema": ANYTHING},
            )
        ),
        "thinking": Struct("ThinkingConfig", {"type": STRING, "budget_tokens": INTEGER}),
    },
)


def messages(call: Call) -> None:
    """The next message; the last one of the request is quoted."""
    document = call.document
    name = document.get("model", "")
    if not name:
        raise RefusedError(400, "model is required")
    if document.get("max_tokens", 0) <= 0:
        raise RefusedError(400, "max_tokens is required and must be positive")
    turns = document.get("messages") or []
    if not turns:
        raise RefusedError(400, "messages is required")
    images = sum(map(_check, turns))
    call.world.model(name)
    texts = [_said(turn.get("content") or []) for turn in turns]
    all_text = " ".join([_system(document.get("system")), *texts])
    last = turns[-1].get("content") or []
    is_result = any(block.get("type") == "tool_result" for block in last)
    asked_by_user = turns[-1].get("role", "").lower() == "user" and not is_result
    ask = Ask(
        name,
        texts[-1],
        all_text=all_text,
        images=images,
        think=(document.get("thinking") or {}).get("type") == "enabled",
        tools=[_tool(tool) for tool in document.get("tools") or ()] if asked_by_user else [],
        max_tokens=document["max_tokens"],
        stops=document.get("stop_sequences") or (),
    )
    call.world.engine.run(
        call.reply,
        call.path,
        ask,
        MessagesForm(name, prose.count_tokens(all_text)),
        call.world.behaviour(name),
        stream=document.get("stream", False),
    )


def _system(value: Any) -> str:
    return value if isinstance(value, str) else _joined(value)


def _joined(blocks: Any) -> str:
    """Text blocks without anything between them; others are left out."""
    if not isinstance(blocks, list):
        return ""
    texts = [block.get("text") for block in blocks if _is(block, "text")]
    return "".join(text for text in texts if isinstance(text, str))


def _said(blocks: Sequence[Mapping[str, Any]]) -> str:
    """What tools answered, then the text."""
    results = []
    for block in blocks:
        if _is(block, "tool_result"):
            content = block.get("content")
            results.append(content if isinstance(content, str) else _joined(content))
        elif _is(block, "web_search_tool_result"):
            content = block.get("content")
            results.append(content if isinstance(content, str) else gojson.encode(content).decode())
    return " ".join([*results, _joined(blocks)]).strip()


def _is(block: Any, kind: str) -> bool:
    return isinstance(block, Mapping) and block.get("type") == kind


def _check(turn: Mapping[str, Any]) -> int:
    """Refuse what Ollama refuses in a message; the number of its pictures."""
    images = 0
    for block in turn.get("content") or ():
        if _is(block, "tool_use"):
            for field in ("id", "name"):
                if not block.get(field):
                    raise RefusedError(400, f"tool_use block missing required '{field}' field")
        content = block.get("content") if _is(block, "tool_result") else None
        for inner in [block, *(content if isinstance(content, list) else ())]:
            if _is(inner, "image"):
                _check_source(inner.get("source"))
                images += 1
    return images


def _check_source(source: Any) -> None:
    if not isinstance(source, Mapping):
        raise RefusedError(400, "invalid image source")
    kind = source.get("type", "")
    if kind != "base64":
        raise RefusedError(
            400, f"invalid image source type: {kind}. Only base64 images are supported."
        )
    try:
        b64decode(source.get("data", ""), validate=True)
    except (Base64Error, ValueError):
        raise RefusedError(400, "invalid base64 image data: illegal base64 data") from None


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as Ollama's own API has it."""
    if tool.get("type", "").startswith("web_search"):
        schema: Any = {"type": "object", "properties": {"query": {"type": "string"}}}
        return {"function": {"name": "web_search", "parameters": schema}}
    return {"function": {"name": tool.get("name", ""), "parameters": tool.get("input_schema")}}
