"""Several servers as one, over real sockets: who gets what, and what happens when one goes."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any

import pytest
import requests

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import Proxy
from tests.support.servers import proxy_before

GB = 1_000_000_000
WAIT_S = 15.0
EVERYWHERE = tuple(f"shared-{number}" for number in range(4))
LARGE = tuple(f"large-{number}" for number in range(3))
ONLY_SMALL = tuple(f"small-{number}" for number in range(3))
MODELS = (*EVERYWHERE, *LARGE, *ONLY_SMALL)


class Site:
    """`fast` is preferred, `small` takes models up to 8 GB, `spare` comes last."""

    def __init__(self) -> None:
        self.servers = {name: DemoServer() for name in ("fast", "small", "spare")}
        for name, server in self.servers.items():
            for model in EVERYWHERE:
                server.install(model, 4 * GB)
            for model in LARGE:
                server.install(model, 40 * GB)
            for model in ONLY_SMALL if name == "small" else ():
                server.install(model, 2 * GB)
            server.start()

    def proxy(self, directory: Path, **options: Any) -> Proxy:
        entries = {
            "fast": {"priority": 1},
            "small": {"priority": 2, "max_memory_gb": 8},
            "spare": {"priority": 3},
        }
        return proxy_before(directory, self.servers, entries=entries, **options)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    for server in site.servers.values():
        server.stop()


@pytest.fixture
def proxy(site: Site, tmp_path: Path) -> Iterator[Proxy]:
    with site.proxy(tmp_path) as proxy:
        wait_until(proxy, lambda servers: all(s["status"] == "healthy" for s in servers.values()))
        yield proxy


def wait_until(proxy: Proxy, holds: Callable[[dict[str, Any]], bool]) -> None:
    """Wait for what probes find out; each look is a request."""
    deadline = time.monotonic() + WAIT_S
    while not holds(proxy.get("/health").json()["servers"]):
        assert time.monotonic() < deadline, proxy.get("/health").json()["servers"]


def ask(proxy: Proxy, model: str, **options: Any) -> tuple[int, str]:
    """Status, and the server that answered."""
    document = {"model": model, "prompt": "hi", "stream": False}
    answer = proxy.post("/api/generate", document, **options)
    route = answer.headers.get("X-OGP-Route", "")
    return answer.status_code, route.partition('server="')[2].partition('"')[0]


def expected(model: str, away: frozenset[str]) -> str:
    """The oracle: the rules of this site in words of its own."""
    if model in ONLY_SMALL:
        return "small"
    order = ("fast", "spare") if model in LARGE else ("fast", "small", "spare")
    return next(name for name in order if name not in away)


def burst(proxy: Proxy, count: int, away: frozenset[str]) -> list[float]:
    """Ask for every model in turn, eight at once; every answer must be the oracle's."""
    models = [m for m in MODELS if not (m in ONLY_SMALL and "small" in away)]
    asked = [models[number % len(models)] for number in range(count)]

    def one(model: str) -> tuple[str, int, str, float]:
        started = time.perf_counter()
        status, server = ask(proxy, model)
        return model, status, server, time.perf_counter() - started

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, asked))
    wrong = Counter(
        (model, status, server)
        for model, status, server, _ in answers
        if (status, server) != (200, expected(model, away))
    )
    assert wrong == Counter()
    return [elapsed_s for *_, elapsed_s in answers]


NOBODY: frozenset[str] = frozenset()


def test_every_request_goes_where_the_rules_say_while_one_is_killed_revived_and_hung(
    site: Site, proxy: Proxy
) -> None:
    fast = site.servers["fast"]
    usual_s = median(burst(proxy, 60, NOBODY))
    fast.stop()
    # Nobody has told the proxy: the first refused connection does, and the request goes on.
    burst(proxy, 60, frozenset({"fast"}))
    fast.start()
    wait_until(proxy, lambda servers: servers["fast"]["breaker"] == "closed")
    burst(proxy, 40, NOBODY)
    hold = Event()
    for path in ("/api/version", "/api/tags", "/api/generate"):
        fast.script(path, Script(hold_before_head=hold))
    wait_until(proxy, lambda servers: servers["fast"]["status"] == "unhealthy")
    hung_s = median(burst(proxy, 60, frozenset({"fast"})))
    hold.set()
    assert hung_s < 3 * usual_s + 0.05  # two cores and other work: a smoke test of the figure
    assert {row["server_used"] for row in proxy.rows("path = '/api/generate'")} == set(site.servers)


