"""A scanner that raises or hangs: refused in time, nothing upstream or kept, no text told."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.failing_scanners import MARKER
from tests.support.proxy import Proxy

TIMEOUT_S = 1.0
RAISE, HANG = "please fail", "please hang"
CUSTOM = """
guard:
  block_on_error: {block}
  canary_interval_s: 0
  models: {{timeout_s: {timeout}}}
  custom:
"""
ENTRY = """
    - name: {name}_{direction}
      import: tests.support.failing_scanners:{cls}
      direction: {direction}
      parameters: ["word={word}"]
"""


def configured(directory: Path, *, block: bool) -> Path:
    text = CUSTOM.format(block=str(block).lower(), timeout=TIMEOUT_S)
    for direction in ("input", "output"):
        text += ENTRY.format(name="failing", cls="Failing", direction=direction, word=RAISE)
        text += ENTRY.format(name="hanging", cls="Hanging", direction=direction, word=HANG)
    (directory / "config.yaml").write_text(text, "utf-8")
    return directory


def ready(proxy: Proxy) -> Proxy:
    proxy.output.wait_for("guard model ready", times=4)
    return proxy


@pytest.fixture(scope="module")
def shared_proxy(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    directory = configured(tmp_path_factory.mktemp("proxy"), block=True)
    with Proxy(directory, shared_upstream.url) as proxy:
        yield ready(proxy)


@pytest.fixture(scope="module")
def lenient(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    directory = configured(tmp_path_factory.mktemp("lenient"), block=False)
    with Proxy(directory, shared_upstream.url) as proxy:
        yield ready(proxy)


def ask(proxy: Proxy, prompt: str, model: str = "demo", *, stream: bool = False) -> Any:
    return proxy.post("/api/generate", {"model": model, "prompt": prompt, "stream": stream})


@pytest.mark.parametrize(
    ("word", "code", "scanner"),
    [(RAISE, "guard_error", "failing_input"), (HANG, "guard_busy", "hanging_input")],
)
def test_a_prompt_is_refused_in_time_and_goes_nowhere(
    proxy: Proxy, upstream: DemoServer, word: str, code: str, scanner: str
) -> None:
    for _ in range(2):  # nothing was kept of the first
        began = monotonic()
        answer = ask(proxy, f"{word} {MARKER}")
        assert monotonic() - began < TIMEOUT_S + 2.0
        assert answer.status_code == 503
        assert answer.json()["code"] == code
        row = proxy.rows()[-1]
        assert row["guard_input"].startswith(f"error:{scanner}")
        assert "cached" not in row["guard_input"]
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("word", "code", "scanner"),
    [(RAISE, "guard_error", "failing_output"), (HANG, "guard_busy", "hanging_output")],
)
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_ends_in_time_with_the_reason(
    proxy: Proxy, upstream: DemoServer, word: str, code: str, scanner: str, stream: bool
) -> None:
    said = ["It was a quiet morning at sea. " * 12, f"And now {word} {MARKER}. ", "The end of it."]
    script = Script.generate(*said, model="m")
    if not stream:
        script = Script.document({"response": "".join(said), "done": True})
    upstream.script("m", script)
    began = monotonic()
    answer = ask(proxy, "tell me", "m", stream=stream)
    assert monotonic() - began < TIMEOUT_S + 2.0
    assert MARKER not in answer.text
    assert code in answer.text
    assert answer.status_code == (200 if stream else 503)
    row = proxy.rows()[-1]
    assert row["guard_output"].startswith(f"error:{scanner}")
    assert row["outcome"] == ("blocked_mid_stream" if stream else "complete")


def test_health_tells_what_failed(proxy: Proxy) -> None:
    ask(proxy, RAISE)
    health = proxy.get("/health").json()
    shown = health["guards"]["scanners"]["input"]["failing_input"]
    assert shown["state"] == "failing"
    assert shown["errors"] >= 1
    assert health["status"] == "degraded"
    assert "guard scanner failing_input (input) fails" in health["problems"]
    assert ask(proxy, "all is well").status_code == 200
    assert (
        "guard scanner failing_input (input) fails" not in proxy.get("/health").json()["problems"]
    )


@pytest.mark.parametrize(("word", "scanner"), [(RAISE, "failing"), (HANG, "hanging")])
def test_where_errors_do_not_block_the_request_passes_and_is_marked(
    lenient: Proxy, upstream: DemoServer, word: str, scanner: str
) -> None:
    upstream.script("m", Script.generate(f"{word}. ", "Done now.", model="m"))
    answer = ask(lenient, word, "m", stream=True)
    assert answer.status_code == 200
    assert "Done now." in answer.text
    row = lenient.rows()[-1]
    assert row["guard_input"].startswith(f"error:{scanner}_input")
    assert row["guard_output"].startswith(f"error:{scanner}_output")
    assert row["outcome"] == "complete"


def test_no_text_is_written_anywhere(proxy: Proxy, lenient: Proxy) -> None:
    for service in (proxy, lenient):
        assert MARKER not in service.output.text()
        for file in service.directory.rglob("*"):
            if file.is_file():
                assert MARKER.encode() not in file.read_bytes(), file
