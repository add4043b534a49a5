"""run_proxy.sh from end to end: what it prints works, and nothing is left behind."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest

ROOT = Path(__file__).resolve().parents[1]
WAIT_S = 90.0
NOT_RUNNING = 3


@dataclass(frozen=True)
class Curl:
    """A printed `curl` line."""

    url: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    def parse(cls, line: str) -> "Curl":
        words = shlex.split(line)
        assert words[0] == "curl"
        header, body = words[words.index("-H") + 1], words[words.index("-d") + 1]
        name, _, value = header.partition(": ")
        (url,) = [word for word in words if word.startswith("http")]
        return cls(url, {name: value}, body.encode())

    def send(self) -> tuple[int, bytes]:
        request = urllib.request.Request(self.url, data=self.body, headers=self.headers)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read()


class Tree:
    """A copy of the project, run with the Python of these tests, so that nothing is installed."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a tree"
        self.root.mkdir()
        for name in ("ogp", "migrations", "scripts", "requirements"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, self.root / name, ignore=ignored)
        for name in ("run_proxy.sh", "gunicorn.conf.py", "config.yaml"):
            shutil.copy(ROOT / name, self.root)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("OGP_")}
        self.environ = {
            **kept,
            "USE_VENV": "false",
            "PYTHON": sys.executable,
            "TMPDIR": str(folder),
        }

    def command(self, *arguments: str) -> list[str]:
        return [str(self.root / "run_proxy.sh"), *arguments]

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=cwd,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
        )

    def look_alike(self) -> socket.socket:
        """A connection to the look-alike, which ends when that ends."""
        url = (self.root / "data" / "run" / "demo.log").read_text().splitlines()[0]
        host, port = url.removeprefix("http://").split(":")
        return socket.create_connection((host, int(port)), timeout=WAIT_S)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.root / "data" / "ogp.db")) as connection:
            return connection.execute(query).fetchall()


