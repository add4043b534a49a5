"""What lists, shows, installs and removes models, by the official client where it can."""

import http.client
import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import ollama
import pytest

from ogp.demo.models import CATALOGUE
from ogp.demo.server import DemoServer


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running


@pytest.fixture
def client(server: DemoServer) -> Iterator[ollama.Client]:
    with ollama.Client(server.url) as made:
        yield made


def ask(
    server: DemoServer, method: str, path: str, body: Any = None
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        raw = json.dumps(body).encode() if isinstance(body, dict) else body
        connection.request(method, path, raw)
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def test_root_says_that_it_runs(server: DemoServer) -> None:
    status, body, headers = ask(server, "GET", "/")
    assert (status, body) == (200, b"Ollama is running")
    assert headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/", "/api/version", "/api/tags"])
def test_head_is_get_without_its_body(server: DemoServer, path: str) -> None:
    status, body, headers = ask(server, "HEAD", path)
    whole = ask(server, "GET", path)[1]
    assert (status, body, headers["content-length"]) == (200, b"", str(len(whole)))


def test_version_and_status(server: DemoServer) -> None:
    assert set(json.loads(ask(server, "GET", "/api/version")[1])) == {"version"}
    assert json.loads(ask(server, "GET", "/api/status")[1])["cloud"]["disabled"] is True


def test_catalogue_is_listed(client: ollama.Client) -> None:
    models = client.list().models
    assert [model.model for model in models] == list(CATALOGUE)
    assert models[0].details is not None
    assert models[0].details.format == "gguf"
    assert len(models[0].digest or "") == 64


def test_used_models_are_shown_as_loaded(client: ollama.Client) -> None:
    assert client.ps().models == []
    client.generate("demo", "x")
    (model,) = client.ps().models
    assert (model.model, model.context_length) == ("demo:latest", 4096)
    assert model.size_vram == model.size


def test_show_tells_of_a_model(client: ollama.Client) -> None:
    shown = client.show("demo")
    assert shown.capabilities is not None
    assert {"completion", "tools", "thinking"} <= set(shown.capabilities)
    assert shown.modelinfo is not None
    assert shown.modelinfo["general.architecture"] == "demo"


def test_pull_installs(client: ollama.Client) -> None:
    steps = list(client.pull("llama2", stream=True))
    assert (steps[0].status, steps[-1].status) == ("pulling manifest", "success")
    assert steps[2].completed == steps[2].total / 2  # type: ignore[operator]  # both are set
    assert client.generate("llama2", "x").done
    assert client.pull("llama3").status == "success"


def test_push_says_that_it_did(client: ollama.Client) -> None:
    assert client.push("demo").status == "success"
    with pytest.raises(ollama.ResponseError, match="model 'nope' not found"):
        client.push("nope")
    with pytest.raises(ollama.ResponseError, match="model 'nope' not found"):
        list(client.push("nope", stream=True))


def test_create_installs(client: ollama.Client) -> None:
    steps = list(client.create("mine", from_="demo", system="be kind", stream=True))
    assert steps[-1].status == "success"
    assert client.show("mine").license


def test_copy_and_delete(server: DemoServer, client: ollama.Client) -> None:
    server.install("demo", 5)
    assert client.copy("demo", "mine").status == "success"
    assert {model.model: model.size for model in client.list().models}["mine:latest"] == 5
    client.generate("mine", "x")
    assert client.delete("mine").status == "success"
    assert client.delete("demo").status == "success"
    assert client.ps().models == []
    with pytest.raises(ollama.ResponseError, match="model 'demo' not found"):
        client.generate("demo", "x")


def test_copy_and_delete_answer_with_an_empty_body(server: DemoServer) -> None:
    copied = ask(server, "POST", "/api/copy", {"source": "demo", "destination": "mine"})
    deleted = ask(server, "DELETE", "/api/delete", {"name": "mine"})
    assert (copied[:2], deleted[:2]) == ((200, b""), (200, b""))


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "show", {}, 400, "model is required"),
        ("POST", "show", {"name": "nope"}, 404, "model 'nope' not found"),
        ("POST", "pull", {}, 400, "invalid model name"),
        ("POST", "pull", {"model": "a b"}, 400, "invalid model name"),
        ("POST", "push", {}, 400, "model is required"),
        ("POST", "create", {"model": "m"}, 400, "neither 'from' or 'files' was specified"),
        ("POST", "copy", {"destination": "m"}, 400, 'source "" is invalid'),
        ("POST", "copy", {"source": "demo"}, 400, 'destination "" is invalid'),
        ("POST", "copy", {"source": "no", "destination": "m"}, 404, 'model "no" not found'),
        ("DELETE", "delete", {}, 400, 'name "" is invalid'),
        ("DELETE", "delete", {"model": "nope"}, 404, "model 'nope' not found"),
        ("POST", "blobs/sha256:00", b"x", 400, "invalid digest format"),
        ("POST", "blobs/md5:" + "0" * 64, b"x", 400, "invalid digest format"),
        ("POST", "blobs/sha256:" + "x" * 64, b"x", 400, "invalid digest format"),
        (
            "POST",
            "blobs/sha256:" + "0" * 64,
            b"",
            400,
            f'digest mismatch, expected "sha256:{"0" * 64}", got "sha256:{sha256().hexdigest()}"',
        ),
    ],
)
def test_refusals_are_ollamas(
    server: DemoServer, method: str, path: str, body: Any, status: int, error: str
) -> None:
    found, answer, _ = ask(server, method, f"/api/{path}", body)
    assert (found, json.loads(answer)) == (status, {"error": error})


def test_failed_push_without_a_stream_has_a_status(server: DemoServer) -> None:
    status, body, headers = ask(server, "POST", "/api/push", {"model": "nope", "stream": False})
    assert (status, json.loads(body)) == (500, {"error": "model 'nope' not found"})
    assert headers["content-type"] == "application/json"


def test_blob_is_created_once(server: DemoServer, client: ollama.Client, tmp_path: Any) -> None:
    content = bytes(range(256)) * 1000
    path = f"/api/blobs/sha256:{sha256(content).hexdigest()}"
    file = tmp_path / "blob"
    file.write_bytes(content)
    assert ask(server, "HEAD", path)[0] == 404
    assert f"/api/blobs/{client.create_blob(file)}" == path
    assert ask(server, "HEAD", path)[0] == 200
    assert ask(server, "POST", path, content)[0] == 200
    assert {request.body for request in server.requests_to(path)} == {b""}
