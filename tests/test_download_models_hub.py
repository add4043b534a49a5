"""scripts/download_models.sh and a hub on this machine: ranges, checksums, broken connections."""

import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from ogp.cli.weights import asked_of
from ogp.guard.weights import check_weights
from ogp.settings.guard_schema import GuardSettings
from tests.support.tiny_models import write_classifier
from tests.support.weights_script import NAME, Place, digests, names_in, sums


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tiny") / NAME
    return write_classifier(directory, verdict="INJECTION", trigger="wolf")


@pytest.fixture
def place(tmp_path: Path, tiny: Path) -> Place:
    shutil.copytree(tiny, tmp_path / "a stick" / NAME)
    return Place(tmp_path)


class Hub(BaseHTTPRequestHandler):
    """Serves files with ranges and checksums; breaks off once if told to."""

    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[tuple[str, str]]] = []
    break_off_after: ClassVar[int] = 0
    wrong_checksum: ClassVar[bool] = False
    moves_large_files: ClassVar[bool] = True

    def do_GET(self) -> None:
        asked_range = self.headers.get("Range", "")
        type(self).asked.append((self.path, asked_range))
        path = self.path.removeprefix("/elsewhere")
        content = self.files.get(path)
        if content is None:
            self.send_error(404)
            return
        digest = hashlib.sha256(content).hexdigest()
        if self.path.endswith(("onnx", "safetensors")) and path == self.path:
            self.send_response(302)
            self.send_header("Location", f"/elsewhere{path}")
            self.send_header("X-Linked-ETag", f'"{"0" * 64 if self.wrong_checksum else digest}"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(asked_range.removeprefix("bytes=").rstrip("-") or 0)
        if start >= len(content) > 0:
            self.send_error(416)
            return
        rest = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.break_off_after and len(rest) > self.break_off_after:
            self.wfile.write(rest[: self.break_off_after])
            self.close_connection = True
            return
        self.wfile.write(rest)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def hub(place: Place, tiny: Path) -> Iterator[type[Hub]]:
    class OwnHub(Hub):
        files: ClassVar[dict[str, bytes]] = {}
        asked: ClassVar[list[tuple[str, str]]] = []

    for line in place.run("--list").stdout.splitlines():
        _, _, _, name, repository, revision, path, _ = line.split()
        content = (tiny / name).read_bytes() if (tiny / name).exists() else os.urandom(300_000)
        OwnHub.files[f"/{repository}/resolve/{revision}/{path}"] = content
    server = ThreadingHTTPServer(("127.0.0.1", 0), OwnHub)
    thread = Thread(target=server.serve_forever)
    thread.start()
    place.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
    place.environ["NO_PROXY"] = "127.0.0.1"
    place.environ["PATH"] = place.tool("sleep", "exit 0")  # between tries
    yield OwnHub
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_hub_gives_the_files_of_one_revision(place: Place, hub: type[Hub]) -> None:
    result = place.run("--to", "all models", NAME)
    assert result.returncode == 0, result.stderr
    target = place.models / NAME
    assert names_in(target) == {"config.json", "tokenizer.json", "model.onnx", "SHA256SUMS"}
    assert set(digests(target).values()) <= {
        hashlib.sha256(content).hexdigest() for content in hub.files.values()
    }
    assert digests(target) == sums(target)


def test_safetensors_are_brought_where_they_are_asked_for(place: Place, hub: type[Hub]) -> None:
    assert place.run("--to", "all models", "--form", "safetensors", NAME).returncode == 0
    assert check_weights(place.models / NAME).forms == ("model.safetensors",)


def test_another_form_is_added_to_what_is_there(place: Place, hub: type[Hub]) -> None:
    place.run("--to", "all models", NAME)
    hub.asked.clear()
    assert place.run("--to", "all models", "--form", "safetensors", NAME).returncode == 0
    assert {path.rsplit("/", 1)[1] for path, _ in hub.asked} == {"model.safetensors"}
    assert check_weights(place.models / NAME).forms == ("model.onnx", "model.safetensors")


def test_all_brings_every_scanner_of_the_list(place: Place, hub: type[Hub]) -> None:
    assert place.run("--to", "all models", "--all").returncode == 0
    listed = {line.split()[1] for line in place.run("--list").stdout.splitlines()}
    assert names_in(place.models) == listed


def test_a_download_that_broke_goes_on_where_it_stopped(place: Place, hub: type[Hub]) -> None:
    hub.break_off_after = 100_000
    result = place.run("--to", "all models", NAME)
    assert result.returncode == 0, result.stderr
    ranges = [asked for path, asked in hub.asked if path.startswith("/elsewhere")]
    assert ranges == ["", "bytes=100000-", "bytes=200000-"]
    assert digests(place.models / NAME) == sums(place.models / NAME)


def test_a_later_run_goes_on_where_the_first_one_stopped(place: Place, hub: type[Hub]) -> None:
    partial = place.models / f".{NAME}.new" / "model.onnx.part"
    hub.break_off_after = 50_000
    result = place.run("--to", "all models", NAME)
    assert result.returncode == 1
    assert "what came is kept" in result.stderr
    assert partial.stat().st_size == 200_000
    hub.break_off_after = 0
    hub.asked.clear()
    assert place.run("--to", "all models", NAME).returncode == 0
    assert hub.asked[-1] == (hub.asked[-1][0], "bytes=200000-")
    assert not partial.exists()


@pytest.mark.parametrize("size", [1_000, 300_000, 400_000])
def test_a_part_of_something_else_is_begun_again(place: Place, hub: type[Hub], size: int) -> None:
    hub.break_off_after = 50_000
    place.run("--to", "all models", NAME)
    hub.break_off_after = 0
    partial = place.models / f".{NAME}.new" / "model.onnx.part"
    partial.write_bytes(os.urandom(size))
    assert place.run("--to", "all models", NAME).returncode == 0
    assert digests(place.models / NAME) == sums(place.models / NAME)


def test_a_checksum_that_the_hub_tells_is_compared(place: Place, hub: type[Hub]) -> None:
    hub.wrong_checksum = True
    result = place.run("--to", "all models", NAME)
    assert result.returncode == 1
    assert "model.onnx came damaged" in result.stderr
    assert not (place.models / NAME).exists()
    assert not list((place.models / f".{NAME}.new").glob("model.onnx*"))


def test_a_file_that_the_hub_refuses_is_named(place: Place, hub: type[Hub]) -> None:
    hub.files.clear()
    result = place.run("--to", "all models", NAME)
    assert result.returncode == 1
    assert "refused" in result.stderr
    assert "config.json" in result.stderr


def test_without_a_network_the_way_around_is_told(place: Place) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    result = place.run("--to", "m", NAME, HF_ENDPOINT=f"http://127.0.0.1:{port}", NO_PROXY="*")
    assert result.returncode == 1
    assert "cannot be reached" in result.stderr
    assert "--from DIR" in result.stderr
    assert not (place.folder / "m" / NAME).exists()


def test_every_scanner_of_the_settings_is_on_the_list(place: Place) -> None:
    listed = {line.split()[1] for line in place.run("--list").stdout.splitlines()}
    asked = [*asked_of(GuardSettings(), "input"), *asked_of(GuardSettings(), "output")]
    assert listed == {each.wanted.name for each in asked} | {"anonymize"}


def test_every_revision_is_a_commit(place: Place) -> None:
    for line in place.run("--list").stdout.splitlines():
        assert len(bytes.fromhex(line.split()[5])) == 20
