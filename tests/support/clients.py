"""The official clients of OpenAI and Anthropic, for one call each, and what is left of a call."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import anthropic
import openai

from ogp.demo.ledger import RecordedRequest
from ogp.demo.server import DemoServer
from tests.support.proxy import WAIT_S, Proxy

Call = Callable[[Any], Any]
"""Takes a client, of either kind; what it gives may be a stream or have to be awaited."""


def ask_openai(url: str, token: str, call: Call, **options: Any) -> Any:
    """What a call gives; of a stream its events.

    Args:
        url: of the proxy, or of a server.
        token: goes where an API key would.
        call: the call.
        options: of the client; it repeats nothing unless they say so.
    """
    settings = {"max_retries": 0, "timeout": WAIT_S, **options}
    with openai.OpenAI(base_url=f"{url}/v1", api_key=token, **settings) as client:
        found = call(client)
        return list(found) if isinstance(found, openai.Stream) else found


def ask_openai_async(url: str, token: str, call: Call) -> Any:
    """The same, of the asynchronous client."""

    async def run() -> Any:
        async with openai.AsyncOpenAI(
            base_url=f"{url}/v1", api_key=token, max_retries=0, timeout=WAIT_S
        ) as client:
            return await _awaited(call(client), openai.AsyncStream)

    return asyncio.run(run())


def ask_anthropic(url: str, token: str, call: Call, **options: Any) -> Any:
    """What a call gives; of a stream its events. `auth_token` in `options` replaces the key."""
    settings = {"max_retries": 0, "timeout": WAIT_S, "api_key": token, **options}
    with anthropic.Anthropic(base_url=url, **settings) as client:
        found = call(client)
        return list(found) if isinstance(found, anthropic.Stream) else found


def ask_anthropic_async(url: str, token: str, call: Call) -> Any:
    """The same, of the asynchronous client."""

    async def run() -> Any:
        async with anthropic.AsyncAnthropic(
            base_url=url, api_key=token, max_retries=0, timeout=WAIT_S
        ) as client:
            return await _awaited(call(client), anthropic.AsyncStream)

    return asyncio.run(run())


def last_row(proxy: Proxy) -> dict[str, Any]:
    """The newest row of the request log, once its request has ended.

    Clients that stop reading at the last event are ahead of the end of the answer.
    """
    deadline = monotonic() + WAIT_S
    while (row := proxy.rows()[-1])["state"] != "finished":
        assert monotonic() < deadline, row
        proxy.get("/health")  # a round trip, so that this is no busy loop
    return row


def asked_of(upstream: DemoServer) -> list[RecordedRequest]:
    """What reached the server, but for the proxy's own look at how it is."""
    return [seen for seen in upstream.requests if seen.path not in _PROBED]


_PROBED = ("/", "/api/tags", "/api/ps", "/api/version")


async def _awaited(call: Any, stream: Any) -> Any:
    found = await call
    return [event async for event in found] if isinstance(found, stream) else found
