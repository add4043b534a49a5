"""The look-alike as a process of its own."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from urllib.request import ProxyHandler, build_opener

import click
import pytest
from click.testing import CliRunner

from ogp.demo.__main__ import main
from ogp.demo.server import DemoServer


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "ogp.demo", "--port", "0", "--model", "llama2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        yield started
        started.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_tells_its_url_serves_and_ends_cleanly(
    process: subprocess.Popen[str], number: int
) -> None:
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    with build_opener(ProxyHandler({})).open(f"{url}/api/tags", timeout=5) as response:
        assert b'"llama2:latest"' in response.read()
    process.send_signal(number)
    assert process.wait(10) == 0


def test_command_runs_until_its_thread_is_told_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    monkeypatch.setattr(click, "echo", say)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    main(["--port", "0", "--first-byte-ms", "0"], standalone_mode=False)
    assert said[0].startswith("http://127.0.0.1:")
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_port_that_is_taken_is_told_in_a_sentence() -> None:
    with DemoServer() as server:
        result = CliRunner().invoke(main, ["--port", str(server.port)])
    assert result.exit_code == 1
    expected = f"Error: cannot listen on 127.0.0.1:{server.port}: {os.strerror(98)}\n"
    assert result.output == expected
