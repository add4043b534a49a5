"""Handlers of `/api/generate`, `/api/chat`, `/api/embed` and `/api/embeddings`."""

import re
from typing import Any

from ogp.demo import gojson, prose
from ogp.demo.call import Call, RefusedError
from ogp.demo.completion import Ask
from ogp.demo.ollama_forms import ChatForm, DocumentForm, GenerateForm, timestamp

_NOT_PULLED = 'model "{}" not found, try pulling it first'
_ZERO_DURATION = re.compile(r"[+-]?(?:0|(?:0+(?:\.0*)?(?:h|m|s|ms|us|µs|ns))+)")


def generate(call: Call) -> None:
    """`POST /api/generate`: a completion, or with an empty prompt a load or unload."""
    document = call.document
    _check_logprobs(document)
    name = document.get("model", "")
    call.world.model(name)
    prompt = document.get("prompt", "")
    if not prompt:
        _load(call, name, {"response": ""})
        return
    if document.get("raw") and any(document.get(key) for key in ("template", "system", "context")):
        raise RefusedError(400, "raw mode does not support template, system, or context")
    texts = (document.get("system", ""), prompt, document.get("suffix", ""))
    all_text = " ".join(text for text in texts if text)
    if document.get("_debug_render_only"):
        _debug(call, {"response": ""}, all_text, len(document.get("images", [])))
        return
    ask = Ask(
        name,
        prompt,
        all_text=all_text,
        images=len(document.get("images", [])),
        **_wishes(document),
    )
    form = GenerateForm(name, prompt=prompt, raw=document.get("raw", False))
    call.world.engine.run(
        call.reply,
        call.path,
        ask,
        form,
        call.world.behaviour(name),
        stream=document.get("stream", True),
    )


def chat(call: Call) -> None:
    """`POST /api/chat`: the next message, or without messages a load or unload."""
    document = call.document
    _check_logprobs(document)
    name = document.get("model", "")
    if not name:
        raise RefusedError(400, "model is required")
    call.world.model(name)
    messages = document.get("messages") or []
    if not messages:
        _load(call, name, {"message": {"role": "assistant", "content": ""}})
        return
    all_text = " ".join(message.get("content", "") for message in messages)
    if document.get("_debug_render_only"):
        _debug(call, {"message": {"role": "", "content": ""}}, all_text, 0)
        return
    last = messages[-1]
    ask = Ask(
        name,
        last.get("content", ""),
        all_text=all_text,
        images=sum(len(message.get("images", [])) for message in messages),
        tools=document.get("tools", []) if last.get("role", "").lower() == "user" else [],
        **_wishes(document),
    )
    call.world.engine.run(
        call.reply,
        call.path,
        ask,
        ChatForm(name),
        call.world.behaviour(name),
        stream=document.get("stream", True),
    )


def embed(call: Call) -> None:
    """`POST /api/embed`: one unit vector per text."""
    name = call.document.get("model", "")
    if not name:
        raise RefusedError(404, "model '' not found")
    texts = texts_of(call.document.get("input"))
    call.world.model(name, missing=_NOT_PULLED)
    vectors = [prose.vector(text, call.document.get("dimensions") or None) for text in texts]
    figures = {
        "total_duration": 2,
        "load_duration": 1,
        "prompt_eval_count": sum(map(prose.count_tokens, texts)),
    }
    document = {"model": name, "embeddings": vectors, **(figures if texts else {})}
    _answer(call, name, document)


def embeddings(call: Call) -> None:
    """`POST /api/embeddings`, the older form: one text, one vector."""
    name = call.document.get("model", "")
    if not name:
        raise RefusedError(400, "model is required")
    call.world.model(name, missing=_NOT_PULLED)
    prompt = call.document.get("prompt", "")
    document = {"embedding": prose.vector(prompt) if prompt else []}
    _answer(call, name, document)


def _answer(call: Call, name: str, document: Any) -> None:
    behaviour = call.world.behaviour(name)
    call.world.engine.run_whole(call.reply, call.path, name, DocumentForm(document), behaviour)


def texts_of(value: Any) -> list[str]:
    """The texts of an `input`: a string or a list of strings.

    Raises:
        RefusedError: 400, anything else.
    """
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise RefusedError(400, "invalid input type")


def _check_logprobs(document: dict[str, Any]) -> None:
    if not 0 <= document.get("top_logprobs", 0) <= 20:
        raise RefusedError(400, "top_logprobs must be between 0 and 20")


def _load(call: Call, name: str, payload: dict[str, Any]) -> None:
    unloads = _is_zero(call.document.get("keep_alive"))
    if unloads:
        call.world.loaded.unload(name)
    call.reply.json(
        200,
        {
            "model": name,
            "created_at": timestamp(),
            **payload,
            "done": True,
            "done_reason": "unload" if unloads else "load",
        },
    )


def _debug(call: Call, payload: dict[str, Any], text: str, images: int) -> None:
    rendered = {"rendered_template": text, **({"image_count": images} if images else {})}
    call.reply.json(
        200,
        {
            "model": call.document["model"],
            "created_at": timestamp(),
            **payload,
            "done": False,
            "_debug_info": rendered,
        },
    )


def _is_zero(keep_alive: Any) -> bool:
    if isinstance(keep_alive, str):
        return _ZERO_DURATION.fullmatch(keep_alive) is not None
    return keep_alive is not None and keep_alive == 0


def _wishes(document: dict[str, Any]) -> dict[str, Any]:
    options = document.get("options", {})
    limit = options.get("num_predict")
    stops = options.get("stop") or []
    think = document.get("think")
    schema = document.get("format")
    if schema not in (None, "", "json") and not isinstance(schema, dict):
        raise RefusedError(
            500,
            f"invalid format: {gojson.encode(schema).decode()}; "
            'expected "json" or a valid JSON Schema object',
        )
    return {
        "think": think not in (None, False, ""),
        "schema": schema,
        "max_tokens": limit if isinstance(limit, int) and limit >= 0 else None,
        "stops": [stop for stop in stops if isinstance(stop, str)],
        "top_logprobs": document.get("top_logprobs", 0) if document.get("logprobs") else None,
    }
