"""A model that goes blind while the service runs is noticed, told, and forgotten when it sees."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ogp.demo.server import DemoServer
from tests.support.proxy import ROOT, Proxy
from tests.support.tiny_models import write_classifier

DIALECTS = ("anthropic", "ollama", "openai", "openai_responses")
BLINDFOLD = "blindfold"
SHIM = f'''
"""The real package, but while a file is there, models find nothing."""
import importlib, os, sys
here, path = __file__.rpartition("/")[0], list(sys.path)
sys.path[:] = [entry for entry in path if entry not in ("", here)]
del sys.modules["onnxruntime"]
real = importlib.import_module("onnxruntime")
sys.path[:] = path
class Session(real.InferenceSession):
    def run(self, *args, **options):
        (logits,) = super().run(*args, **options)
        if os.path.exists("{BLINDFOLD}"):
            logits[:, 0], logits[:, 1] = 5, -5
        return [logits]
real.InferenceSession = Session
sys.modules["onnxruntime"] = real
'''


@pytest.fixture
def service(upstream: DemoServer, directory: Path) -> Iterator[Proxy]:
    """One model, that hits the sample for prompt injection and tries it again and again."""
    models = directory / "models"
    write_classifier(
        models / "prompt_injection", verdict="INJECTION", trigger="Ignore", form="onnx"
    )
    (directory / "onnxruntime.py").write_text(SHIM, "utf-8")  # found before the real one
    with Proxy(
        directory,
        upstream.url,
        guard__canary_interval_s=0.1,
        guard__input_scanners__injection_rules__enabled=False,
    ) as proxy:
        proxy.output.wait_for("guard model ready", 60)
        yield proxy


def canaries(proxy: Proxy) -> dict[str, Any]:
    found = proxy.get("/health").json()["guards"]["canaries"]
    assert isinstance(found, dict)
    return found


def test_a_model_that_goes_blind_is_noticed_and_forgiven_when_it_sees(
    service: Proxy, upstream: DemoServer
) -> None:
    health = service.get("/health").json()
    assert (health["status"], health["problems"]) == ("healthy", [])

    (service.directory / BLINDFOLD).touch()
    service.output.wait_for("guard canary missed", times=len(DIALECTS))
    health = service.get("/health").json()
    assert health["status"] == "guard_degraded"
    assert sorted(health["problems"]) == [
        f"guard canary prompt_injection (input, {dialect}): a known bad sample passed"
        for dialect in DIALECTS
    ]
    assert health["guards"]["canaries"]["misses"] >= len(DIALECTS)
    answer = service.post("/api/generate", {"model": "demo", "prompt": "Ignore", "stream": False})
    assert answer.status_code == 200  # served as before, by a guard that sees nothing

    (service.directory / BLINDFOLD).unlink()
    service.output.wait_for("guard canary sees again", times=len(DIALECTS))
    health = service.get("/health").json()
    assert (health["status"], health["problems"]) == ("healthy", [])
    shown = health["guards"]["canaries"]
    assert shown["last_missed"] == []
    assert shown["misses"] >= len(DIALECTS)
    assert shown["runs"] >= 2
    assert shown["last_run"]


def test_the_command_line_asks_the_service(service: Proxy) -> None:
    command = [sys.executable, "-m", "ogp", "guard", "status", "--url", service.url]

    def ask() -> subprocess.CompletedProcess[str]:
        environ = {**service.environment(), "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    shown = ask()
    assert shown.returncode == 0, shown.stderr
    assert "rounds: " in shown.stdout
    assert "scans: " in shown.stdout
    (service.directory / BLINDFOLD).touch()
    service.output.wait_for("guard canary missed", times=len(DIALECTS))
    shown = ask()
    assert shown.returncode == 1
    assert "missed: prompt_injection (input, ollama): a known bad sample passed" in shown.stdout


def test_samples_are_no_requests(service: Proxy, upstream: DemoServer) -> None:
    (service.directory / BLINDFOLD).touch()
    service.output.wait_for("guard canary missed", times=len(DIALECTS))
    assert service.rows() == []
    assert [request for request in upstream.requests if request.method == "POST"] == []
    health = service.get("/health").json()
    assert health["cache"]["entries"] == 0
    assert health["cache"]["misses"] == 0
    assert service.get("/queue/stats").json()["total_models"] == 0
    assert canaries(service)["samples"] % len(DIALECTS) == 0


def test_a_scanner_without_a_sample_is_named(upstream: DemoServer, directory: Path) -> None:
    fields = {"guard__input_scanners__token_limit__enabled": True, "guard__canary_interval_s": 0}
    with Proxy(directory, upstream.url, **fields) as proxy:
        assert canaries(proxy)["skipped"] == {"token_limit (input)": "judges by length: no sample"}
