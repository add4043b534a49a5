"""The load tests that users run themselves, against a real service."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ogp.demo.server import DemoServer
from tests.support.proxy import ROOT, Proxy

MODEL = "demo-tokens-2-5ms"
SUITE = str(ROOT / "docs" / "test_concurrency.py")
LOAD = ROOT / "scripts" / "load"
TESTS = [
    *("health", "memory", "single", "statistics", "limits", "retries", "apache_bench", "wrk"),
]


@pytest.fixture(scope="module")
def shared_proxy(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """Room for six, so that eight at once see refusals."""
    with Proxy(
        tmp_path_factory.mktemp("proxy"), shared_upstream.url, queue__parallel=2, queue__max_queue=4
    ) as proxy:
        yield proxy


def run(
    proxy: Proxy, *command: str, token: str | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    own = {"OGP_URL": proxy.url, "OGP_TOKEN": token or proxy.token, "MODEL": MODEL}
    return subprocess.run(
        command,
        env={**os.environ, **own, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def words(result: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Test -> how it went."""
    lines = [line.split() for line in result.stdout.splitlines()]
    return {
        line[2] if line[0] == "left" else line[1]: "left out" if line[0] == "left" else line[0]
        for line in lines
    }


def test_the_whole_suite_passes(proxy: Proxy) -> None:
    result = run(proxy, sys.executable, SUITE, "--model", MODEL)
    assert result.returncode == 0, result.stdout + result.stderr
    seen = words(result)
    assert list(seen) == TESTS
    assert {seen[name] for name in TESTS[:6]} == {"ok"}
    assert proxy.token not in result.stdout + result.stderr


def test_tools_that_are_not_installed_are_left_out(proxy: Proxy, tmp_path: Path) -> None:
    result = run(proxy, sys.executable, SUITE, "--model", MODEL, PATH=str(tmp_path))
    assert result.returncode == 0, result.stdout
    assert [name for name, word in words(result).items() if word == "left out"] == TESTS[6:]


def test_a_token_can_come_from_a_file(proxy: Proxy, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{proxy.token}\n")
    command = [sys.executable, SUITE, "--model", MODEL, "--token-file", str(file)]
    assert run(proxy, *command, token="ogp_wrong", PATH=str(tmp_path)).returncode == 0


def test_whatever_is_wrong_is_shown_and_fails_the_suite(proxy: Proxy) -> None:
    result = run(proxy, sys.executable, SUITE, "--model", MODEL, token="ogp_wrong")
    assert result.returncode == 1
    seen = words(result)
    assert list(seen) == TESTS
    assert seen["health"] == "ok"  # needs no token
    assert {seen[name] for name in TESTS[1:6]} == {"FAILED"}
    assert "status 401" in result.stdout


def test_a_service_that_is_away_fails_the_suite(proxy: Proxy) -> None:
    result = run(proxy, sys.executable, SUITE, "--url", "http://127.0.0.1:9")
    assert result.returncode == 1
    assert "http://127.0.0.1:9 does not answer" in result.stdout


def test_refusals_for_want_of_room_are_counted_and_no_failure(proxy: Proxy) -> None:
    options = ("--model", MODEL, "--requests", "20", "--concurrency", "20")
    told = json.loads(run(proxy, sys.executable, str(LOAD / "asyncio_load.py"), *options).stdout)
    assert (told["served"] + told["refused"], told["failed"]) == (20, 0)
    assert told["served"] >= 6
    assert told["refused"] > 0


def test_a_client_that_asks_again_is_served_and_prints_the_answer(proxy: Proxy) -> None:
    script = str(LOAD / "retry_client.py")
    result = run(proxy, sys.executable, script, "--model", MODEL, "What is AI?")
    assert result.stdout.startswith("You said:")
    assert result.returncode == 0


def test_a_refusal_that_stays_is_not_asked_again(proxy: Proxy) -> None:
    result = run(proxy, sys.executable, str(LOAD / "retry_client.py"), token="ogp_wrong")
    assert result.returncode == 1
    assert "401" in result.stderr


@pytest.mark.parametrize(("tool", "arguments"), [("ab", ("4", "2")), ("wrk", ("1", "2"))])
def test_other_answers_fail_the_shell_scripts(
    tool: str, arguments: tuple[str, str], proxy: Proxy, tmp_path: Path
) -> None:
    script = str(LOAD / f"{tool}.sh")
    if shutil.which(tool) is None:
        result = run(proxy, script, *arguments)
        assert result.returncode == 127
        assert f"{tool} is missing" in result.stderr
        return
    assert run(proxy, script, *arguments).returncode == 0
    refused = run(proxy, script, *arguments, token="ogp_wrong")
    assert refused.returncode == 1
