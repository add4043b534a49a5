"""What OpenAI's routes take and give: paths, fields, and where text stands in them."""

from collections.abc import Mapping

from ogp.dialects.content_parts import PartKinds
from ogp.dialects.fields import Check, typed
from ogp.dialects.forms import Body, Caller, Form, Framing, Streams
from ogp.dialects.openai_answers import ANSWER
from ogp.dialects.text import TextShape
from ogp.dialects.vocabulary import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    OBJECT,
    OBJECTS,
    ROLES,
    SCHEMA_NAMES,
    STRING,
    STRING_OR_OBJECT,
    STRING_OR_STRINGS,
    STRINGS,
    either,
    words,
)

_GENERATING: Mapping[str, Check] = {
    "stream": BOOLEAN,
    "stream_options": OBJECT,
    "max_tokens": INTEGER,
    "n": INTEGER,
    "seed": INTEGER,
    "stop": STRING_OR_STRINGS,
    "temperature": NUMBER,
    "top_p": NUMBER,
    "frequency_penalty": NUMBER,
    "presence_penalty": NUMBER,
    "logit_bias": OBJECT,
    "user": STRING,
    "_debug_render_only": BOOLEAN,
}
_CHAT: Mapping[str, Check] = {
    **_GENERATING,
    "messages": OBJECTS,
    "max_completion_tokens": INTEGER,
    "tools": OBJECTS,
    "tool_choice": STRING_OR_OBJECT,
    "parallel_tool_calls": BOOLEAN,
    "functions": OBJECTS,
    "function_call": STRING_OR_OBJECT,
    "response_format": OBJECT,
    "reasoning": OBJECT,
    "reasoning_effort": STRING,
    "logprobs": BOOLEAN,
    "top_logprobs": INTEGER,
    "prediction": OBJECT,
    "modalities": STRINGS,
    "audio": OBJECT,
    "metadata": OBJECT,
    "store": BOOLEAN,
    "service_tier": STRING,
}
MESSAGE_CHECKS: Mapping[str, Check] = {
    "role": STRING,
    "reasoning": STRING,
    "reasoning_content": STRING,
    "refusal": STRING,
    "name": STRING,
    "tool_calls": OBJECTS,
    "tool_call_id": STRING,
    "function_call": OBJECT,
}
CALL_CHECKS: Mapping[str, Check] = {
    "id": STRING,
    "type": STRING,
    "index": INTEGER,
    "function": OBJECT,
}
FUNCTION_CHECKS: Mapping[str, Check] = {
    "name": STRING,
    "arguments": typed("JSON in a string", str),
}
MESSAGE_NAMES = frozenset({"content", *MESSAGE_CHECKS})
PARTS = PartKinds({"text": "text", "refusal": "refusal"}, words("image_url input_audio"))
"""Parts of a message's content."""

_COMPLETIONS: Mapping[str, Check] = {
    **_GENERATING,
    "prompt": typed("a string; lists of strings or of token ids are not supported", str),
    "suffix": STRING,
    "best_of": INTEGER,
    "echo": BOOLEAN,
    "logprobs": INTEGER,
}
_EMBEDDINGS: Mapping[str, Check] = {
    "input": either(
        "a string or a list of strings; token ids cannot be scanned",
        str,
        items=typed("a string; token ids cannot be scanned", str),
    ),
    "dimensions": INTEGER,
    "encoding_format": STRING,
    "user": STRING,
}
TOP_NAMES = frozenset({"model", *_CHAT, *_COMPLETIONS, *_EMBEDDINGS})
"""Keys at the top of a request; one set for all routes, so that a key means the same in each."""

_SHAPE = TextShape(
    names=TOP_NAMES
    | MESSAGE_NAMES
    | SCHEMA_NAMES
    | words("text image_url url detail input_audio data format include_usage effort json_schema"),
    content=frozenset(
        {"prompt", "suffix", "input", "input[]", "prediction.content", "prediction.content[].text"}
        | {f"messages[].{name}" for name in words("content reasoning reasoning_content refusal")}
        | {"messages[].content[].text", "messages[].content[].refusal"}
    ),
    opaque=frozenset(
        {"model", "messages[].content[].image_url.url", "messages[].content[].input_audio.data"}
    ),
    fixed={
        "messages[].role": ROLES,
        "messages[].content[].type": words("text refusal image_url input_audio"),
        "messages[].tool_calls[].type": frozenset({"function"}),
        "tools[].type": frozenset({"function"}),
        "tool_choice": words("auto none required"),
        "response_format.type": words("text json_object json_schema"),
        "encoding_format": words("float base64"),
        "reasoning_effort": words("none minimal low medium high max"),
        "reasoning.effort": words("none minimal low medium high max"),
    },
    order=("prompt", "suffix", "messages", "reasoning", "reasoning_content", "content"),
)

CHAT = Form(
    "chat_completions",
    "POST",
    "/v1/chat/completions",
    "/v1/chat/completions",
    framing=Framing.SSE,
    streams=Streams.IF_TRUE,
    checks=_CHAT,
    shape=_SHAPE,
    answer=ANSWER,
)
COMPLETIONS = Form(
    "completions",
    "POST",
    "/v1/completions",
    "/v1/completions",
    framing=Framing.SSE,
    streams=Streams.IF_TRUE,
    checks=_COMPLETIONS,
    shape=_SHAPE,
    answer=ANSWER,
)
EMBEDDINGS = Form(
    "embeddings",
    "POST",
    "/v1/embeddings",
    "/v1/embeddings",
    checks=_EMBEDDINGS,
    shape=_SHAPE,
    answer=ANSWER,
)
MODELS = Form(
    "models",
    "GET",
    "/v1/models",
    "/v1/models",
    body=Body.NOTHING,
    reaches_model=False,
    answer=ANSWER,
)
MODEL = Form(
    "model",
    "GET",
    "/v1/models/{model}",
    "/v1/models/{model}",
    body=Body.NOTHING,
    reaches_model=False,
    answer=ANSWER,
)
TRANSCRIPTIONS = Form(
    "transcriptions",
    "POST",
    "/v1/audio/transcriptions",
    "/v1/audio/transcriptions",
    caller=Caller.NOBODY,
    body=Body.BYTES,
    why="Transcriptions are not served here: no scanner reads sound, and its words reach a model.",
)
FORMS: tuple[Form, ...] = (CHAT, COMPLETIONS, EMBEDDINGS, MODELS, MODEL, TRANSCRIPTIONS)
"""Every route of the dialect but `/v1/responses`."""
