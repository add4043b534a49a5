import json
import os
import pty
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ogp.cli.doctor_checks import CHECKS
from ogp.cli.main import main
from tests.support.little_server import Asked, answer, little_server

TOKEN = "ogp_12345678_secret"


@pytest.fixture(autouse=True)
def no_tokens_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OGP_TOKEN", "OGP_ADMIN_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def up(asked: Asked) -> bytes:
    """Lives, and says with which token it was asked."""
    if asked.path == "/ready":
        return answer(503, {"waiting_for": [f"[red]{asked.token}[/red]"]})
    if asked.path == "/api/tags":
        status = 200 if asked.token == TOKEN else 401
        return answer(status, {"models": [{"name": "llama2"}]}, WWW_Authenticate="Bearer")
    return answer(200, {"status": "up"})


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments], env=environ)


def only(*names: str) -> list[str]:
    return [word for name in names for word in ("--only", name)]


def test_nothing_wrong_is_exit_status_0() -> None:
    with little_server(up) as server:
        result = run(server.url, "--token", TOKEN, *only("reach", "token"))
    assert result.exit_code == 0, result.output
    assert "ok: 2, warn: 0, fail: 0, skipped: 0" in result.stdout
    assert "asked model: 'llama2'" in result.stdout
    assert result.stderr == ""


def test_something_wrong_is_exit_status_1_with_what_is_right_and_a_hint() -> None:
    with little_server(up) as server:
        result = run(server.url, *only("ready"))
    assert result.exit_code == 1
    assert "right: GET /ready is 200" in result.stdout
    assert "hint: see the log" in result.stdout
    assert "asked model" not in result.stdout


def test_a_warning_is_none() -> None:
    with little_server(up) as server:
        assert run(server.url, *only("health")).exit_code == 0


def test_what_the_server_says_is_no_markup() -> None:
    with little_server(up) as server:
        assert "[red]" in run(server.url, *only("ready")).stdout


def test_all_checks_are_run_without_names() -> None:
    with little_server(up) as server:
        document = json.loads(run(server.url, "--json").stdout)
    assert [each["name"] for each in document["checks"]] == [check.name for check in CHECKS]


def test_programs_get_one_document() -> None:
    with little_server(up) as server:
        result = run(server.url + "/", "--token", TOKEN, "--json", *only("reach", "ready"))
        document = json.loads(result.stdout)
        assert document["url"] == server.url
    assert result.exit_code == 1
    assert (document["model"], document["result"]) == ("llama2", "fail")
    assert document["counts"] == {"ok": 1, "warn": 0, "fail": 1, "skipped": 0}
    assert [set(each) for each in document["checks"]] == 2 * [
        {"name", "right", "result", "took_ms", "evidence", "hint"}
    ]


def test_no_token_is_shown_whatever_the_server_says() -> None:
    def say(asked: Asked) -> bytes:
        return answer(200, {"problems": [TOKEN], "waiting_for": [TOKEN]}, Server=f"1 {TOKEN}")

    with little_server(say) as server:
        for form in ([], ["--json"]):
            output = run(server.url, "--token", TOKEN, "--admin-token", TOKEN, *form).output
            assert TOKEN not in output
            assert "***" in output


def test_an_unknown_check_is_told_with_the_known_ones() -> None:
    assert "'stream-ollama'" in run("http://a", "--only", "nothing").stderr


def test_nobody_there_is_a_failure() -> None:
    with little_server(up) as server:
        url = server.url
    result = run(url)
    assert result.exit_code == 1
    assert "no connection: Connection refused" in result.stdout


def on_a_terminal(*arguments: str) -> str:
    """What a terminal shows."""
    leader, follower = pty.openpty()
    environ: dict[str, Any] = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    code = "from ogp.cli.main import main; main()"
    command = [sys.executable, "-c", code, "doctor", *arguments]
    with subprocess.Popen(command, stdout=follower, stderr=follower, env=environ):
        os.close(follower)
        shown = b""
        try:
            while piece := os.read(leader, 65536):
                shown += piece
        except OSError:  # the end of a terminal on Linux
            pass
        finally:
            os.close(leader)
    return shown.decode()


def test_a_terminal_shows_colours_and_progress() -> None:
    with little_server(up) as server:
        shown = on_a_terminal(server.url, "--token", TOKEN, *only("reach", "ready"))
    assert "\x1b[32mok" in shown
    assert "\x1b[1;31mfail" in shown
    assert "connecting" in shown
