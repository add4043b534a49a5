"""What the first start makes, and that later ones leave it alone."""

import json
import logging
import os
import shlex
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from io import StringIO
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from ogp.auth.tokens import parse
from ogp.auth.users import UserStore
from ogp.cli.setup import goes_to_the_journal, setup, shell_assignments
from ogp.core.types import Role
from ogp.settings.schema import LoggingSettings, ServerSettings, Settings
from ogp.storage.engine import Database
from ogp.storage.migrate import is_current

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory without configuration; the log goes to a file in it."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("OGP_") or name in {"CONFIG_FILE", "JOURNAL_STREAM"}:
            monkeypatch.delenv(name)
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield tmp_path
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(setup, list(arguments), catch_exceptions=False)


def last_line(result: Result) -> str:
    return result.stdout.splitlines()[-1]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def users(data_dir: Path) -> Iterator[UserStore]:
    database = Database(data_dir / "ogp.db")
    database.start()
    try:
        yield UserStore(database)
    finally:
        database.stop()


def test_first_run_ends_with_a_token_of_the_administrator(folder: Path) -> None:
    token = parse(last_line(run()))
    assert token is not None
    with users(folder / "data") as store:
        admin = store.get("admin")
    assert admin.user.role is Role.ADMIN
    assert admin.token is not None
    assert admin.token.id == token.id


def test_second_run_says_nothing_and_changes_nothing(folder: Path) -> None:
    run()
    before = (folder / "data" / "ogp.db").read_bytes()
    again = run()
    assert again.stdout == ""
    assert (folder / "data" / "ogp.db").read_bytes() == before


def test_no_administrator_is_made_where_somebody_was_made_before(folder: Path) -> None:
    run()
    with users(folder / "data") as store:
        store.create("ann", Role.ADMIN)
        store.delete("admin")
    assert run().stdout == ""


def test_database_is_brought_to_this_version(folder: Path) -> None:
    run()
    assert is_current(folder / "data" / "ogp.db")


def test_data_directory_and_database_are_private(folder: Path) -> None:
    run()
    data = folder / "data"
    assert (mode(data), mode(data / "run"), mode(data / "ogp.db")) == (0o700, 0o700, 0o600)


