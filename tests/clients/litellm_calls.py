"""Calls of litellm by all its providers that fit: python litellm_calls.py URL TOKEN.

With the token - only those that an Ollama server itself answers.
"""

import os
import sys
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no network at its import

import litellm
from outcomes import Call, collected, tell

URL, TOKEN = sys.argv[1:3]
MESSAGES = [{"role": "user", "content": "Why is the sky blue?"}]
BANNED = [{"role": "user", "content": "Where is the violet submarine?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
BASES = {"ollama": URL, "ollama_chat": URL, "openai": f"{URL}/v1", "anthropic": URL}
LEAKS = {"ollama_chat": "leaky-stream", "openai": "leaky-chat", "anthropic": "leaky-message"}


def access(provider: str, token: str = TOKEN) -> dict[str, Any]:
    """Where a provider calls, and how it is told the token."""
    given: dict[str, Any] = {"api_base": BASES[provider], "api_key": token}
    if provider == "ollama":  # it sends no key by itself, to /api/embed nothing at all
        given["extra_headers"] = {"Authorization": f"Bearer {token}"}
    return given


def calls_of(provider: str) -> dict[str, Call]:
    """What a server itself answers as well."""
    model, given = f"{provider}/demo", access(provider)
    ask = {"model": model, "messages": MESSAGES, **given}
    tooled = {**ask, "messages": [{"role": "user", "content": "Use the tool for Paris"}]}
    return {
        f"{provider}": lambda: litellm.completion(**ask),
        f"{provider}, streamed": lambda: collected(litellm.completion(**ask, stream=True)),
        f"{provider}, tools": lambda: litellm.completion(**tooled, tools=[WEATHER]),
        f"{provider}, not there": lambda: litellm.completion(
            **{**ask, "model": f"{provider}/nobody"}
        ),
        f"{provider}, error in the stream": lambda: collected(
            litellm.completion(**{**ask, "model": f"{provider}/error-in-stream"}, stream=True)
        ),
    }


def own_calls_of(provider: str) -> dict[str, Call]:
    """What the proxy answers by itself."""
    ask = {"model": f"{provider}/demo", "messages": BANNED, **access(provider)}
    calls: dict[str, Call] = {
        f"{provider}, wrong token": lambda: litellm.completion(
            model=f"{provider}/demo", messages=MESSAGES, **access(provider, "nobody's")
        ),
        f"{provider}, banned prompt": lambda: litellm.completion(**ask),
        f"{provider}, banned prompt, streamed": lambda: collected(
            litellm.completion(**ask, stream=True)
        ),
    }
    if provider in LEAKS:
        leak = {"model": f"{provider}/{LEAKS[provider]}", "messages": MESSAGES, **access(provider)}
        calls[f"{provider}, banned answer"] = lambda: collected(
            litellm.completion(**leak, stream=True)
        )
    return calls


def main() -> None:
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.num_retries = 0
    calls: dict[str, Call] = {}
    for provider in BASES:
        calls |= calls_of(provider)
    calls["openai, embeddings"] = lambda: litellm.embedding(
        model="openai/demo", input=["hello", "world"], **access("openai")
    )
    calls["openai, completion"] = lambda: litellm.text_completion(
        model="text-completion-openai/demo", prompt="Why?", **access("openai")
    )
    if TOKEN != "-":
        for provider in BASES:
            calls |= own_calls_of(provider)
        calls["ollama, embeddings"] = lambda: litellm.embedding(
            model="ollama/demo", input=["hello"], **access("ollama")
        )
    tell(calls)


main()
