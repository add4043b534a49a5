"""Queues as an operator meets them: the documented `curl` lines, on a real server, with a token."""

import json
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest
import requests

from ogp.core.types import Priority, Role
from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import Proxy

WAIT_S = 10.0
MODEL = "hold"
SLOW = "demo-tokens-100-10ms"
"""Takes a second."""
ANSWER = Script.document({"model": "llama2", "response": "Hello", "done": True, "eval_count": 2})


@pytest.fixture(scope="module")
def shared_proxy(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    with Proxy(tmp_path_factory.mktemp("proxy"), shared_upstream.url, queue__parallel=1) as proxy:
        yield proxy


def curl(proxy: Proxy, line: str, *, token: str | None = None) -> Any:
    """Run a line as it is printed, with a token; its JSON."""
    arguments = shlex.split(line.replace("http://localhost:8080", proxy.url))
    header = f"Authorization: Bearer {token or proxy.admin_token}"
    command = [*arguments, "-sS", "-m", "10", "-H", header]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=WAIT_S * 2)
    return json.loads(done.stdout)


def ask(
    proxy: Proxy, request_id: str = "", model: str = MODEL, **options: Any
) -> requests.Response:
    headers = {"X-Request-ID": request_id} if request_id else {}
    headers |= options.pop("headers", {})
    return proxy.post(
        "/api/generate",
        {"model": model, "prompt": "Test", "stream": options.pop("stream", False)},
        headers=headers,
        **options,
    )


def entry(proxy: Proxy, model: str = MODEL) -> dict[str, Any]:
    models: dict[str, dict[str, Any]] = proxy.get("/queue/stats").json()["models"]
    return models.get(model, {"active_requests": 0, "queued_requests": 0})


def wait_for(proxy: Proxy, active: int, queued: int, model: str = MODEL) -> None:
    """Ask until the figures are there; each answer takes a round trip, so this is no busy loop."""
    deadline = monotonic() + WAIT_S
    while True:
        seen = entry(proxy, model)
        if (seen["active_requests"], seen["queued_requests"]) == (active, queued):
            return
        assert monotonic() < deadline, seen


class Asking:
    """Requests in threads of their own; `answers` by request id once they are there."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy, self.answers = proxy, dict[str, requests.Response]()
        self._threads: dict[str, Thread] = {}

    def start(self, request_id: str, **options: Any) -> None:
        def run() -> None:
            self.answers[request_id] = ask(self._proxy, request_id, **options)

        self._threads[request_id] = Thread(target=run)
        self._threads[request_id].start()

    def answer(self, request_id: str) -> requests.Response:
        self._threads[request_id].join(WAIT_S)
        return self.answers[request_id]

    def join(self) -> None:
        for request_id in self._threads:
            assert self.answer(request_id).status_code == 200


@contextmanager
def held_up(proxy: Proxy, upstream: DemoServer, model: str = MODEL) -> Iterator[Asking]:
    """The model serves its only slot until the body of the `with` ends; then all are served."""
    release = Event()
    upstream.script(model, Script.generate("first", hold_before_head=release), Script.generate("a"))
    asking = Asking(proxy)
    try:
        asking.start("r-running", model=model)
        wait_for(proxy, 1, 0, model)
        yield asking
    finally:
        release.set()
        asking.join()


def test_the_documented_lines_that_look(proxy: Proxy, upstream: DemoServer) -> None:
    upstream.script("llama2", ANSWER)
    assert ask(proxy, model="llama2").status_code == 200
    whole = curl(proxy, "curl http://localhost:8080/queue/stats", token=proxy.token)
    assert whole["models"]["llama2"]["total_processed"] >= 1
    one = curl(proxy, "curl http://localhost:8080/queue/stats?model=llama2", token=proxy.token)
    assert list(one["models"]) == ["llama2"]
    memory = curl(proxy, "curl http://localhost:8080/queue/memory", token=proxy.token)
    assert {"total_gb", "available_gb", "used_gb", "percent", "recommended_parallel"} < set(memory)
    health = curl(proxy, "curl http://localhost:8080/health")
    assert health["concurrency"]["status"] in ("ok", "warning", "critical")
    assert curl(proxy, "curl http://localhost:8080/config")["queue"]["parallel"] == 1


def test_the_documented_line_that_asks(proxy: Proxy, upstream: DemoServer) -> None:
    upstream.script("llama2", ANSWER)
    answer = curl(
        proxy,
        """curl -X POST http://localhost:8080/api/generate -H "Content-Type: application/json" """
        """-d '{"model":"llama2","prompt":"Test","stream":false}'""",
        token=proxy.token,
    )
    assert answer["done"] is True


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (
            """curl -X POST http://localhost:8080/admin/queue/update """
            """-H "Content-Type: application/json" """
            """-d '{"model": "llama2", "parallel_limit": 8, "queue_limit": 1024}'""",
            {"model": "llama2", "parallel_limit": 8, "queue_limit": 1024, "status": "updated"},
        ),
        (
            """curl -X POST http://localhost:8080/admin/queue/update """
            """-d '{"model": "phi3", "parallel_limit": 8}'""",
            {"model": "phi3", "parallel_limit": 8, "queue_limit": 512, "status": "updated"},
        ),
        (
            """curl -X POST http://localhost:8080/admin/queue/update """
            """-d '{"model": "llama3-70b", "parallel_limit": 1}'""",
            {"model": "llama3-70b", "parallel_limit": 1, "queue_limit": 512, "status": "updated"},
        ),
        (
            "curl -X POST 'http://localhost:8080/admin/queue/update?model=qwen3&queue_limit=3'",
            {"model": "qwen3", "parallel_limit": 1, "queue_limit": 3, "status": "updated"},
        ),
        (
            "curl -X POST http://localhost:8080/admin/queue/reset",
            {"status": "success", "message": "Statistics reset for all models"},
        ),
    ],
)
def test_the_documented_lines_that_change(
    proxy: Proxy, line: str, answer: dict[str, object]
) -> None:
    told = curl(proxy, line)
    assert {name: told[name] for name in answer} == answer
    if "model" in answer:
        shown = entry(proxy, str(answer["model"]))
        assert shown["parallel_limit"] == answer["parallel_limit"]
        assert shown["queue_limit"] == answer["queue_limit"]


