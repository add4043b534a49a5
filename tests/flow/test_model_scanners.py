"""A model scanner in the real service: tiny real weights, loaded after the start, offline."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ogp.demo.server import DemoServer
from tests.support.proxy import Proxy
from tests.support.tiny_models import write_classifier

TRIGGER = "wolf"
PADDING = "the sheep sleeps "


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a prompt injection scanner that dislikes one word."""
    directory = tmp_path_factory.mktemp("models")
    write_classifier(
        directory / "prompt_injection",
        labels=("SAFE", "INJECTION"),
        verdict="INJECTION",
        trigger=TRIGGER,
        form="onnx",
    )
    return directory


@pytest.fixture(scope="module")
def shared_proxy(
    shared_upstream: DemoServer, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    with Proxy(
        tmp_path_factory.mktemp("proxy"),
        shared_upstream.url,
        guard__models__path=models,
        guard__models__max_windows=60,
        guard__input_scanners__toxicity__enabled=False,
        limits__max_message_chars=100_000,
    ) as proxy:
        proxy.output.wait_for("guard model ready", 60)
        yield proxy


def ask(proxy: Proxy, prompt: str, **fields: object) -> object:
    return proxy.post(
        "/api/generate", {"model": "demo", "prompt": prompt, "stream": False, **fields}
    )


def test_a_hit_of_the_model_is_a_block(proxy: Proxy, upstream: DemoServer) -> None:
    answer = ask(proxy, f"here comes the {TRIGGER}")
    assert answer.status_code == 403
    body = answer.json()
    assert body["error"] == "prompt_blocked"
    assert body["details"]["scanners"]["prompt_injection"]["passed"] is False
    assert upstream.requests == []
    assert proxy.rows()[-1]["guard_input"] == "blocked:prompt_injection"


def test_what_the_model_finds_harmless_passes(proxy: Proxy, upstream: DemoServer) -> None:
    assert ask(proxy, "here comes the sheep").status_code == 200
    assert proxy.rows()[-1]["guard_input"] == "clean"


@pytest.mark.parametrize("before", [200, 600, 2000])
def test_a_payload_deep_in_a_long_text_is_found(
    proxy: Proxy, upstream: DemoServer, before: int
) -> None:
    prompt = f"{PADDING * before}{TRIGGER} {PADDING * 200}"
    assert ask(proxy, prompt).status_code == 403
    assert upstream.requests == []


def test_a_payload_split_over_fields_is_found(proxy: Proxy, upstream: DemoServer) -> None:
    assert ask(proxy, "fine", system=f"the {TRIGGER}").status_code == 403


def test_a_text_of_too_many_windows_is_refused_for_its_size(
    proxy: Proxy, upstream: DemoServer
) -> None:
    answer = ask(proxy, "a b " * 24_000)
    assert answer.status_code == 413
    assert "too long to be scanned" in answer.json()["message"]
    assert upstream.requests == []


def test_health_tells_device_state_and_hash(proxy: Proxy) -> None:
    assert proxy.get("/ready").status_code == 200
    guards = proxy.get("/health").json()["guards"]
    assert guards["device"]["device"] == "cpu"
    assert guards["device"]["reason"]
    scanner = guards["scanners"]["input"]["prompt_injection"]
    assert scanner["state"] == "ready"
    assert len(scanner["model"]) >= 12
    assert scanner["precision"]


def test_weights_that_are_asked_for_and_missing_refuse_requests(
    upstream: DemoServer, tmp_path: Path
) -> None:
    with Proxy(
        tmp_path, upstream.url, guard__input_scanners__prompt_injection__enabled=True
    ) as proxy:
        proxy.output.wait_for("guard model failed")
        answer = ask(proxy, "hello")
        assert answer.status_code == 503
        assert answer.json()["code"] == "guard_unavailable"
        assert upstream.requests_to("/api/generate") == []
        health = proxy.get("/health").json()
        assert health["status"] == "degraded"
        assert any("prompt_injection" in problem for problem in health["problems"])


@pytest.mark.parametrize("enabled", ["auto", "optional"])
def test_weights_that_are_not_insisted_on_may_be_missing(
    upstream: DemoServer, tmp_path: Path, enabled: str
) -> None:
    with Proxy(
        tmp_path, upstream.url, guard__input_scanners__prompt_injection__enabled=enabled
    ) as proxy:
        assert ask(proxy, "hello").status_code == 200
        assert proxy.get("/ready").status_code == 200
