"""Where Anthropic's answers and events hold what, and how their texts are told apart."""

from typing import Any

from ogp.core.types import Usage
from ogp.dialects.answers import AnswerShape, Texts, counted
from ogp.dialects.vocabulary import words

EVENT_TYPES = words(
    "content_block_delta content_block_start content_block_stop error message_delta message_start "
    "message_stop ping"
)
_BLOCK_TYPES = words(
    "redacted_thinking server_tool_use text thinking tool_use web_search_result "
    "web_search_tool_result web_search_tool_result_error"
)
_STOP_REASONS = words(
    "end_turn max_tokens model_context_window_exceeded pause_turn refusal stop_sequence tool_use"
)
_MESSAGES = ("", "message.")
_BLOCKS = ("content[].", "message.content[].", "content_block.", "delta.")

ANSWER = AnswerShape(
    names=words(
        "caller cache_creation cache_creation_input_tokens cache_read_input_tokens citation "
        "citations cited_text container content content_block data delta document_index "
        "document_title encrypted_content encrypted_index end_char_index error error_code "
        "explanation category id index input input_tokens message model name output_tokens "
        "page_age partial_json request_id role server_tool_use service_tier signature "
        "start_char_index stop_details stop_reason stop_sequence text thinking title tool_use_id "
        "type url usage web_search_requests"
    ),
    metadata=frozenset(
        {"request_id"}
        | {f"{message}{name}" for message in _MESSAGES for name in ("id", "model")}
        | {
            f"{block}{name}"
            for block in _BLOCKS
            for name in ("data", "encrypted_content", "id", "signature", "tool_use_id")
        }
        | {f"{block}content[].encrypted_content" for block in _BLOCKS}
        | {f"{block}citations[].encrypted_index" for block in _BLOCKS}
        | {"delta.citation.encrypted_index"}
    ),
    streamed=frozenset(
        {"delta.partial_json"}
        | {f"{block}{name}" for block in _BLOCKS for name in ("text", "thinking")}
    ),
    fixed={
        "type": EVENT_TYPES | {"message"},
        "message.type": words("message"),
        "delta.type": words(
            "citations_delta input_json_delta signature_delta text_delta thinking_delta"
        ),
        **{f"{block}type": _BLOCK_TYPES for block in _BLOCKS[:3]},
        **{f"{block}content[].type": _BLOCK_TYPES for block in _BLOCKS[:3]},
        **{f"{message}role": words("assistant") for message in _MESSAGES},
        **{f"{message}stop_reason": _STOP_REASONS for message in (*_MESSAGES, "delta.")},
    },
    numbered={"content": "", "message.content": ""},
)
"""Of documents and events; no path means two things. What is in `metadata` is made up by the
upstream, signed or encrypted."""


def tell_apart(texts: Texts, document: Any) -> Texts:
    """Name the texts of an event as a document with the same answer does: `content[0].text`."""
    number = document.get("index") if isinstance(document, dict) else None
    block = f"content[{number if type(number) is int else ''}]."
    return [(_named(channel, block), text) for channel, text in texts]


def holds_input(channel: str) -> bool:
    """Whether it is JSON in pieces: the input of a tool."""
    return channel.endswith("].partial_json")


def _named(channel: str, block: str) -> str:
    for prefix in ("content_block.", "delta."):
        if channel.startswith(prefix) and not channel.startswith("delta.stop_"):
            return block + channel.removeprefix(prefix)
    return channel.removeprefix("message.") if channel.startswith("message.content[") else channel


def counts_in(document: Any) -> Usage | None:
    """Token counts of a document, or of the first or the last but one event of a stream.

    What was read from or written to a cache of prompts is part of the prompt.
    """
    if not isinstance(document, dict):
        return None
    message = document.get("message")
    usage = (message if isinstance(message, dict) else document).get("usage")
    found = counted(usage, "input_tokens", "output_tokens")
    if found is None or found.prompt_tokens is None:
        return found
    created = counted(usage, "cache_creation_input_tokens", "cache_read_input_tokens") or Usage()
    cached = (created.prompt_tokens or 0) + (created.completion_tokens or 0)
    return Usage(found.prompt_tokens + cached, found.completion_tokens)


def later(before: Usage, now: Usage) -> Usage:
    """Counts of a stream so far: later ones are totals, and some leave out what is known."""
    return Usage(
        now.prompt_tokens or before.prompt_tokens,
        before.completion_tokens if now.completion_tokens is None else now.completion_tokens,
    )
