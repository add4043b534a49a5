"""One request per route with every field the route knows, and many that it does not."""

from collections.abc import Mapping
from typing import Any

from tests.support.planted import PARAMETERS, PICTURE, TOOL

BIG = 12345678901234567890
UNKNOWN = {
    "zulu": ["later", {"deep": "gr\u00fc\u00dfe \U0001f469 \u4f60\u597d"}],
    "alpha": 1.5,
    "big": BIG,
}
"""A field of tomorrow."""
_CALL = {"function": {"name": "look", "arguments": {"zone": "north", "area": BIG, "n": None}}}
_OPTIONS = {"temperature": 0.25, "stop": ["END"], "seed": BIG, "num_ctx": 4096}
_ANSWERING = {
    "options": _OPTIONS,
    "keep_alive": "5m",
    "stream": False,
    "format": {"properties": {"zone": {"type": "string"}}},
    "think": "high",
    "logprobs": True,
    "top_logprobs": 2,
    "truncate": True,
    "shift": False,
    "_debug_render_only": False,
}
_GENERATE = {
    "model": "demo",
    **_ANSWERING,
    "template": "{{ .Prompt }}",
    "system": "be brief",
    "prompt": "Why is it so?",
    "suffix": "the end",
    "context": [1, 2],
    "raw": False,
    "images": ["aGk="],
    "width": 1,
    "height": 1,
    "steps": 1,
    "unknown": UNKNOWN,
}
_GENERATING_OPENAI = {
    "stream": False,
    "stream_options": {"include_usage": True},
    "max_tokens": 9,
    "n": 1,
    "seed": BIG,
    "stop": ["END", "STOP"],
    "temperature": 0.25,
    "top_p": 0.5,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "logit_bias": {"50256": -100},
    "user": "somebody",
    "_debug_render_only": False,
    "unknown": UNKNOWN,
}
_OPENAI_MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "be brief", "name": "operator"},
    {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "text", "text": "up"}]},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "what is it", "unknown": UNKNOWN},
            {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
        ],
    },
    {
        "role": "assistant",
        "reasoning": "hm",
        "reasoning_content": "hm hm",
        "content": "let me see",
        "refusal": "not that",
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "index": 0,
                "function": {"name": "look", "arguments": '{"zone": "north"}'},
                "unknown": UNKNOWN,
            }
        ],
        "function_call": {"name": "look", "arguments": "{}"},
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "a lake", "unknown": UNKNOWN},
]
_BLOCKS: list[dict[str, Any]] = [
    {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "is_error": False,
        "content": [{"type": "text", "text": "a lake"}, {"type": "text", "text": "a hill"}],
    },
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srv_1",
        "content": [{"type": "web_search_result", "title": "Lakes", "url": "page"}],
    },
    {"type": "text", "text": "what", "cache_control": {"type": "ephemeral"}, "citations": []},
    {"type": "text", "text": "is it", "unknown": UNKNOWN},
    {
        "type": "document",
        "title": "Hills",
        "context": "of the north",
        "source": {"type": "text", "media_type": "text/plain", "data": "they are green"},
    },
    {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
    },
]
_ANTHROPIC = {
    "model": "demo",
    "system": [{"type": "text", "text": "be brief"}, {"type": "text", "text": "be kind"}],
    "messages": [
        {"role": "user", "content": "hello"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "short"},
                {"type": "text", "text": "let me see"},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": _CALL["function"]},
            ],
        },
        {"role": "user", "content": _BLOCKS, "unknown": UNKNOWN},
    ],
    "tools": [
        {
            "type": "custom",
            "name": "look",
            "description": "looks",
            "input_schema": PARAMETERS,
            "unknown": UNKNOWN,
        }
    ],
    "tool_choice": {"type": "tool", "name": "look"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low"},
    "cache_control": {"type": "ephemeral"},
    "mcp_servers": [],
    "unknown": UNKNOWN,
}
_ITEMS: list[dict[str, Any]] = [
    {"type": "message", "role": "user", "content": "hello", "status": "completed", "id": "m_1"},
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "what"},
            {"type": "input_text", "text": "is it", "unknown": UNKNOWN},
            {"type": "input_image", "detail": "auto", "image_url": PICTURE},
        ],
    },
    {
        "type": "reasoning",
        "summary": [
            {"type": "summary_text", "text": "hm"},
            {"type": "summary_text", "text": "hm hm"},
        ],
        "encrypted_content": "well well",
    },
    {"type": "function_call", "call_id": "c", "name": "look", "arguments": '{"zone": "north"}'},
    {"type": "function_call_output", "call_id": "c", "output": "a lake"},
    {
        "type": "function_call_output",
        "call_id": "c",
        "output": [{"type": "input_text", "text": "a hill"}],
        "unknown": UNKNOWN,
    },
    {"type": "custom_tool_call", "call_id": "c", "name": "look", "input": "north"},
]
_FLAT_TOOL = {
    "type": "function",
    "name": "look",
    "description": "looks",
    "parameters": PARAMETERS,
    "strict": True,
}

