"""Start, reload and stop of the real service."""

import json
import signal
from pathlib import Path
from threading import Event

import pytest

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import BANNED, START_TIMEOUT_S, Proxy, free_port

CHAT = {"model": "m", "messages": [{"role": "user", "content": f"the {BANNED}"}]}
FORBID = f"guard: {{input_scanners: {{ban_substrings: {{substrings: ['{BANNED}']}}}}}}\n"


def reload(proxy: Proxy, until: str, times: int) -> None:
    assert proxy.process is not None
    proxy.process.send_signal(signal.SIGHUP)
    proxy.output.wait_for(until, START_TIMEOUT_S, times=times)


def test_a_reload_takes_the_new_file_and_drops_no_stream(
    upstream: DemoServer, tmp_path: Path
) -> None:
    release = Event()
    upstream.script("m", Script.chat("a", "b", hold_after=(1, release)), Script.chat("c"))
    config = tmp_path / "config.yaml"
    config.write_text("{}\n")
    with Proxy(tmp_path, upstream.url) as proxy:
        with proxy.post("/api/chat", CHAT, stream=True) as running:
            lines = running.iter_lines(chunk_size=1)
            assert json.loads(next(lines))["message"]["content"] == "a"
            config.write_text(FORBID)
            reload(proxy, '"event":"started"', 2)
            assert proxy.post("/api/chat", CHAT).status_code == 403
            release.set()
            assert json.loads(list(lines)[-1])["done"] is True
        assert [row["outcome"] for row in proxy.rows()] == ["complete", "complete"]


def test_a_bad_file_keeps_the_last_good_one_and_says_so(
    upstream: DemoServer, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(FORBID)
    with Proxy(tmp_path, upstream.url) as proxy:
        config.write_text("guard: {input_enabld: false}\nqueue: {max_queue: -1}\n")
        reload(proxy, '"event":"started"', 2)
        log = proxy.output.text()
        assert "input_enabld" in log
        assert "queue.max_queue" in log
        assert "last good configuration stays in use" in log
        assert proxy.post("/api/chat", CHAT).status_code == 403


def test_a_bad_file_at_start_ends_it_with_every_mistake(
    upstream: DemoServer, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("queue: {max_queue: -1}\nservr: {}\n")
    proxy = Proxy(tmp_path, upstream.url)
    with pytest.raises(AssertionError):
        proxy.start()
    assert "queue.max_queue" in proxy.output.text()
    assert "servr" in proxy.output.text()
    assert proxy.wait() != 0


def test_a_stop_lets_running_answers_end(upstream: DemoServer, tmp_path: Path) -> None:
    release = Event()
    upstream.script("m", Script.chat("a", "b", model="m", hold_after=(1, release)))
    proxy = Proxy(tmp_path, upstream.url).start()
    with proxy.post("/api/chat", CHAT, stream=True) as running:
        lines = running.iter_lines(chunk_size=1)
        next(lines)
        assert proxy.process is not None
        proxy.process.send_signal(signal.SIGTERM)
        proxy.output.wait_for("Handling signal: term")
        release.set()
        assert json.loads(list(lines)[-1])["done"] is True
    assert proxy.wait() == 0
    (row,) = proxy.rows()
    assert (row["state"], row["outcome"]) == ("finished", "complete")


def test_without_an_upstream_it_starts_and_names_what_is_missing(tmp_path: Path) -> None:
    with Proxy(tmp_path, f"http://127.0.0.1:{free_port()}") as proxy:
        proxy.output.wait_for("upstream down")
        health = proxy.get("/health").json()
        assert health["status"] == "degraded"
        assert health["problems"] == ["server ollama is down"]
        assert proxy.get("/ready").status_code == 200
        answer = proxy.post("/api/chat", CHAT)
        assert answer.status_code == 502
        assert answer.json()["code"] == "upstream_error"
        assert "'ollama' cannot be reached" in answer.json()["error"]
        assert proxy.get("/").text == "Ollama service unavailable"


def test_without_authentication_everyone_on_loopback_is_let_in_and_told_so(
    upstream: DemoServer, tmp_path: Path
) -> None:
    upstream.script("m", Script.document({"done": True}))
    with Proxy(tmp_path, upstream.url, auth__enabled=False) as proxy:
        assert "AUTHENTICATION IS OFF" in proxy.output.text()
        assert proxy.post("/api/chat", CHAT, token="none").status_code == 200
        assert proxy.rows()[-1]["username"] == "local"


def test_a_revoked_user_is_refused_at_once(upstream: DemoServer, tmp_path: Path) -> None:
    with Proxy(tmp_path, upstream.url) as proxy:
        assert proxy.get("/queue/stats").status_code == 200
        proxy.deactivate("alice")
        assert proxy.get("/queue/stats").status_code == 401


def test_a_pattern_the_guard_cannot_use_keeps_the_last_good_file(
    upstream: DemoServer, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(FORBID)
    with Proxy(tmp_path, upstream.url) as proxy:
        config.write_text(
            "guard: {input_scanners: {regex: {patterns: [{name: slow, pattern: '(a+)+$'}]}}}\n"
        )
        reload(proxy, '"event":"started"', 2)
        assert "last good configuration stays in use" in proxy.output.text()
        assert "slow" in proxy.output.text()
        assert proxy.post("/api/chat", CHAT).status_code == 403
