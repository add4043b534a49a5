"""Texts seen before: over real sockets, in the request log, in `/health`, for administrators."""

from pathlib import Path
from typing import Any

import pytest
import requests

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import BANNED, WAIT_S, Proxy


def chat(text: str, *, stream: bool = False) -> dict[str, Any]:
    return {"model": "demo", "messages": [{"role": "user", "content": text}], "stream": stream}


def guard_columns(proxy: Proxy) -> list[tuple[str, str]]:
    """What the request log says of both directions, oldest request first."""
    return [(row["guard_input"], row["guard_output"]) for row in proxy.rows("path = '/api/chat'")]


def figures(proxy: Proxy) -> dict[str, Any]:
    cache = requests.get(f"{proxy.url}/health", timeout=WAIT_S).json()["cache"]
    assert isinstance(cache, dict)
    return cache


def admin(proxy: Proxy, action: str, **options: Any) -> requests.Response:
    return proxy.post(f"/admin/cache/{action}", token=proxy.admin_token, **options)


@pytest.fixture(autouse=True)
def _forgotten(proxy: Proxy) -> None:
    assert admin(proxy, "clear").status_code == 200


def test_a_prompt_seen_before_is_not_scanned_again_and_still_served(
    proxy: Proxy, upstream: DemoServer
) -> None:
    before = figures(proxy)
    for _ in range(2):
        assert proxy.post("/api/chat", chat("good morning")).status_code == 200
    assert [column for column, _ in guard_columns(proxy)[-2:]] == ["clean", "clean;cached"]
    assert len(upstream.requests_to("/api/chat")) == 2
    assert figures(proxy)["hits"] >= before["hits"] + 1


def test_a_blocked_prompt_is_blocked_again_for_everybody(
    proxy: Proxy, upstream: DemoServer
) -> None:
    first = proxy.post("/api/chat", chat(f"about the {BANNED}"))
    second = proxy.post("/api/chat", chat(f"about the {BANNED}"), token=proxy.admin_token)
    assert (first.status_code, second.status_code) == (403, 403)
    assert first.json() == second.json()
    assert [column for column, _ in guard_columns(proxy)[-2:]] == [
        "blocked:ban_substrings",
        "blocked:ban_substrings;cached",
    ]
    assert upstream.requests == []


def test_a_streamed_answer_is_scanned_each_time(proxy: Proxy) -> None:
    for _ in range(2):
        assert proxy.post("/api/chat", chat("tell me", stream=True)).status_code == 200
    assert [column for _, column in guard_columns(proxy)[-2:]] == ["clean", "clean"]


def test_a_prompt_that_was_clean_does_not_clear_an_answer(
    proxy: Proxy, upstream: DemoServer
) -> None:
    document = {"model": "demo", "message": {"role": "assistant", "content": BANNED}, "done": True}
    proxy.post("/api/chat", chat("say it"))
    upstream.script("demo", Script.document(document))
    assert proxy.post("/api/chat", chat("say it")).status_code == 403
    assert guard_columns(proxy)[-1] == ("clean;cached", "blocked:ban_substrings")


def test_after_clear_the_prompt_is_scanned_again(proxy: Proxy) -> None:
    proxy.post("/api/chat", chat("hello"))
    answer = admin(proxy, "clear")
    assert answer.json() == {"status": "success", "message": "Cache cleared"}
    assert figures(proxy)["entries"] == 0
    proxy.post("/api/chat", chat("hello"))
    assert guard_columns(proxy)[-1][0] == "clean"


@pytest.mark.parametrize("action", ["clear", "cleanup"])
def test_only_administrators_may_act_on_it_and_all_attempts_are_recorded(
    proxy: Proxy, action: str
) -> None:
    path = f"/admin/cache/{action}"
    proxy.post("/api/chat", chat("hello"))
    entries = figures(proxy)["entries"]
    assert requests.post(proxy.url + path, timeout=WAIT_S).status_code == 401
    assert proxy.post(path).status_code == 403
    assert figures(proxy)["entries"] == entries
    assert admin(proxy, action).status_code == 200
    found = [(row["username"], row["response_status"]) for row in proxy.rows(f"path = '{path}'")]
    assert found[-3:] == [(None, 401), ("alice", 403), ("root", 200)]


def test_no_text_is_kept(proxy: Proxy) -> None:
    proxy.post("/api/chat", chat("marmalade"))
    assert figures(proxy)["entries"] >= 1
    admin(proxy, "clear")
    assert "marmalade" not in str(figures(proxy)) + proxy.output.text()


def test_what_is_too_old_is_scanned_again_and_cleaned_up(
    upstream: DemoServer, directory: Path
) -> None:
    with Proxy(directory, upstream.url, cache__ttl_s=0.0001) as proxy:
        for _ in range(2):
            proxy.post("/api/chat", chat("hello"))
        assert [column for column, _ in guard_columns(proxy)] == ["clean", "clean"]
        entries = figures(proxy)["entries"]
        assert admin(proxy, "cleanup").json() == {"status": "success", "removed": entries}
        assert entries > 0
        assert figures(proxy)["entries"] == 0


def test_a_cache_that_is_off_remembers_nothing_and_cannot_be_cleared(
    upstream: DemoServer, directory: Path
) -> None:
    with Proxy(directory, upstream.url, cache__enabled=False) as proxy:
        for _ in range(2):
            proxy.post("/api/chat", chat("hello"))
        assert [column for column, _ in guard_columns(proxy)] == ["clean", "clean"]
        assert figures(proxy) == {"enabled": False}
        answer = admin(proxy, "clear")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert "Cache not available" in answer.json()["message"]
