"""Requests that wait in a real proxy's queue, in threads of the test."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import Any

import requests

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import WAIT_S, Proxy


class Crowd:
    """Sends requests at once or one after the other, and keeps the answers. For one thread."""

    def __init__(self, proxy: Proxy, model: str, release: Event) -> None:
        self._proxy, self._model, self._release = proxy, model, release
        self._threads: list[Thread] = []
        self.answers: dict[str, requests.Response] = {}
        """By the name a request was given, once its answer is there."""

    def send(self, name: str, *, path: str = "/api/generate", **options: Any) -> None:
        """Send one; its prompt and its id are its name."""
        headers = {"X-Request-ID": name, **options.pop("headers", {})}
        document = {"model": self._model, "prompt": name, "stream": False}

        def run() -> None:
            answer = self._proxy.post(
                path, document, headers=headers, timeout=6 * WAIT_S, **options
            )
            self.answers[name] = answer

        self._threads.append(Thread(target=run))
        self._threads[-1].start()

    def send_in_turn(self, *names: str, waiting: int = 0, **options: Any) -> int:
        """Send several, each once the one before waits; how many wait then.

        Args:
            waiting: how many wait already.
        """
        for name in names:
            self.send(name, **options)
            waiting += 1
            wait_until(self._proxy, self._model, queued_requests=waiting)
        return waiting

    def let_go(self) -> None:
        """Let the request that holds the slot end."""
        self._release.set()

    def join(self) -> None:
        """Wait for all answers."""
        for thread in self._threads:
            thread.join(6 * WAIT_S)
            assert not thread.is_alive()


@contextmanager
def held(
    proxy: Proxy, upstream: DemoServer, model: str, *, answer: Script | None = None
) -> Iterator[Crowd]:
    """The model's one slot is taken until `let_go`, at the latest until the `with` ends.

    Args:
        answer: what all later requests get; None gives them the look-alike's own answers.
    """
    release = Event()
    crowd = Crowd(proxy, model, release)
    # After its first byte, as it would time out before.
    upstream.script(model, Script.generate("first", model=model, hold_after=(1, release)))
    try:
        crowd.send("first")
        wait_until(proxy, model, active_requests=1, queued_requests=0)
        assert upstream.wait_for(lambda: upstream.active(model) == 1, WAIT_S)
        upstream.script(model, *(() if answer is None else (answer,)))
        yield crowd
    finally:
        release.set()
        crowd.join()


def prompts(upstream: DemoServer) -> list[str]:
    """What was asked of the model, in the order it came there."""
    return [seen.document["prompt"] for seen in upstream.requests_to("/api/generate")]


def wait_until(proxy: Proxy, model: str, **expected: int) -> None:
    """Ask until the figures are there; each answer takes a round trip, so this is no busy loop."""
    deadline = monotonic() + WAIT_S
    while True:
        seen = proxy.get("/queue/stats").json()["models"].get(model, {})
        if all(seen.get(name, 0) == value for name, value in expected.items()):
            return
        assert monotonic() < deadline, f"{seen} instead of {expected}"
