"""Killing the worker loses no row: nothing is served unrecorded, and nothing is recorded twice."""

import random
import sqlite3
from pathlib import Path
from threading import Event, Lock, Thread
from uuid import uuid4

import pytest
import requests

from ogp.demo.server import DemoServer
from tests.support.proxy import Proxy

KILLS = 20
CLIENTS = 6
ASK = {"messages": [{"role": "user", "content": "hi"}]}


class Load:
    """Clients that ask without a pause and note which answers they saw to the end."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._stopping = Event()
        self._lock = Lock()  # guards the two below
        self.answered: dict[str, int] = {}
        self.broken = 0
        self._threads = [Thread(target=self._ask, args=(seed,)) for seed in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self._stopping.is_set():
            request_id = uuid4().hex
            stream = chance.random() < 0.5
            model = chance.choice(["demo-tokens-5-1ms", "demo-tokens-2-0ms"])
            try:
                answer = self._proxy.post(
                    "/api/chat",
                    {**ASK, "model": model, "stream": stream},
                    headers={"X-Request-ID": request_id},
                )
            except requests.RequestException:
                with self._lock:
                    self.broken += 1
                continue
            with self._lock:
                self.answered[request_id] = answer.status_code

    def count(self) -> int:
        with self._lock:
            return len(self.answered)


@pytest.mark.timeout(300)
def test_kill_9_of_the_worker_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with DemoServer() as upstream, Proxy(tmp_path, upstream.url) as proxy:
        with Load(proxy) as load:
            for _ in range(KILLS):
                before = load.count()
                assert upstream.wait_for(lambda b=before: load.count() >= b + 20, 20)
                proxy.kill_worker()
        rows = proxy.rows("path = '/api/chat'")
        by_request = {row["request_id"]: row for row in rows}
        assert len(by_request) == len(rows), "a request has two rows"
        for request_id, status in load.answered.items():
            row = by_request[request_id]
            assert (row["state"], row["response_status"]) == ("finished", status)
            assert row["outcome"] == "complete"
        seen_upstream = {
            request.headers["x-request-id"] for request in upstream.requests_to("/api/chat")
        }
        assert seen_upstream <= set(by_request), "served without a row"
        assert [row for row in rows if row["state"] == "started"] == []
        assert load.broken >= 1, "nobody was interrupted: the test showed nothing"
        assert any(row["state"] == "aborted" for row in rows)
        with sqlite3.connect(proxy.database_path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