RICH: Mapping[str, dict[str, Any]] = {
    "/api/generate": _GENERATE,
    "/v1/generate": _GENERATE,
    "/api/chat": {
        "model": "demo",
        **_ANSWERING,
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "look", "images": ["aGk="], "unknown": UNKNOWN},
            {
                "role": "assistant",
                "thinking": "hm",
                "content": "let me see",
                "tool_calls": [{"id": "c", **_CALL}],
            },
            {"role": "tool", "content": "a lake", "tool_name": "look", "tool_call_id": "c"},
        ],
        "tools": [{**TOOL, "unknown": UNKNOWN}],
        "unknown": UNKNOWN,
    },
    "/api/embed": {
        "model": "demo",
        "input": ["one", "two"],
        "truncate": True,
        "dimensions": 4,
        "keep_alive": -1,
        "options": _OPTIONS,
        "unknown": UNKNOWN,
    },
    "/api/embeddings": {
        "model": "demo",
        "prompt": "one",
        "keep_alive": 5,
        "options": _OPTIONS,
        "unknown": UNKNOWN,
    },
    "/v1/chat/completions": {
        "model": "demo",
        **_GENERATING_OPENAI,
        "messages": _OPENAI_MESSAGES,
        "max_completion_tokens": 9,
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "parallel_tool_calls": True,
        "functions": [{"name": "look", "parameters": PARAMETERS}],
        "function_call": {"name": "look"},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "lake", "schema": PARAMETERS, "strict": True},
        },
        "reasoning": {"effort": "low"},
        "reasoning_effort": "low",
        "logprobs": True,
        "top_logprobs": 2,
        "prediction": {"type": "content", "content": "a lake"},
        "modalities": ["text"],
        "audio": {"format": "wav"},
        "metadata": {"ticket": "seven"},
        "store": False,
        "service_tier": "auto",
    },
    "/v1/completions": {
        "model": "demo",
        **_GENERATING_OPENAI,
        "prompt": "Why?",
        "suffix": "the end",
        "best_of": 1,
        "echo": False,
        "logprobs": 2,
    },
    "/v1/embeddings": {
        "model": "demo",
        "input": ["one", "two"],
        "dimensions": 4,
        "encoding_format": "float",
        "user": "somebody",
        "unknown": UNKNOWN,
    },
    "/v1/responses": {
        "model": "demo",
        "instructions": "be brief",
        "input": _ITEMS,
        "stream": False,
        "stream_options": {"include_obfuscation": False},
        "max_output_tokens": 9,
        "max_tool_calls": 1,
        "temperature": 0.25,
        "top_p": 0.5,
        "top_logprobs": 2,
        "tools": [_FLAT_TOOL, {"type": "namespace", "name": "more", "tools": [_FLAT_TOOL]}],
        "tool_choice": {"type": "function", "name": "look"},
        "parallel_tool_calls": True,
        "text": {"format": {"type": "json_schema", "name": "lake", "schema": PARAMETERS}},
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "truncation": "auto",
        "prompt": {"id": "p_1", "variables": {"city": "Paris"}, "version": "2"},
        "metadata": {"ticket": "seven"},
        "conversation": "conv_1",
        "previous_response_id": "resp_0",
        "background": False,
        "store": False,
        "user": "somebody",
        "service_tier": "auto",
        "_debug_render_only": False,
        "unknown": UNKNOWN,
    },
    "/v1/messages": {
        **_ANTHROPIC,
        "max_tokens": 9,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "somebody"},
        "stream": False,
        "temperature": 0.25,
        "top_p": 0.5,
        "top_k": 4,
    },
    "/v1/messages/count_tokens": _ANTHROPIC,
}
"""By path. Running text stands in the order in which a model reads it."""
