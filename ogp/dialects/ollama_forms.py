"""What Ollama's operations take and give: paths, fields, and where text stands in them."""

from collections.abc import Mapping
from typing import Any

from ogp.dialects.answers import AnswerShape
from ogp.dialects.fields import Check, base64_image, list_of, typed
from ogp.dialects.forms import Body, Form, Framing, Streams
from ogp.dialects.text import TextShape

_STRING = typed("a string", str)
_BOOLEAN = typed("true or false", bool)
_INTEGER = typed("an integer", int)
_OBJECT = typed("an object", dict)
_OBJECTS = list_of("a list of objects", _OBJECT)
_IMAGES = list_of("a list of base64 strings", base64_image)
_STRINGS = list_of("a string or a list of strings", _STRING)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _string_or_strings(where: str, value: Any) -> None:
    if not isinstance(value, str):
        _STRINGS(where, value)


_LOADING: Mapping[str, Check] = {
    "options": _OBJECT,
    "keep_alive": typed('a number of seconds or a duration such as "5m"', int, float, str),
}
_ANSWERING: Mapping[str, Check] = {
    **_LOADING,
    "stream": _BOOLEAN,
    "format": typed('"json" or a schema object', str, dict),
    "think": typed('true, false or a level such as "high"', bool, str),
    "logprobs": _BOOLEAN,
    "top_logprobs": _INTEGER,
    "truncate": _BOOLEAN,
    "shift": _BOOLEAN,
    "_debug_render_only": _BOOLEAN,
}
_GENERATE: Mapping[str, Check] = {
    **_ANSWERING,
    "prompt": _STRING,
    "suffix": _STRING,
    "system": _STRING,
    "template": _STRING,
    "context": list_of("a list of integers", _INTEGER),
    "raw": _BOOLEAN,
    "images": _IMAGES,
    "width": _INTEGER,
    "height": _INTEGER,
    "steps": _INTEGER,
}
_CHAT: Mapping[str, Check] = {**_ANSWERING, "messages": _OBJECTS, "tools": _OBJECTS}
MESSAGE_CHECKS: Mapping[str, Check] = {
    "role": _STRING,
    "content": _STRING,
    "thinking": _STRING,
    "images": _IMAGES,
    "tool_calls": _OBJECTS,
    "tool_name": _STRING,
    "tool_call_id": _STRING,
}
_EMBED: Mapping[str, Check] = {
    **_LOADING,
    "input": _string_or_strings,
    "truncate": _BOOLEAN,
    "dimensions": _INTEGER,
}
_EMBEDDINGS: Mapping[str, Check] = {**_LOADING, "prompt": _STRING}
_SHOW: Mapping[str, Check] = {
    "name": _STRING,
    "system": _STRING,
    "template": _STRING,
    "verbose": _BOOLEAN,
    "options": _OBJECT,
}

TOP_NAMES = frozenset({"model", *_GENERATE, *_CHAT, *_EMBED, *_SHOW})
"""Keys at the top of a request; one set for all operations, so that a key means the same in each.

Only here and in messages does Go read keys by structs, hence in any case; `options` and tool
arguments are maps, whose keys are taken as they stand.
"""

_SCHEMA_NAMES = _words(
    "$defs $ref additionalProperties allOf anyOf arguments const default description enum examples "
    "exclusiveMaximum exclusiveMinimum function id index items maxItems maxLength maximum minItems "
    "minLength minimum name oneOf parameters pattern properties required strict title type"
)
_OPTION_NAMES = _words(
    "draft_num_predict embedding_only f16_kv frequency_penalty logits_all low_vram main_gpu min_p "
    "mirostat mirostat_eta mirostat_tau num_batch num_ctx num_gpu num_keep num_predict num_thread "
    "numa penalize_newline presence_penalty repeat_last_n repeat_penalty seed stop temperature "
    "tfs_z top_k top_p typical_p use_mlock use_mmap vocab_only"
)
_ROLES = frozenset({"system", "user", "assistant", "tool"})


def _shape(*opaque: str) -> TextShape:
    return TextShape(
        names=TOP_NAMES | frozenset(MESSAGE_CHECKS) | _SCHEMA_NAMES | _OPTION_NAMES,
        content=frozenset(
            {"prompt", "suffix", "system", "template", "input", "input[]"}
            | {"messages[].content", "messages[].thinking"}
        ),
        opaque=frozenset({"model", *opaque}),
        fixed={"messages[].role": _ROLES, "tools[].type": frozenset({"function"})},
        order=("template", "system", "prompt", "suffix", "messages", "thinking", "content"),
    )


ANSWER = AnswerShape(
    names=_words(
        "arguments bytes completed content context created_at done done_reason embedding "
        "embeddings error eval_count eval_duration function id image index load_duration logprob "
        "logprobs message model name prompt_eval_count prompt_eval_duration remote_host "
        "remote_model response role status thinking token tool_calls tool_name top_logprobs total "
        "total_duration _debug_info image_count rendered_template"
    ),
    metadata=frozenset({"model", "created_at", "done_reason", "message.role", "image"}),
    streamed=frozenset(
        {"response", "thinking", "message.content", "message.thinking", "logprobs[].token"}
    ),
)
"""`image` is a generated picture in base64, megabytes of it, and no text."""


def _generating(operation: str, path: str, checks: Mapping[str, Check], shape: TextShape) -> Form:
    return Form(
        operation,
        "POST",
        path,
        f"/api/{operation}",
        framing=Framing.NDJSON,
        streams=Streams.UNLESS_FALSE,
        checks=checks,
        shape=shape,
        answer=ANSWER,
    )


def _embedding(operation: str, checks: Mapping[str, Check]) -> Form:
    path = f"/api/{operation}"
    return Form(operation, "POST", path, path, checks=checks, shape=_shape(), answer=ANSWER)


def _listing(operation: str, method: str) -> Form:
    path = f"/api/{operation}"
    return Form(
        operation, method, path, path, body=Body.NOTHING, reaches_model=False, answer=ANSWER
    )


GENERATING = (
    _generating("generate", "/api/generate", _GENERATE, _shape("images")),
    _generating("generate", "/v1/generate", _GENERATE, _shape("images")),
    _generating("chat", "/api/chat", _CHAT, _shape("messages[].images")),
    _embedding("embed", _EMBED),
    _embedding("embeddings", _EMBEDDINGS),
)
"""What reaches a model. `/v1/generate` is ours: another name of `/api/generate`."""
SHOW = Form(
    "show",
    "POST",
    "/api/show",
    "/api/show",
    reaches_model=False,
    takes_name=True,
    checks=_SHOW,
    shape=_shape(),
    answer=ANSWER,
)
LISTINGS = (
    _listing("version", "GET"),
    _listing("version", "HEAD"),
    _listing("tags", "GET"),
    _listing("tags", "HEAD"),
    _listing("ps", "GET"),
    _listing("status", "GET"),
)
"""What is installed, loaded and running."""
