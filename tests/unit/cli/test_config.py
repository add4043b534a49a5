from pathlib import Path

import click
import orjson
import pytest
from click.testing import CliRunner, Result

from ogp.cli.config import config
from ogp.settings.keys import all_keys


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONFIG_FILE", raising=False)


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(config, arguments, env=environ)


def write(text: str, name: str = "config.yaml") -> None:
    Path(name).write_text(text, "utf-8")


def test_a_good_file_is_ok() -> None:
    write("proxy_port: 9000\n", "c.yaml")
    result = run("check", "c.yaml")
    assert (result.exit_code, result.output) == (0, "ok: c.yaml\n")


def test_without_a_file_defaults_and_environment_are_checked() -> None:
    assert run("check").output == "ok: no file, defaults and environment\n"
    assert run("check", WORKERS="x").exit_code == 1


def test_the_file_in_the_working_directory_is_checked() -> None:
    write("proxy_port: 1\n")
    assert run("check").output == "ok: config.yaml\n"


def test_notices_are_shown() -> None:
    write("redis: {port: 5}\n")
    assert run("check").output == (
        "ok: config.yaml\nnotice: redis: known, not built yet, has no effect\n"
    )


def test_every_problem_is_in_the_table_and_the_exit_status_is_1() -> None:
    write("proxy_port: 99999\nprot: 1\nserver: {host: on}\n")
    result = run("check")
    assert result.exit_code == 1
    assert "refused: 3 problems" in result.stderr
    for word in ("server.port", "99999", "config.yaml:1", "prot", "server.host", "YAML reads on"):
        assert word in result.stdout


def test_one_problem_is_one() -> None:
    write("prot: 1\n")
    assert "refused: 1 problem\n" in run("check").stderr


def test_values_are_no_markup() -> None:
    write("server: {port: '[red]x[/red]'}\n")
    assert "[red]x[/red]" in run("check").stdout


def test_a_file_that_is_missing_is_a_problem() -> None:
    result = run("check", "none.yaml")
    assert result.exit_code == 1
    assert "cannot be read: No such file or directory" in result.stdout


def test_check_speaks_json() -> None:
    write("proxy_port: 99999\n")
    result = run("check", "--json")
    assert result.exit_code == 1
    assert orjson.loads(result.stdout) == {
        "ok": False,
        "problems": [
            {
                "key": "server.port",
                "value": "99999",
                "source": "config.yaml:1",
                "message": "must be a whole number from 0 to 65535",
            }
        ],
    }


def test_check_speaks_json_when_all_is_well() -> None:
    write("redis: {}\n")
    assert orjson.loads(run("check", "--json").stdout) == {
        "ok": True,
        "file": "config.yaml",
        "notices": ["redis: known, not built yet, has no effect"],
    }
    assert orjson.loads(run("check", "--json", "/dev/null").stdout)["ok"] is False


def test_without_a_file_json_says_null() -> None:
    assert orjson.loads(run("check", "--json").stdout)["file"] is None


def row(output: str, key: str) -> list[str]:
    """Value and source of one key."""
    for line in output.splitlines():
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        if cells[0] == key:
            return cells[1:]
    raise AssertionError(f"{key} is not shown")


def test_show_tells_value_and_source_of_every_key() -> None:
    write("proxy_port: 9000\naccess: {ip_allow: [10.0.0.1, 10.0.0.2]}\nlogging: {file: null}\n")
    output = run("show", WORKERS="2").stdout
    assert row(output, "server.port") == ["9000", "config.yaml:1"]
    assert row(output, "server.workers") == ["2", "environment WORKERS"]
    assert row(output, "server.host") == ["127.0.0.1", "default"]
    assert row(output, "access.ip_allow") == ["10.0.0.1/32", "config.yaml:2"]
    assert row(output, "access.ip_deny") == ["[]", "default"]
    assert row(output, "logging.file") == ["null", "config.yaml:3"]
    assert row(output, "auth.enabled") == ["true", "default"]
    assert "10.0.0.2/32" in output
    assert [key for key in all_keys() if key not in output] == []


def test_show_hides_secrets() -> None:
    write("ollama_url: 'http://me:hunter2@host:1'\n")
    result = run("show")
    assert "http://***@host:1" in result.stdout
    assert "hunter2" not in result.output
    assert "hunter2" not in run("show", "--json").output


def test_show_says_notices_beside_the_table() -> None:
    write("redis: {}\n")
    assert run("show").stderr == "notice: redis: known, not built yet, has no effect\n"


def test_show_speaks_json() -> None:
    shown = orjson.loads(run("show", "--json", "--data-dir", "x").stdout)
    assert shown["settings"]["data_dir"] == "x"
    assert shown["sources"]["data_dir"] == "--data-dir"
    assert shown["notices"] == []


def test_show_of_a_bad_file_lists_the_problems() -> None:
    write("proxy_port: 99999\n")
    result = run("show")
    assert result.exit_code == 1
    assert "server.port = 99999 (config.yaml:1)" in result.output


def test_a_terminal_gets_a_table_of_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "60")
    output = click.unstyle(run("show").stdout)
    assert max(len(line) for line in output.splitlines()) <= 60


def test_what_only_the_guard_can_tell_is_checked_as_well() -> None:
    write("guard: {input_scanners: {regex: {patterns: [{name: slow, pattern: '(a+)+$'}]}}}\n")
    result = run("check")
    assert result.exit_code == 1
    assert "slow" in result.stdout
