"""Where text and token counts stand in OpenAI's answers: chat, completions, vectors, models."""

from typing import Any

from ogp.core.types import Usage
from ogp.dialects.answers import AnswerShape, counted
from ogp.dialects.sse_answers import AnswerForm
from ogp.dialects.vocabulary import ROLES, words

_GROWING = words(
    "content content[].text reasoning reasoning_content refusal function_call.name "
    "function_call.arguments tool_calls[].function.name tool_calls[].function.arguments"
)
ANSWER = AnswerShape(
    names=words(
        "_debug_info arguments audio bytes cached_tokens choices code completion_tokens "
        "completion_tokens_details content created data delta details embedding error "
        "finish_reason function function_call id image_count index logprob logprobs message model "
        "name object owned_by param prompt_tokens prompt_tokens_details reasoning "
        "reasoning_content reasoning_tokens refusal rendered_template role service_tier "
        "system_fingerprint text text_offset token token_logprobs tokens tool_calls top_logprobs "
        "total_tokens type usage"
    ),
    metadata=frozenset({"id", "model", "system_fingerprint", "data[].embedding"}),
    streamed=frozenset(
        {f"choices[].delta.{name}" for name in _GROWING}
        | {"choices[].text", "choices[].logprobs.tokens[]", "choices[].logprobs.content[].token"}
        | {"choices[].logprobs.refusal[].token"}
    ),
    fixed={
        "object": words("chat.completion chat.completion.chunk text_completion list model"),
        "choices[].delta.role": ROLES,
        "choices[].message.role": ROLES,
        "choices[].finish_reason": words("stop length tool_calls content_filter function_call"),
        "choices[].delta.tool_calls[].type": frozenset({"function"}),
        "choices[].message.tool_calls[].type": frozenset({"function"}),
        "data[].object": words("embedding model"),
        "service_tier": words("auto default"),
    },
    numbered={
        "choices": "index",
        "choices[].delta.tool_calls": "index",
        "choices[].message.tool_calls": "index",
    },
)


def counts_in(document: Any) -> Usage | None:
    """`usage`, in the last chunk where it was asked for, else in the document."""
    usage = document.get("usage") if isinstance(document, dict) else None
    return counted(usage, "prompt_tokens", "completion_tokens")


ANSWER_FORM = AnswerForm(ANSWER, counts_in, stale=frozenset({"choices[].logprobs"}))
