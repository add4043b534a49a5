"""`ogp servers` and `ogp route`, against a server that answers what a test wants."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ogp.cli import servers as servers_module
from ogp.cli.main import main
from ogp.cli.servers import named
from ogp.demo.script import Script
from ogp.demo.server import DemoServer

SERVERS, EXPLAIN = "/admin/servers", "/admin/route/explain"
BIG: dict[str, Any] = {
    "name": "big",
    "url": "http://10.0.0.1:11434",
    "state": "enabled",
    "status": "up",
    "error": None,
    "breaker": "closed",
    "response_time_ms": 1.5,
    "priority": 1,
    "max_memory_gb": 8.0,
    "active": 3,
    "installed": 12,
    "in_memory": ["llama3"],
}
AWAY = {
    **BIG,
    "name": "away",
    "status": "down",
    "error": "timeout",
    "response_time_ms": None,
    "max_memory_gb": None,
    "installed": None,
    "in_memory": [],
}
EXPLAINED: dict[str, Any] = {
    "model": "llama3",
    "size_gb": 4.7,
    "size_source": "listed",
    "server": "big",
    "candidates": [
        {
            "server": "big",
            "result": "won",
            "why": "load, against small",
            "available": "free",
            "memory": "to be loaded",
            "load": 0.5,
        },
        {"server": "away", "result": "excluded", "why": "down (timeout)"},
    ],
}
Run = Callable[..., Result]


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as server:
        server.script(SERVERS, Script.document({"servers": [BIG, AWAY]}))
        yield server


@pytest.fixture
def run(server: DemoServer) -> Run:
    def run(*arguments: str) -> Result:
        environ = {"OGP_URL": server.url, "OGP_TOKEN": "ogp_token"}
        return CliRunner().invoke(main, list(arguments), env=environ)

    return run


@pytest.mark.parametrize("arguments", [["servers"], ["servers", "list"]])
def test_every_server_is_a_line_of_a_table(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    (big,) = [line for line in result.stdout.splitlines() if " big " in line]
    for part in ("enabled", "up", "3", "1.5 ms", "8 GB", "12", "llama3"):
        assert part in big
    (away,) = [line for line in result.stdout.splitlines() if " away " in line]
    assert "down (timeout)" in away


def test_a_server_on_trial_is_marked(run: Run, server: DemoServer) -> None:
    server.script(SERVERS, Script.document({"servers": [{**BIG, "breaker": "half_open"}]}))
    assert "up (on trial)" in run("servers").stdout


def test_programs_get_what_the_service_says(run: Run) -> None:
    assert json.loads(run("servers", "list", "--json").stdout) == {"servers": [BIG, AWAY]}


def test_the_table_is_shown_again_and_again(
    run: Run, server: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(servers_module.time, "sleep", pause)
    server.script(
        SERVERS,
        Script.document({"servers": [BIG]}),
        Script.document({"error": "x", "message": "The service restarts."}, status=503),
    )
    result = run("servers", "watch", "--interval", "0.5")
    assert result.exit_code == 0
    assert pauses == [0.5, 0.5]
    assert "big" in result.stdout
    assert "The service restarts.; the figures are old" in result.stdout


@pytest.mark.parametrize("action", ["enable", "disable", "drain"])
def test_a_server_is_taken_out_and_put_back(run: Run, server: DemoServer, action: str) -> None:
    told = {"server": "big", "state": "draining", "before": "enabled"}
    server.script(f"{SERVERS}/big", Script.document(told))
    assert run("servers", action, "big").stdout == "big: draining (was enabled)\n"
    (seen,) = server.requests_to(f"{SERVERS}/big")
    assert (seen.method, json.loads(seen.body)) == ("POST", {"action": action})


def test_a_refusal_is_told(run: Run, server: DemoServer) -> None:
    refusal = {"error": "invalid_request", "message": "There is no server 'x'."}
    server.script(f"{SERVERS}/x", Script.document(refusal, status=400))
    result = run("servers", "drain", "x")
    assert (result.exit_code, result.stderr) == (1, "Error: There is no server 'x'.\n")


def test_an_explanation_names_the_server_and_each_reason(run: Run, server: DemoServer) -> None:
    server.script(EXPLAIN, Script.document(EXPLAINED))
    result = run("route", "explain", "llama3")
    assert "llama3 (4.7 GB, listed) goes to big" in result.stdout
    assert "load, against small" in result.stdout
    assert "down (timeout)" in result.stdout
    assert json.loads(server.requests_to(EXPLAIN)[0].body) == {"model": "llama3"}
    assert json.loads(run("route", "explain", "llama3", "--json").stdout) == EXPLAINED


def test_a_model_without_a_server_is_told(run: Run, server: DemoServer) -> None:
    server.script(EXPLAIN, Script.document({**EXPLAINED, "server": None}))
    assert "cannot be served now" in run("route", "explain", "llama3").stdout


def test_only_some_names_are_shown() -> None:
    assert named([]) == "-"
    assert named(list("abcdefgh")) == "a, b, c, d, e, f and 2 more"
