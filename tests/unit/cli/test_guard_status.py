"""`ogp guard status`: of this configuration, with tiny models, and of a service that runs."""

import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import orjson
import pytest
from click.testing import CliRunner, Result

from ogp.cli.main import main
from tests.support.tiny_models import write_classifier

TOXIC = ("male", "toxicity", "insult")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    write_classifier(directory / "prompt_injection", verdict="INJECTION", trigger="wolf")
    write_classifier(directory / "toxicity", labels=TOXIC, verdict="toxicity", trigger="boor")
    return directory


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONFIG_FILE", raising=False)
    monkeypatch.setenv("OGP__GUARD__MODELS__DEVICE", "cpu")


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(main, ["guard", *arguments], env=environ)


def test_status_shows_both_directions_without_loading_anything(models: Path) -> None:
    result = run("status", OGP__GUARD__MODELS__PATH=str(models))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "found" in result.stdout
    assert "ready" not in result.stdout
    assert "threshold: 0.92" in result.stdout


def test_status_tells_the_command_that_brings_weights() -> None:
    result = run("status")
    assert result.exit_code == 0
    assert "scripts/download_models.sh prompt_injection" in result.stdout


def test_status_is_1_if_something_is_asked_for_and_missing() -> None:
    result = run("status", "--json", OGP__GUARD__INPUT_SCANNERS__TOXICITY__ENABLED="optional")
    assert result.exit_code == 1
    rows = orjson.loads(result.stdout)["scanners"]
    assert [row["scanner"] for row in rows if row["state"] == "unavailable"] == ["toxicity"]


def test_status_loads_models_if_asked(models: Path) -> None:
    result = run("status", "--load", OGP__GUARD__MODELS__PATH=str(models))
    assert result.exit_code == 0
    assert result.stdout.startswith("Device: cpu (guard.models.device asks for it)")
    assert result.stdout.count("load_s: ") == 3
    assert "found" not in result.stdout


def test_status_speaks_json(models: Path) -> None:
    result = run("status", "--load", "--json", OGP__GUARD__MODELS__PATH=str(models))
    shown = orjson.loads(result.stdout)
    assert shown["device"]["device"] == "cpu"
    ready = {row["scanner"] for row in shown["scanners"] if row["state"] == "ready"}
    assert ready == {"prompt_injection", "toxicity"}


def test_status_is_1_if_a_model_cannot_be_loaded(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "prompt_injection", tmp_path / "models" / "toxicity")
    result = run("status", "--load")
    assert result.exit_code == 1
    assert "failed" in result.stdout


HEALTH = {
    "guards": {
        "device": {"device": "cpu", "reason": "no GPU", "precision": "fp32"},
        "scanners": {
            "input": {"grade": {"state": "failing", "scans": 9, "errors": 2, "action": "flag"}},
            "output": {"toxicity": {"state": "off", "direction": "output", "reason": "missing"}},
        },
        "canaries": {
            "runs": 3,
            "misses": 1,
            "last_run": "2026-11-20T18:47:00+00:00",
            "last_missed": [],
            "samples": 8,
            "skipped": {"grade (input)": "yours: no sample"},
        },
    }
}


@pytest.fixture
def service() -> Iterator[str]:
    """The address of something that answers as a service does."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = orjson.dumps(HEALTH if self.path == "/health" else {})
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_status_asks_a_running_service(service: str) -> None:
    result = run("status", "--url", f"{service}/")
    assert result.exit_code == 1  # one of its scanners fails
    assert result.stdout.startswith("Device: cpu (no GPU), torch in fp32")
    assert "failing" in result.stdout
    assert "errors: 2" in result.stdout
    assert "Canaries: 8 bad samples, rounds: 3, misses: 1" in result.stdout
    assert "not tried: grade (input): yours: no sample" in result.stdout


def test_status_of_a_running_service_speaks_json(service: str) -> None:
    result = run("status", "--url", service, "--json")
    assert orjson.loads(result.stdout) == HEALTH["guards"]


def test_a_service_that_does_not_answer_is_told() -> None:
    result = run("status", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "does not answer" in result.stderr


def test_status_loads_nothing_into_a_running_service(service: str) -> None:
    result = run("status", "--url", service, "--load")
    assert result.exit_code == 2
    assert "leave --load out" in result.stderr
