"""Where text and token counts stand in the answers of `/v1/responses`: a document, typed events."""

from typing import Any

from ogp.core.types import Usage
from ogp.dialects.answers import AnswerShape, counted
from ogp.dialects.sse_answers import AnswerForm
from ogp.dialects.vocabulary import ROLES, SCHEMA_NAMES, words

DELTA_TYPES = words(
    "response.output_text.delta response.refusal.delta response.reasoning_text.delta "
    "response.reasoning_summary_text.delta response.function_call_arguments.delta "
    "response.custom_tool_call_input.delta response.mcp_call_arguments.delta "
    "response.code_interpreter_call_code.delta response.audio.transcript.delta"
)
"""Events whose `delta` continues a text."""
_DONE_TYPES = frozenset(name.removesuffix("delta") + "done" for name in DELTA_TYPES)
TYPES = (
    DELTA_TYPES
    | _DONE_TYPES
    | words(
        "response.created response.queued response.in_progress response.completed "
        "response.incomplete response.failed response.output_item.added response.output_item.done "
        "response.content_part.added response.content_part.done error "
        "response.reasoning_summary_part.added response.reasoning_summary_part.done "
        "response.output_text.annotation.added"
    )
)
_OUTPUT = ("output[]", "response.output[]", "item")
_PARTS = (*(f"{path}.content[]" for path in _OUTPUT), "part")
_ECHOED = words("instructions tools tool_choice text metadata reasoning prompt user")
"""What was asked, repeated; the model had no hand in it."""

ANSWER = AnswerShape(
    names=SCHEMA_NAMES
    | _ECHOED
    | words(
        "annotations background bytes cached_tokens call_id code completed_at content "
        "content_index conversation created_at delta encrypted_content id input output role "
        "status summary effort error frequency_penalty incomplete_details input_tokens "
        "input_tokens_details item item_id logprob logprobs max_output_tokens max_tool_calls "
        "message model object obfuscation output_index output_tokens output_tokens_details "
        "parallel_tool_calls param part presence_penalty previous_response_id prompt_cache_key "
        "reason reasoning_tokens refusal response safety_identifier sequence_number service_tier "
        "store summary_index temperature text token top_logprobs top_p total_tokens truncation "
        "usage verbosity"
    ),
    metadata=frozenset(
        {"id", "model", "item_id", "response.id", "response.model", "obfuscation"}
        | {f"{path}.id" for path in _OUTPUT}
        | _ECHOED - {"text"}
        | {"text.format", "text.verbosity"}
        | {f"response.{name}" for name in _ECHOED}
    ),
    streamed=frozenset({"delta", "logprobs[].token"}),
    fixed={
        "type": TYPES,
        "object": frozenset({"response"}),
        "response.object": frozenset({"response"}),
        **{
            f"{path}status": words("in_progress completed incomplete failed queued cancelled")
            for path in ("", "response.", *(f"{path}." for path in _OUTPUT))
        },
        **{
            f"{path}.type": words("message function_call reasoning custom_tool_call")
            for path in _OUTPUT
        },
        **{f"{path}.role": ROLES for path in _OUTPUT},
        **{f"{path}.type": words("output_text refusal reasoning_text") for path in _PARTS},
        **{f"{path}.summary[].type": frozenset({"summary_text"}) for path in _OUTPUT},
        **{f"{path}truncation": words("auto disabled") for path in ("", "response.")},
        **{f"{path}service_tier": words("auto default") for path in ("", "response.")},
    },
)
"""Texts of an event are told apart by its type and indices, see `prefix`."""

_INDICES = ("output_index", "content_index", "summary_index")


def counts_in(document: Any) -> Usage | None:
    """`usage` of the document, or of the one inside the last event."""
    if not isinstance(document, dict):
        return None
    response = document.get("response", document)
    usage = response.get("usage") if isinstance(response, dict) else None
    return counted(usage, "input_tokens", "output_tokens")


def prefix(document: Any) -> str:
    """Type and indices of an event: two deltas belong together where these are equal."""
    kind = document.get("type") if isinstance(document, dict) else None
    if not isinstance(kind, str):
        return ""
    numbers = (document.get(name) for name in _INDICES)
    places = "".join(f"[{number}]" for number in numbers if type(number) is int)
    return f"{kind if kind in TYPES else '*'}{places}."


ANSWER_FORM = AnswerForm(
    ANSWER,
    counts_in,
    prefix,
    frozenset({"logprobs"} | {f"{path}.logprobs" for path in _PARTS}),
)