class Foreground:
    """`run_proxy.sh` in the foreground, its output taken line by line."""

    def __init__(self, tree: Tree, *arguments: str) -> None:
        self.process = subprocess.Popen(
            tree.command(*arguments),
            env=tree.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: Queue[str] = Queue()
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def lines_to(self, pattern: str) -> list[str]:
        """What is printed up to and with a line that matches."""
        lines: list[str] = []
        while not lines or not re.search(pattern, lines[-1]):
            lines.append(self._lines.get(timeout=WAIT_S))
        return lines

    def end(self, how: signal.Signals) -> int:
        """Send a signal to the whole process group, as a terminal does."""
        os.killpg(self.process.pid, how)
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def demo(tree: Tree) -> Iterator[tuple[Tree, list[str]]]:
    """A running demo and what it printed."""
    running = Foreground(tree, "--lite", "--demo", "--port", "0")
    yield tree, running.lines_to("sqlite3 ")
    running.end(signal.SIGINT)


def test_printed_requests_are_answered_refused_and_recorded(demo: tuple[Tree, list[str]]) -> None:
    tree, printed = demo
    streamed, blocked = (Curl.parse(line) for line in printed if line.startswith("  curl "))
    status, body = streamed.send()
    answer = [json.loads(line) for line in body.splitlines()]
    assert (status, answer[-1]["done"]) == (200, True)
    assert len(answer) > 2
    status, body = blocked.send()
    assert (status, json.loads(body)["error"]) == (403, "prompt_blocked")
    query = shlex.split(printed[-1])[-1]
    rows = [row[1:] for row in tree.rows(query)]
    assert rows == [
        ("demo", "/api/chat", "demo", "complete", 403, "prompt_blocked"),
        ("demo", "/api/chat", "demo", "complete", 200, None),
    ]


def test_first_start_shows_the_administrator_token_once(tree: Tree) -> None:
    first = Foreground(tree, "--lite", "--port=0")
    shown = first.lines_to("listens on")
    first.end(signal.SIGTERM)
    second = Foreground(tree, "--lite", "--port=0")
    shown_again = second.lines_to("listens on")
    second.end(signal.SIGTERM)
    assert len([line for line in shown if re.fullmatch(r"ogp_\w{8}_\w{36}", line)]) == 1
    assert [line for line in shown_again if "ogp_" in line] == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_look_alike_ends_with_the_proxy(tree: Tree, how: signal.Signals) -> None:
    running = Foreground(tree, "--lite", "--demo", "--port", "0")
    running.lines_to("sqlite3 ")
    with tree.look_alike() as connection:
        running.process.send_signal(how)
        running.wait()
        assert connection.recv(1) == b""


def test_without_an_upstream_the_proxy_starts_and_says_what_is_missing(tree: Tree) -> None:
    with socket.socket() as reserved:  # bound and not listening: connections are refused
        reserved.bind(("127.0.0.1", 0))
        tree.environ["OLLAMA_URL"] = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        running = Foreground(tree, "--lite", "--port", "0")
        url = running.lines_to("listens on")[-1].rsplit(" ", 1)[1]
        with urllib.request.urlopen(f"{url}/up", timeout=WAIT_S) as answer:
            assert answer.status == 200
        running.end(signal.SIGTERM)


def test_bad_configuration_prevents_the_start_and_is_listed(tree: Tree) -> None:
    (tree.root / "config.yaml").write_text("server: {prot: 1}\n")
    done = tree.run("--lite")
    assert done.returncode == 1
    assert "server.prot" in done.stderr


@pytest.fixture
def service(tree: Tree) -> Iterator[Tree]:
    """A tree whose background service is stopped at the end."""
    yield tree
    tree.run("stop")


def test_background_service_from_start_to_stop(service: Tree) -> None:
    assert service.run("status").returncode == NOT_RUNNING
    started = service.run("start", "--lite", "--port", "0")
    assert started.returncode == 0, started.stderr
    (url,) = re.findall(r"runs on (http://\S+)", started.stdout)
    with urllib.request.urlopen(f"{url}/up", timeout=WAIT_S) as answer:
        assert answer.status == 200
    status = service.run("status")
    assert status.returncode == 0
    assert url in status.stdout
    assert "GET /health: HTTP/1.0 200" in status.stdout
    again = service.run("start", "--lite")
    assert again.returncode == 1
    assert f"already running, process {(service.root / 'proxy.pid').read_text().split()[0]}" in (
        again.stderr
    )
    assert service.run("stop").stdout.endswith("Stopped.\n")
    assert service.run("status").returncode == NOT_RUNNING
    assert service.run("stop").stdout == "Not running.\n"


def test_logs_follows_the_log_of_the_service(service: Tree) -> None:
    assert "there is no log" in service.run("logs").stderr
    service.run("start", "--lite", "--port", "0")
    following = Foreground(service, "logs")
    assert json.loads(following.lines_to('"started"')[-1])["level"] == "info"
    following.end(signal.SIGTERM)


def test_start_of_the_demo_prints_working_requests(service: Tree) -> None:
    started = service.run("start", "--lite", "--demo", "--port", "0")
    streamed = next(line for line in started.stdout.splitlines() if line.startswith("  curl -N"))
    assert Curl.parse(streamed).send()[0] == 200


def test_restart_keeps_the_flags_of_the_start(service: Tree, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("queue: {max_queue: 7}\n")
    service.environ["PROXY_PORT"] = "0"
    service.run("start", "--lite", "--config", "mine.yaml", "--data-dir=data", cwd=tmp_path)
    service.environ["OGP__DATA_DIR"] = str(tmp_path / "data")
    restarted = service.run("restart")
    del service.environ["OGP__DATA_DIR"]
    (url,) = re.findall(r"runs on (http://\S+)", restarted.stdout)
    with urllib.request.urlopen(f"{url}/health", timeout=WAIT_S) as answer:
        assert json.load(answer)["concurrency"]["default_queue_limit"] == 7
    assert service.run("stop", "--data-dir", "data", cwd=tmp_path).stdout.endswith("Stopped.\n")


def test_start_that_fails_shows_why_and_leaves_nothing(service: Tree) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = service.run("start", "--lite", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "did not start" in done.stderr
    assert "already in use" in done.stderr.lower()
    assert service.run("status").returncode == NOT_RUNNING


def test_process_id_of_somebody_else_is_not_killed(service: Tree) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (service.root / "proxy.pid").write_text(f"{stranger.pid}\n\n\n120\n")
        assert service.run("stop").stdout == "Not running.\n"
        assert stranger.poll() is None
        assert stranger.stdin is not None
        stranger.stdin.write(b"\n")


def test_no_temporary_file_is_left_behind(tree: Tree, tmp_path: Path) -> None:
    running = Foreground(tree, "--lite", "--demo", "--port", "0")
    running.lines_to("sqlite3 ")
    running.end(signal.SIGTERM)
    assert sorted(path.name for path in tmp_path.glob("ogp-*")) == []


def test_second_start_does_without_alembic(tree: Tree) -> None:
    setup = [sys.executable, "-X", "importtime", "-m", "ogp", "setup"]
    subprocess.run(setup, cwd=tree.root, env=tree.environ, capture_output=True, check=True)
    again = subprocess.run(
        setup, cwd=tree.root, env=tree.environ, capture_output=True, check=True, text=True
    )
    assert "sqlalchemy" in again.stderr
    assert "alembic" not in again.stderr
