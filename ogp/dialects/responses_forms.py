"""What OpenAI's `/v1/responses` takes and gives: fields, and where text stands in them."""

from collections.abc import Mapping

from ogp.dialects.content_parts import PartKinds
from ogp.dialects.fields import Check, typed
from ogp.dialects.forms import Form, Framing, Streams
from ogp.dialects.responses_answers import ANSWER
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
    STRINGS,
    either,
    words,
)

_TOP: Mapping[str, Check] = {
    "input": either("a string or a list of items", str, items=OBJECT),
    "instructions": STRING,
    "stream": BOOLEAN,
    "stream_options": OBJECT,
    "max_output_tokens": INTEGER,
    "max_tool_calls": INTEGER,
    "temperature": NUMBER,
    "top_p": NUMBER,
    "top_logprobs": INTEGER,
    "tools": OBJECTS,
    "tool_choice": STRING_OR_OBJECT,
    "parallel_tool_calls": BOOLEAN,
    "text": OBJECT,
    "reasoning": OBJECT,
    "include": STRINGS,
    "truncation": STRING,
    "prompt": OBJECT,
    "metadata": OBJECT,
    "conversation": STRING_OR_OBJECT,
    "previous_response_id": STRING,
    "background": BOOLEAN,
    "store": BOOLEAN,
    "user": STRING,
    "service_tier": STRING,
    "_debug_render_only": BOOLEAN,
}
TOP_NAMES = frozenset({"model", *_TOP})
ITEM_CHECKS: Mapping[str, Check] = {
    "type": STRING,
    "role": STRING,
    "id": STRING,
    "status": STRING,
    "call_id": STRING,
    "name": STRING,
    "arguments": typed("JSON in a string", str),
    "encrypted_content": STRING,
    "summary": OBJECTS,
}
ITEM_NAMES = frozenset({"content", "output", "input", *ITEM_CHECKS})
SUMMARY_NAMES = words("type text")
PARTS = PartKinds(
    {
        "input_text": "text",
        "output_text": "text",
        "text": "text",
        "summary_text": "text",
        "reasoning_text": "text",
        "refusal": "refusal",
    },
    words("input_image input_audio"),
)
"""Parts of an item's content or output."""
_PART_PATHS = ("input[].content[]", "input[].output[]")

_SHAPE = TextShape(
    names=TOP_NAMES
    | ITEM_NAMES
    | SCHEMA_NAMES
    | words("refusal image_url detail file_id input_audio data annotations logprobs effort")
    | words("generate_summary variables version include_usage"),
    content=frozenset(
        {"instructions", "input", "input[].encrypted_content", "input[].summary[].text"}
        | {"input[].content", "input[].output", "input[].input"}
        | {f"{path}.{name}" for path in _PART_PATHS for name in ("text", "refusal")}
    ),
    opaque=frozenset(
        {"model"}
        | {f"{path}.image_url" for path in _PART_PATHS}
        | {f"{path}.input_audio.data" for path in _PART_PATHS}
    ),
    fixed={
        "input[].type": words(
            "message function_call function_call_output reasoning custom_tool_call "
            "custom_tool_call_output"
        ),
        "input[].role": ROLES,
        "input[].status": words("in_progress completed incomplete"),
        "input[].summary[].type": frozenset({"summary_text"}),
        **{f"{path}.type": frozenset(PARTS.texts) | PARTS.others for path in _PART_PATHS},
        "tools[].type": words("function custom namespace"),
        "tool_choice": words("auto none required"),
        "text.format.type": words("text json_object json_schema"),
        "truncation": words("auto disabled"),
        "reasoning.effort": words("none minimal low medium high max"),
        "reasoning.summary": words("auto concise detailed"),
    },
    order=("instructions", "input", "summary", "encrypted_content", "content", "output"),
)

RESPONSES = Form(
    "responses",
    "POST",
    "/v1/responses",
    "/v1/responses",
    framing=Framing.SSE,
    streams=Streams.IF_TRUE,
    checks=_TOP,
    shape=_SHAPE,
    answer=ANSWER,
)
FORMS = (RESPONSES,)
"""Every route of the dialect."""