def test_a_model_that_only_a_server_away_has_is_refused_with_each_reason(
    site: Site, proxy: Proxy
) -> None:
    site.servers["small"].stop()
    wait_until(proxy, lambda servers: servers["small"]["status"] == "unhealthy")
    answer = proxy.post("/api/generate", {"model": "small-0", "prompt": "hi"})
    assert (answer.status_code, answer.json()["code"]) == (503, "no_upstream")
    assert answer.json()["servers"] == {
        "fast": "does not have the model",
        "small": "down (connection_failed)",
        "spare": "does not have the model",
    }


def test_a_model_that_nobody_has_is_not_found_in_every_dialect(proxy: Proxy) -> None:
    answer = proxy.post("/api/generate", {"model": "nowhere", "prompt": "hi"})
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")
    messages = [{"role": "user", "content": "hi"}]
    answer = proxy.post("/v1/chat/completions", {"model": "nowhere", "messages": messages})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    document = {"model": "nowhere", "messages": messages, "max_tokens": 5}
    answer = proxy.post("/v1/messages", document)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")


def test_a_busy_server_hands_its_requests_to_the_next(site: Site, proxy: Proxy) -> None:
    busy = Script.document({"error": "server busy"}, status=503)
    site.servers["fast"].script("/api/generate", busy)
    assert ask(proxy, "shared-0") == (200, "small")
    (row,) = proxy.rows("path = '/api/generate'")
    assert row["server_used"] == "small"


def test_a_generation_that_may_have_begun_is_never_sent_again(site: Site, proxy: Proxy) -> None:
    site.servers["fast"].script("/api/generate", Script(framing="raw", end="reset"))
    answer = proxy.post("/api/generate", {"model": "shared-0", "prompt": "hi"})
    assert (answer.status_code, answer.json()["code"]) == (502, "upstream_error")
    sent = [len(server.requests_to("/api/generate")) for server in site.servers.values()]
    assert sent == [1, 0, 0]


def test_listings_are_of_all_servers_and_name_no_model_twice(site: Site, proxy: Proxy) -> None:
    names = [entry["name"] for entry in proxy.get("/api/tags").json()["models"]]
    assert len(names) == len(set(names))
    assert {f"{model}:latest" for model in MODELS} <= set(names)
    ids = [entry["id"] for entry in proxy.get("/v1/models").json()["data"]]
    assert sorted(ids) == sorted(names)
    one = proxy.get("/api/tags", token=proxy.admin_token, params={"server": "fast"})
    assert not {"small-0:latest"} & {entry["name"] for entry in one.json()["models"]}
    assert proxy.get("/api/tags", params={"server": "fast"}).status_code == 403
    assert proxy.get("/v1/models/small-0").json()["id"] == "small-0"
    assert proxy.get("/api/version").status_code == 200
    (row,) = proxy.rows("path = '/v1/models'")
    assert row["server_used"] == "all"


def test_models_in_memory_are_listed_over_all_servers(site: Site, proxy: Proxy) -> None:
    for model in ("shared-0", "small-0"):
        assert ask(proxy, model)[0] == 200
    deadline = time.monotonic() + WAIT_S
    names: set[str] = set()
    while names != {"shared-0:latest", "small-0:latest"}:
        assert time.monotonic() < deadline
        names = {entry["name"] for entry in proxy.get("/api/ps").json()["models"]}


def test_models_are_installed_and_deleted_where_one_asks_for(site: Site, proxy: Proxy) -> None:
    root = proxy.admin_token
    pulled = proxy.post("/api/pull?server=spare", {"model": "new", "stream": False}, token=root)
    assert pulled.status_code == 200
    wait_for_model(proxy, "new")
    assert ask(proxy, "new") == (200, "spare")
    headers = {**proxy.headers(root), "X-OGP-Server": "spare"}
    assert ask(proxy, "new", token=root, headers=headers) == (200, "spare")
    nowhere = proxy.post("/api/pull?server=nowhere", {"model": "x"}, token=root)
    assert nowhere.status_code == 400
    sent = [len(server.requests_to("/api/pull")) for server in site.servers.values()]
    assert sent == [0, 0, 1]


