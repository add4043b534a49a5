"""Calls of langchain-ollama: python langchain_calls.py URL TOKEN.

With the token - only those that an Ollama server itself answers.
"""

import asyncio
import sys
from typing import Any

from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM
from outcomes import Call, collected, tell

URL, TOKEN = sys.argv[1:3]
ASK = "Why is the sky blue?"
BANNED = "Where is the violet submarine?"


def access(token: str) -> dict[str, Any]:
    """Where to call, and the token."""
    return {
        "base_url": URL,
        "client_kwargs": {"headers": {"Authorization": f"Bearer {token}"}},
    }


def chat(model: str = "demo", token: str = TOKEN) -> ChatOllama:
    return ChatOllama(model=model, **access(token))


@tool
def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"22 degrees in {city}"


async def streamed(model: ChatOllama) -> list[Any]:
    return [part async for part in model.astream(ASK)]


SAME: dict[str, Call] = {
    "invoke": lambda: chat().invoke(ASK),
    "invoke with a system message": lambda: chat().invoke([("system", "be brief"), ("user", ASK)]),
    "stream": lambda: collected(chat().stream(ASK)),
    "stream, asynchronous": lambda: asyncio.run(streamed(chat())),
    "tools": lambda: chat().bind_tools([get_weather]).invoke("Use the tool for Paris"),
    "batch": lambda: chat().batch([ASK, "Why not?"], {"max_concurrency": 1}),
    "thinking": lambda: chat().bind(reasoning=True).invoke(ASK),
    "completion": lambda: OllamaLLM(model="demo", **access(TOKEN)).invoke(ASK),
    "embeddings": lambda: OllamaEmbeddings(model="demo", **access(TOKEN)).embed_documents(
        ["hello", "world"]
    ),
    "not there": lambda: chat("nobody").invoke(ASK),
}
OWN: dict[str, Call] = {
    "wrong token": lambda: chat(token="nobody's").invoke(ASK),
    "banned prompt": lambda: chat().invoke(BANNED),
    "banned prompt, streamed": lambda: collected(chat().stream(BANNED)),
    "banned prompt, completion": lambda: OllamaLLM(model="demo", **access(TOKEN)).invoke(BANNED),
    "banned text to embed": lambda: OllamaEmbeddings(model="demo", **access(TOKEN)).embed_documents(
        [BANNED]
    ),
    "banned answer": lambda: collected(chat("leaky-stream").stream(ASK)),
}

tell(SAME if TOKEN == "-" else {**SAME, **OWN})
