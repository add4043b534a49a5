"""Handlers of the `/v1` routes, in their simple forms."""

from collections.abc import Iterable, Mapping
from typing import Any

from ogp.demo import prose
from ogp.demo.call import Call, RefusedError
from ogp.demo.completion import Ask, Form
from ogp.demo.ollama_forms import DocumentForm
from ogp.demo.ollama_generate import texts_of
from ogp.demo.responses_form import ResponsesForm
from ogp.demo.v1_forms import (
    ChatCompletionForm,
    CompletionForm,
    encoded_vector,
    openai_refusal,
)

_CREATED_S = 1_767_225_600


def chat_completions(call: Call) -> None:
    """`POST /v1/chat/completions`."""
    document = call.document
    messages = document.get("messages") or []
    if not messages:
        raise RefusedError(400, "[] is too short - 'messages'")
    texts = [text_in(message.get("content")) for message in messages]
    asked_by_user = messages[-1].get("role") == "user"
    ask = Ask(
        _model(call),
        texts[-1],
        all_text=" ".join(texts),
        images=sum(_pictures(message.get("content")) for message in messages),
        think=document.get("reasoning_effort") not in (None, "none"),
        tools=document.get("tools", []) if asked_by_user else [],
        schema=_schema(document.get("response_format")),
        max_tokens=_limit(document, "max_tokens"),
        stops=_stops(document.get("stop")),
        top_logprobs=document.get("top_logprobs", 0) if document.get("logprobs") else None,
    )
    form = ChatCompletionForm(
        ask.model, include_usage=_wants_usage(document), choices=document.get("n", 1)
    )
    _run(call, ask, form)


def completions(call: Call) -> None:
    """`POST /v1/completions`."""
    document = call.document
    ask = Ask(
        _model(call),
        document.get("prompt", ""),
        max_tokens=_limit(document, "max_tokens"),
        stops=_stops(document.get("stop")),
    )
    _run(call, ask, CompletionForm(ask.model, include_usage=_wants_usage(document)))


def responses(call: Call) -> None:
    """`POST /v1/responses`."""
    document = call.document
    value = document.get("input")
    items = value if isinstance(value, list) else [{"content": value}]
    texts = [text_in(_member(item, "content") or _member(item, "output")) for item in items]
    ask = Ask(
        _model(call),
        texts[-1] if texts else "",
        all_text=" ".join([document.get("instructions", ""), *texts]),
        images=sum(_pictures(_member(item, "content")) for item in items),
        think=_member(document.get("reasoning"), "effort") not in (None, "", "none"),
        tools=_tools(document.get("tools")) if _asks(items) else [],
        schema=_member(_member(document.get("text"), "format"), "schema"),
        max_tokens=_limit(document, "max_output_tokens"),
    )
    _run(call, ask, ResponsesForm(ask.model, document))


def embeddings(call: Call) -> None:
    """`POST /v1/embeddings`."""
    document = call.document
    texts = texts_of(document.get("input"))
    if not texts:
        raise RefusedError(400, "invalid input")
    name = _model(call)
    vectors: Iterable[Any] = [
        prose.vector(text, document.get("dimensions") or None) for text in texts
    ]
    if document.get("encoding_format") == "base64":
        vectors = map(encoded_vector, vectors)
    tokens = sum(map(prose.count_tokens, texts))
    answer = {
        "object": "list",
        "data": [
            {"object": "embedding", "embedding": vector, "index": index}
            for index, vector in enumerate(vectors)
        ],
        "model": name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    form = DocumentForm(answer, refusal=openai_refusal, whole_type="application/json")
    call.world.engine.run_whole(call.reply, call.path, name, form, call.world.behaviour(name))


def models(call: Call) -> None:
    """`GET /v1/models`."""
    entries = [_entry(model.name) for model in call.world.library.listed()]
    call.reply.json(200, {"object": "list", "data": entries}, _JSON)


def model(call: Call) -> None:
    """`GET /v1/models/:model`."""
    if call.world.library.find(call.argument) is None:
        raise RefusedError(404, f"model '{call.argument}' not found")
    call.reply.json(200, _entry(call.argument), _JSON)


_JSON = {"Content-Type": "application/json"}


def text_in(content: Any) -> str:
    """The text of a string, or of a list of parts, joined without separators."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(
            text_in(_member(part, "text") or _member(part, "content")) for part in content
        )
    return ""


def _pictures(content: Any) -> int:
    parts = content if isinstance(content, list) else []
    return sum(_member(part, "type") in ("image_url", "input_image") for part in parts)


def _member(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _entry(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED_S, "owned_by": "library"}


def _model(call: Call) -> str:
    name: str = call.document.get("model", "")
    if not name:
        raise RefusedError(400, "model is required")
    call.world.model(name)
    return name


def _run(call: Call, ask: Ask, form: Form) -> None:
    call.world.engine.run(
        call.reply,
        call.path,
        ask,
        form,
        call.world.behaviour(ask.model),
        stream=call.document.get("stream", False),
    )


def _limit(document: Mapping[str, Any], key: str) -> int | None:
    limit = document.get(key)
    return limit if isinstance(limit, int) and limit >= 0 else None


def _stops(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [stop for stop in values if isinstance(stop, str)]


def _wants_usage(document: Mapping[str, Any]) -> bool:
    return bool(_member(document.get("stream_options"), "include_usage"))


def _asks(items: list[Any]) -> bool:
    """Whether the last item is a user's."""
    last = items[-1] if items else None
    return _member(last, "role") in (None, "user") and not _member(last, "output")


def _tools(tools: Any) -> list[dict[str, Any]]:
    """Tools as chat has them; responses have the function's members beside its type."""
    found: list[dict[str, Any]] = []
    for tool in tools if isinstance(tools, list) else []:
        inner = _member(tool, "tools")
        found += _tools(inner) if inner else [{"type": "function", "function": tool}]
    return found


def _schema(response_format: Any) -> Any:
    if _member(response_format, "type") == "json_object":
        return "json"
    return _member(_member(response_format, "json_schema"), "schema")
