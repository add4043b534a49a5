"""A real gunicorn with our gunicorn.conf.py: start, reload, stop, and what clients see of it."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest

ROOT = Path(__file__).resolve().parents[1]
WAIT_S = 60.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("OGP_") or name == "CONFIG_FILE":
            monkeypatch.delenv(name)
    return tmp_path


def configure(folder: Path, text: str) -> None:
    (folder / "config.yaml").write_text(text)


class Service:
    """A real gunicorn in a directory of its own; its log is standard output, line by line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: Queue[str] = Queue()
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "OGP_CONFIG_SNAPSHOT": ""}
        subprocess.run(
            [sys.executable, "-m", "ogp", "setup"], env=environ, check=True, capture_output=True
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py")],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = Thread(target=self._read)
        self._reader.start()
        self.url = self.wait_for("listens on").rsplit(" ", 1)[1]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def wait_for(self, text: str) -> str:
        """The next line that holds `text`."""
        while True:
            line = self.lines.get(timeout=WAIT_S)
            if text in line:
                return line

    def wait_for_all(self, *texts: str) -> None:
        """Lines that hold these texts, in any order."""
        missing = set(texts)
        while missing:
            line = self.lines.get(timeout=WAIT_S)
            missing = {text for text in missing if text not in line}

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, dict(refusal.headers), refusal.read()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


CONFIGURATION = "server: {port: 0}\nqueue: {max_queue: %s}\n"


@pytest.fixture
def service(folder: Path) -> Iterator[Service]:
    configure(folder, CONFIGURATION % 7)
    running = Service(folder)
    yield running
    running.stop()


def test_reload_under_gunicorn(service: Service) -> None:
    service.wait_for('"event":"started"')
    configure(service.folder, "nonsense: 1\n")
    service.process.send_signal(signal.SIGHUP)
    refused = json.loads(service.wait_for("configuration refused"))
    assert refused["key"] == "nonsense"
    service.wait_for("last good configuration stays")
    service.wait_for_all('"event":"started"', "Worker exiting")
    assert json.loads(service.get("/health")[2])["concurrency"]["default_queue_limit"] == 7
    configure(service.folder, CONFIGURATION % 8)
    service.process.send_signal(signal.SIGHUP)
    service.wait_for_all('"event":"started"', "Worker exiting")
    assert json.loads(service.get("/health")[2])["concurrency"]["default_queue_limit"] == 8


def test_lines_of_gunicorn_are_json_like_all_others(service: Service) -> None:
    assert json.loads(service.wait_for("Booting worker"))["logger"] == "gunicorn.error"


def test_server_is_not_named_after_gunicorn(service: Service) -> None:
    assert service.get("/up")[1]["Server"] == "Ollama-Guard-Proxy"


def test_header_with_an_underscore_is_refused(service: Service) -> None:
    assert service.get("/up", X_Forwarded_For="10.0.0.1")[0] == 400


def test_sigterm_ends_it_and_clears_away_its_copy_of_the_configuration(folder: Path) -> None:
    configure(folder, CONFIGURATION % 7)
    running = Service(folder)
    assert running.stop() == 0
    assert list((folder / "data" / "run").glob("config-*")) == []


def failing_start() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )


def test_start_without_a_database_names_the_remedy(folder: Path) -> None:
    configure(folder, CONFIGURATION % 7)
    done = failing_start()
    assert done.returncode == 1
    assert "data/ogp.db is not set up for this version: run `ogp setup` first" in done.stderr


def test_start_with_a_bad_configuration_lists_the_mistakes(folder: Path) -> None:
    configure(folder, "nonsense: 1\nserver: {port: 99999}\n")
    done = failing_start()
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    assert "server.port" in done.stderr
    assert "Traceback" not in done.stderr