def wait_for_model(proxy: Proxy, name: str) -> None:
    deadline = time.monotonic() + WAIT_S
    names: set[str] = set()
    while f"{name}:latest" not in names:
        assert time.monotonic() < deadline
        names = {entry["name"] for entry in proxy.get("/api/tags").json()["models"]}


def delete(proxy: Proxy, model: str) -> requests.Response:
    return requests.delete(
        f"{proxy.url}/api/delete?server=all",
        json={"model": model},
        headers=proxy.headers(proxy.admin_token),
        timeout=WAIT_S,
    )


def test_a_model_is_deleted_everywhere_by_choice(site: Site, proxy: Proxy) -> None:
    answer = delete(proxy, "large-0")
    assert (answer.status_code, answer.json()) == (
        200,
        {"servers": {"fast": 200, "small": 200, "spare": 200}},
    )
    assert delete(proxy, "nowhere").status_code == 404
    site.servers["spare"].stop()
    wait_until(proxy, lambda servers: servers["spare"]["status"] == "unhealthy")
    answer = delete(proxy, "large-1")
    assert answer.status_code == 502
    assert answer.json()["servers"] == {"fast": 200, "small": 200, "spare": "down"}
    (row, *_) = proxy.rows("path = '/api/delete'")
    assert row["server_used"] == "all"


def test_a_route_is_explained_as_it_is_taken(proxy: Proxy) -> None:
    document = {"model": "large-0", "user": "alice"}
    told = proxy.post("/admin/route/explain", document, token=proxy.admin_token).json()
    assert (told["server"], told["size_gb"]) == (*ask(proxy, "large-0")[1:], 40.0)
    reasons = {entry["server"]: entry["why"] for entry in told["candidates"]}
    assert reasons["small"] == "the model needs 40 GB (listed), it takes up to 8 GB"
    assert proxy.post("/admin/route/explain", document).status_code == 403


def test_a_server_is_drained_for_all_workers_and_streams_go_on(site: Site, tmp_path: Path) -> None:
    hold = Event()
    lines = [b'{"response":"a","done":false}\n', b'{"response":"","done":true}\n']
    site.servers["fast"].script("shared-0", Script(chunks=lines, hold_after=(1, hold)))
    with site.proxy(tmp_path, server__workers=2) as proxy, ExitStack() as stack:
        stack.callback(hold.set)  # else the end would wait for the stream
        proxy.output.wait_for('"event":"upstream up"', times=2 * len(site.servers))
        stream = proxy.post("/api/generate", {"model": "shared-0", "prompt": "hi"}, stream=True)
        chunks = stream.iter_content(None)
        assert next(chunks) == lines[0]
        told = proxy.post("/admin/servers/fast?action=drain", token=proxy.admin_token).json()
        assert told == {"server": "fast", "state": "draining", "before": "enabled"}
        proxy.output.wait_for('"event":"server state followed"')  # the other worker
        burst(proxy, 20, frozenset({"fast"}))
        hold.set()
        assert b"".join(chunks) == lines[1]
        proxy.post("/admin/servers/fast?action=enable", token=proxy.admin_token)
        wait_until(proxy, lambda servers: servers["fast"]["state"] == "enabled")


def test_an_assigned_server_that_is_away_is_named(site: Site, tmp_path: Path) -> None:
    with site.proxy(tmp_path, routing={"assignments": {"shared-*": "spare"}}) as proxy:
        wait_until(proxy, lambda servers: all(s["status"] == "healthy" for s in servers.values()))
        assert ask(proxy, "shared-1") == (200, "spare")
        site.servers["spare"].stop()
        wait_until(proxy, lambda servers: servers["spare"]["status"] == "unhealthy")
        answer = proxy.post("/api/generate", {"model": "shared-1", "prompt": "hi"})
        assert answer.status_code == 503
        assert answer.json()["servers"] == {"spare": "assigned, but down (connection_failed)"}