def test_directory_open_to_others_is_left_and_named(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data").chmod(0o755)
    result = run()
    assert "data has mode 755" in result.stderr
    assert mode(folder / "data") == 0o755


def test_token_is_not_written_to_the_log(folder: Path) -> None:
    token = last_line(run())
    log = (folder / "logs" / "ollama_guard_proxy.log").read_text()
    assert "database migrated" in log
    assert token not in log


def test_without_a_log_file_lines_go_to_standard_error(folder: Path) -> None:
    (folder / "config.yaml").write_text("logging: {file: null}\n")
    done = subprocess.run(
        [sys.executable, "-m", "ogp", "setup", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["migrated"] is True
    assert b"database migrated" in done.stderr


def test_json_is_one_document_with_the_token(folder: Path) -> None:
    first, second = json.loads(run("--json").stdout), json.loads(run("--json").stdout)
    assert parse(first.pop("admin_token")) is not None
    assert first == {"data_dir": str(folder / "data"), "migrated": True, "notices": []}
    assert (second["admin_token"], second["migrated"]) == (None, False)


def test_notices_of_the_settings_are_shown(folder: Path) -> None:
    (folder / "config.yaml").write_text("rate_limit_enabled: true\n")
    assert "Note: rate_limit_enabled: known, not built yet" in run().stderr


def test_demo_keeps_a_private_token_of_an_ordinary_user(folder: Path) -> None:
    run("--demo")
    file = folder / "data" / "demo.token"
    token = parse(file.read_text().strip())
    assert mode(file) == 0o600
    assert token is not None
    with users(folder / "data") as store:
        account = store.get("demo")
    assert account.user.role is Role.USER
    assert account.token is not None
    assert account.token.id == token.id


def test_demo_token_is_used_again(folder: Path) -> None:
    run("--demo")
    before = (folder / "data" / "demo.token").read_text()
    run("--demo")
    assert (folder / "data" / "demo.token").read_text() == before


def test_administrator_token_stays_on_the_last_line_with_demo(folder: Path) -> None:
    token = parse(last_line(run("--demo")))
    assert token is not None
    with users(folder / "data") as store:
        admin = store.get("admin").token
    assert admin is not None
    assert admin.id == token.id


def revoke(data: Path) -> None:
    with users(data) as store:
        store.regenerate_token("demo", None)


def deactivate(data: Path) -> None:
    with users(data) as store:
        store.deactivate("demo")


def delete(data: Path) -> None:
    with users(data) as store:
        store.delete("demo")


def garble(data: Path) -> None:
    (data / "demo.token").write_bytes(b"\xff not a token\n")


def lose(data: Path) -> None:
    (data / "demo.token").unlink()


@pytest.mark.parametrize("harm", [revoke, deactivate, delete, garble, lose])
def test_demo_token_that_is_not_let_in_is_replaced(folder: Path, harm: object) -> None:
    data = folder / "data"
    run("--demo")
    assert callable(harm)
    harm(data)
    run("--demo")
    token = parse((data / "demo.token").read_text().strip())
    assert token is not None
    with users(data) as store:
        account = store.get("demo")
    assert account.user.active
    assert account.token is not None
    assert account.token.id == token.id


def test_starts_at_the_same_time_make_one_administrator(folder: Path) -> None:
    command = [sys.executable, "-m", "ogp", "setup", "--json", "--demo"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(_number: int) -> str | None:
        done = subprocess.run(command, env=environ, capture_output=True, check=True, cwd=folder)
        token: str | None = json.loads(done.stdout)["admin_token"]
        return token

    with ThreadPoolExecutor(3) as pool:
        tokens = [token for token in pool.map(start, range(3)) if token is not None]
    assert len(tokens) == 1


def test_facts_are_shell_assignments_with_absolute_paths(folder: Path) -> None:
    run("--facts", "facts", "--data-dir", "it's here")
    shown = subprocess.run(
        ["bash", "-c", '. ./facts; printf "%s\\n" "$data_dir" "$run_dir" "$log_file" $stop_wait_s'],
        capture_output=True,
        check=True,
        text=True,
    ).stdout.splitlines()
    data = folder / "it's here"
    assert shown == [
        str(data),
        str(data / "run"),
        str(folder / "logs" / "ollama_guard_proxy.log"),
        "120",
    ]


def test_facts_round_the_stop_time_up_and_leave_out_a_missing_log(folder: Path) -> None:
    settings = Settings(
        data_dir=folder,
        server=ServerSettings(graceful_timeout_s=1.2),
        logging=LoggingSettings(file=None),
    )
    facts = dict(part.split("=", 1) for part in shlex.split(shell_assignments(settings)))
    assert (facts["stop_wait_s"], facts["log_file"]) == ("2", "")


def test_token_never_reaches_the_journal(folder: Path) -> None:
    output = folder / "journal"
    with output.open("wb") as stream:
        status = os.fstat(stream.fileno())
        environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}",
        }
        command = [sys.executable, "-m", "ogp", "setup"]
        subprocess.run(command, env=environ, stdout=stream, check=True)
    file = folder / "data" / "admin.token"
    assert parse(file.read_text().strip()) is not None
    assert mode(file) == 0o600
    assert "ogp_" not in output.read_text()
    assert "data/admin.token" in output.read_text()


def test_journal_is_recognised_by_the_file_behind_standard_output(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (folder / "journal").open("w") as journal, (folder / "other").open("w") as other:
        status = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        recognised = []
        for stream in (journal, other):
            monkeypatch.setattr(sys, "stdout", stream)
            recognised.append(goes_to_the_journal())
    assert recognised == [True, False]


def test_standard_output_that_is_no_file_is_no_journal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", StringIO())
    assert not goes_to_the_journal()


def test_token_in_a_file_is_named_in_the_journal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ogp.cli.setup.goes_to_the_journal", lambda: True)
    result = run()
    assert "data/admin.token" in last_line(result)
    assert parse((folder / "data" / "admin.token").read_text().strip()) is not None


def test_database_of_a_newer_program_is_refused(folder: Path) -> None:
    run()
    with closing(sqlite3.connect(folder / "data" / "ogp.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    result = run()
    assert result.exit_code == 1
    assert "the set-up failed" in result.stderr
    assert "9999" in result.stderr


def test_file_that_is_no_database_is_refused(folder: Path) -> None:
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "ogp.db").write_text("this is not a database, " * 100)
    result = run()
    assert result.exit_code == 1
    assert "not a database" in result.stderr


def test_data_directory_that_cannot_be_made_is_refused(folder: Path) -> None:
    (folder / "data").write_text("in the way")
    result = run()
    assert result.exit_code == 1
    assert "the set-up failed" in result.stderr


def test_bad_configuration_is_refused_with_its_mistakes(folder: Path) -> None:
    (folder / "config.yaml").write_text("server: {port: nonsense}\n")
    result = run()
    assert result.exit_code == 1
    assert "server.port" in result.stderr
    assert not (folder / "data").exists()
