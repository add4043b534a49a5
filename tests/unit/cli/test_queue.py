"""`ogp queue`, run as a shell runs it, against a server that answers what a test wants."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from ogp.cli import queue as queue_module
from ogp.cli.main import main
from ogp.demo.script import Script
from ogp.demo.server import DemoServer

STATS = "/queue/stats"
UPDATE, RESET = "/admin/queue/update", "/admin/queue/reset"
EMPTY: dict[str, Any] = {"status": "ok", "reasons": [], "models": {}}
AWAY = Script.document({"error": "x", "message": "The service restarts."}, status=503)
Run = Callable[..., Result]


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as server:
        yield server


@pytest.fixture
def run(server: DemoServer) -> Run:
    def run(*arguments: str) -> Result:
        environ = {"OGP_URL": server.url, "OGP_TOKEN": "ogp_token"}
        return CliRunner().invoke(main, ["queue", *arguments], env=environ)

    return run


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses between two looks are not slept; the third one is ended by Ctrl-C."""
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(queue_module.time, "sleep", pause)
    return pauses


def stats(**more: Any) -> Script:
    return Script.document({**EMPTY, **more})


def test_one_look_is_a_table(run: Run, server: DemoServer) -> None:
    server.script(STATS, stats(status="warning", reasons=["memory in use 81 %"]))
    result = run("watch", "--once")
    assert (result.exit_code, result.stderr) == (0, "")
    assert server.url in result.stdout
    assert result.stdout.splitlines()[-2:] == ["warning", "memory in use 81 %"]


def test_one_look_for_programs_is_what_the_service_says(run: Run, server: DemoServer) -> None:
    server.script(STATS, stats())
    assert json.loads(run("watch", "--once", "--json").stdout) == EMPTY


def test_one_model_can_be_asked_for(run: Run, server: DemoServer) -> None:
    server.script(STATS, stats())
    run("watch", "--once", "--model", "phi3")
    assert server.requests_to(STATS)[0].target == f"{STATS}?model=phi3"


def test_one_look_at_a_service_that_is_away_fails(run: Run, server: DemoServer) -> None:
    server.script(STATS, AWAY)
    result = run("watch", "--once")
    assert (result.exit_code, result.stderr) == (1, "Error: The service restarts.\n")


def test_ctrl_c_ends_the_watch_in_order(run: Run, server: DemoServer, looks: list[float]) -> None:
    server.script(STATS, stats())
    result = run("watch", "--interval", "0.5")
    assert (result.exit_code, result.stderr) == (0, "")
    assert looks == [0.5] * 3
    assert len(server.requests_to(STATS)) == 3


def test_a_service_that_restarts_is_waited_for(
    run: Run, server: DemoServer, looks: list[float]
) -> None:
    server.script(STATS, AWAY, stats(reasons=["before"]), AWAY)
    lines = run("watch").stdout.splitlines()
    assert lines[0] == f"waiting for {server.url}"
    assert lines.count("before") == 2
    assert lines[-1] == "The service restarts.; asking again, the figures are old"


@pytest.mark.usefixtures("looks")
def test_lines_for_programs_hold_one_look_each(run: Run, server: DemoServer) -> None:
    server.script(STATS, stats(), AWAY, stats())
    result = run("watch", "--json")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [EMPTY, EMPTY]
    assert result.stderr == "The service restarts.\n"


@pytest.mark.usefixtures("looks")
def test_a_refusal_ends_the_watch(run: Run, server: DemoServer) -> None:
    refused = Script.document({"error": "x", "message": "No."}, status=403)
    server.script(STATS, refused)
    result = run("watch")
    assert (result.exit_code, result.stderr) == (1, "Error: No.\n")


@pytest.mark.usefixtures("looks")
def test_on_a_terminal_one_view_takes_the_place_of_the_one_before(
    run: Run, server: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Console(force_terminal=True, width=100, height=30, legacy_windows=False)
    monkeypatch.setattr(queue_module, "Console", lambda: terminal)
    server.script(STATS, stats())
    with terminal.capture() as capture:
        assert run("watch").exit_code == 0
    shown = capture.get()
    assert shown.count(server.url) >= 3
    assert shown.count("\x1b[1A") > 2  # up again, to write over it
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # the cursor is back


def updated(**more: Any) -> Script:
    told = {"model": "llama2", "parallel_limit": 8, "queue_limit": 512, "status": "updated"}
    return Script.document({**told, **more})


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (["--parallel", "8"], {"parallel_limit": 8}),
        (["--max-queue", "0", "--persist"], {"queue_limit": 0, "persist": True}),
        (["--forget"], {"persist": False}),
    ],
)
def test_only_limits_that_are_given_are_sent(
    run: Run, server: DemoServer, options: list[str], sent: dict[str, Any]
) -> None:
    server.script(UPDATE, updated())
    result = run("limits", "llama2", *options)
    assert result.stdout == "llama2: 8 at once, 512 may wait\n"
    assert json.loads(server.requests[0].body) == {"model": "llama2", **sent}


def test_a_note_of_the_service_is_passed_on(run: Run, server: DemoServer) -> None:
    server.script(UPDATE, updated(note="Too few threads."))
    assert run("limits", "llama2", "--max-queue", "512").stderr == "Too few threads.\n"


def test_limits_without_a_limit_are_a_wrong_call(run: Run, server: DemoServer) -> None:
    result = run("limits", "llama2")
    assert result.exit_code == 2
    assert "Give --parallel" in result.stderr
    assert server.requests == []


@pytest.mark.parametrize(("models", "sent"), [([], {}), (["phi3"], {"model": "phi3"})])
def test_a_reset_is_of_all_models_or_one(
    run: Run, server: DemoServer, models: list[str], sent: dict[str, str]
) -> None:
    server.script(RESET, Script.document({"status": "success", "message": "Statistics reset"}))
    assert run("reset", *models).stdout == "Statistics reset\n"
    assert json.loads(server.requests[0].body) == sent


PLACE = {
    "request_id": "report-17",
    "model": "llama2",
    "state": "waiting",
    "priority": "batch",
    "position": 3,
    "ahead": 2,
    "waiting": 9,
    "waited_s": 4.217,
    "predicted_wait_s": 11.3,
}


@pytest.mark.parametrize(("wait_s", "left"), [(11.3, ", about 11.3 s to go"), (None, "")])
def test_a_place_is_told_in_a_sentence(
    run: Run, server: DemoServer, wait_s: float | None, left: str
) -> None:
    place = {**PLACE, "predicted_wait_s": wait_s}
    server.script("/queue/position/report-17", Script.document(place))
    told = f"report-17: no. 3 of 9 that wait for llama2 (batch), for 4.2 s now{left}\n"
    assert run("position", "report-17").stdout == told


def test_a_place_for_programs(run: Run, server: DemoServer) -> None:
    server.script("/queue/position/report-17", Script.document(PLACE))
    assert json.loads(run("position", "report-17", "--json").stdout) == PLACE


def test_an_id_is_one_part_of_the_path(run: Run, server: DemoServer) -> None:
    run("position", "../../admin?x")
    assert server.requests[0].target == "/queue/position/..%2F..%2Fadmin%3Fx"