def test_users_change_nothing(proxy: Proxy) -> None:
    for path in ("update?model=llama2&parallel_limit=1", "reset"):
        assert proxy.post(f"/admin/queue/{path}").status_code == 403


def test_more_slots_take_effect_on_those_who_wait(proxy: Proxy, upstream: DemoServer) -> None:
    with held_up(proxy, upstream, "grows") as asking:
        asking.start("r-next", model="grows")
        wait_for(proxy, 1, 1, "grows")
        proxy.post("/admin/queue/update?model=grows&parallel_limit=2", token=proxy.admin_token)
        assert asking.answer("r-next").status_code == 200
        wait_for(proxy, 1, 0, "grows")


def test_a_reset_keeps_what_runs_and_waits(proxy: Proxy, upstream: DemoServer) -> None:
    with held_up(proxy, upstream) as asking:
        asking.start("r-next")
        wait_for(proxy, 1, 1)
        answer = proxy.post(f"/admin/queue/reset?model={MODEL}", token=proxy.admin_token)
        assert answer.json()["message"] == f"Statistics reset for model {MODEL}"
        seen = entry(proxy)
        assert (seen["active_requests"], seen["queued_requests"]) == (1, 1)
        assert seen["total_processed"] == 0


def test_a_waiting_request_is_found_by_its_owner_alone(proxy: Proxy, upstream: DemoServer) -> None:
    mallory = proxy.new_token("mallory")
    with held_up(proxy, upstream) as asking:
        asking.start("r-second")
        wait_for(proxy, 1, 1)
        asking.start("r-third")
        wait_for(proxy, 1, 2)
        place = proxy.get("/queue/position/r-third").json()
        assert (place["position"], place["ahead"], place["waiting"]) == (2, 1, 2)
        assert proxy.get("/queue/position/r-third", token=proxy.admin_token).json()["ahead"] == 1
        assert proxy.get("/queue/position/r-third", token=mallory).status_code == 404
        assert proxy.get("/queue/position/r-running").status_code == 404
        assert requests.get(f"{proxy.url}/queue/position/r-third", timeout=5).status_code == 401


def test_a_batch_request_comes_after_one_that_somebody_waits_for(
    proxy: Proxy, upstream: DemoServer
) -> None:
    with held_up(proxy, upstream) as asking:
        asking.start("r-batch", headers={"X-OGP-Priority": "batch"})
        wait_for(proxy, 1, 1)
        asking.start("r-interactive")
        wait_for(proxy, 1, 2)
        places = {
            name: proxy.get(f"/queue/position/{name}").json()
            for name in ("r-batch", "r-interactive")
        }
    assert (places["r-interactive"]["position"], places["r-batch"]["position"]) == (1, 2)
    assert places["r-batch"]["priority"] == "batch"


def test_a_token_made_for_batch_asks_for_no_better_class(proxy: Proxy) -> None:
    with proxy.users() as users:
        _, token = users.create("nightly", Role.USER, priority=Priority.BATCH)
    headers = {"X-OGP-Priority": "interactive"}
    refused = ask(proxy, token=token.text, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert "X-OGP-Priority" in refused.json()["message"]
    assert ask(proxy, token=token.text, headers={"X-OGP-Priority": "now"}).status_code == 400


def test_limits_that_persist_outlast_a_restart_and_a_hopeless_wait_is_refused(
    upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    proxy = Proxy(
        tmp_path_factory.mktemp("proxy"),
        upstream.url,
        queue__parallel=1,
        queue__request_timeout_s=0.5,
    )
    with proxy:
        for query in ("model=kept&parallel_limit=7&persist=true", "model=lost&parallel_limit=7"):
            proxy.post(f"/admin/queue/update?{query}", token=proxy.admin_token)
    with proxy:
        stats = proxy.get("/queue/stats").json()["models"]
        assert stats["kept"]["parallel_limit"] == 7
        assert "lost" not in stats
        # One request of a second is measured; the next one in line would come too late.
        assert ask(proxy, model=SLOW, stream=True).status_code == 200
        asking = Asking(proxy)
        asking.start("r-running", model=SLOW, stream=True)
        wait_for(proxy, 1, 0, SLOW)
        refused = ask(proxy, model=SLOW)
        asking.join()
    assert (refused.status_code, refused.json()["code"]) == (503, "queue_wait_too_long")
    assert refused.json()["predicted_wait_s"] > refused.json()["deadline_s"]
    assert refused.json()["position"] == 1
    assert int(refused.headers["Retry-After"]) >= 1
