"""`ogp users` as an operator meets it: what is printed where, and what is refused."""

import logging
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
import structlog
from click.testing import CliRunner, Result

from ogp.auth.hasher import BcryptHasher
from ogp.auth.tokens import parse
from ogp.auth.users import UserStore
from ogp.auth.verifier import TokenVerifier
from ogp.cli.users import StandardErrorSink, users
from ogp.core.clock import SystemClock
from ogp.core.errors import UnauthorizedError
from ogp.core.types import Role
from ogp.settings.schema import AuthSettings
from ogp.storage.engine import Database
from ogp.storage.migrate import migrate
from ogp.storage.writer import GroupCommitWriter

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "users.py"
COMMANDS = ["create", "list", "show", "deactivate", "activate", "regenerate-token", "delete"]


class Shell:
    """A directory with a migrated database, and a way to run commands there."""

    def __init__(self, directory: Path) -> None:
        self.data_dir = directory / "data"
        self.path = self.data_dir / "ogp.db"

    def run(self, *arguments: str, input: str | None = None) -> Result:
        command = [*arguments, "--data-dir", str(self.data_dir)]
        return CliRunner().invoke(users, command, input=input)

    def ok(self, *arguments: str, input: str | None = None) -> Result:
        result = self.run(*arguments, input=input)
        assert result.exit_code == 0, result.output
        return result

    def json(self, *arguments: str) -> object:
        return orjson.loads(self.ok(*arguments, "--json").stdout)

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement).fetchall()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "ogp.db"
    migrate(path)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONFIG_FILE", raising=False)
    return Shell(tmp_path)


@pytest.fixture
def shell(bare: Shell, template: Path) -> Shell:
    bare.data_dir.mkdir()
    shutil.copy(template, bare.path)
    return bare


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    configured, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**configured)
    root.handlers[:] = handlers
    root.setLevel(level)


def refused(result: Result) -> str:
    """The one sentence of a command that failed."""
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line.removeprefix("Error: ")


def test_first_command_makes_the_database_and_prints_the_token_alone(bare: Shell) -> None:
    result = bare.ok("create", "alice", "--role", "admin")
    (line,) = result.stdout.splitlines()
    token = parse(line)
    assert token is not None
    assert bare.sql("SELECT name, role, tokens.id FROM users JOIN tokens") == [
        ("alice", "admin", token.id)
    ]


def test_created_user_is_an_ordinary_one_unless_asked(shell: Shell) -> None:
    shell.ok("create", "alice")
    assert shell.sql("SELECT role FROM users") == [("user",)]


def test_people_are_told_how_to_use_the_token_but_not_the_token(shell: Shell) -> None:
    result = shell.ok("create", "alice")
    assert "Created alice (user)." in result.stderr
    assert 'curl -H "Authorization: Bearer $OGP_TOKEN" http://127.0.0.1:8080/api/tags' in (
        result.stderr
    )
    assert result.stdout.strip() not in result.stderr


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:9000/"),
        ("::", "http://[::1]:9000/"),
        ("10.0.0.7", "http://10.0.0.7:9000/"),
    ],
)
def test_example_names_an_address_that_can_be_reached(
    shell: Shell, tmp_path: Path, host: str, url: str
) -> None:
    config = tmp_path / "other.yaml"
    config.write_text(f"server:\n  host: '{host}'\n  port: 9000\n")
    assert url in shell.ok("create", "alice", "--config", str(config)).stderr


def test_hash_is_of_the_configured_cost(shell: Shell, tmp_path: Path) -> None:
    config = tmp_path / "other.yaml"
    config.write_text("auth:\n  bcrypt_cost: 4\n")
    shell.ok("create", "alice", "--config", str(config))
    assert shell.sql("SELECT substr(secret_hash, 1, 7) FROM tokens") == [("$2b$04$",)]


def test_expiry_is_kept_and_said(shell: Shell) -> None:
    assert (
        "expires: 2099-02-01 00:00 UTC"
        in shell.ok("create", "alice", "--expires", "2099-01-31").stderr
    )
    assert shell.sql("SELECT expires_at FROM tokens") == [("2099-02-01T00:00:00.000Z",)]


def test_create_for_programs_is_one_document(shell: Shell) -> None:
    result = shell.ok("create", "alice", "--json")
    document = orjson.loads(result.stdout)
    token = parse(document["token"])
    assert token is not None
    assert document["token_preview"] == f"ogp_{token.id}_..."
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create", "a b"), "'a b' cannot be a user name: a user name has 1 to 64 letters"),
        (("create", "x'; DROP TABLE users; --"), "cannot be a user name"),
        (("create", "ALICE"), "there is already a user 'alice'"),
        (("create", "bob", "--expires", "soon"), "'soon' is no expiry: say a duration"),
        (("create", "bob", "--expires", "2001-01-01"), "lies in the past"),
        (("show", "nobody"), "there is no user 'nobody'"),
        (("show", "al%"), "there is no user 'al%'"),
        (("deactivate", "nobody"), "there is no user 'nobody'"),
        (("activate", "nobody"), "there is no user 'nobody'"),
        (("regenerate-token", "nobody"), "there is no user 'nobody'"),
        (("delete", "nobody"), "there is no user 'nobody'"),
        (("delete", "alice", "--yes"), "'alice' is the last active admin"),
        (("deactivate", "alice"), "'alice' is the last active admin"),
    ],
)
def test_mistake_is_one_sentence_and_changes_nothing(
    shell: Shell, arguments: tuple[str, ...], sentence: str
) -> None:
    shell.ok("create", "alice", "--role", "admin")
    before = shell.sql("SELECT * FROM users JOIN tokens")
    assert sentence in refused(shell.run(*arguments))
    assert shell.sql("SELECT * FROM users JOIN tokens") == before


def test_unknown_role_is_refused(shell: Shell) -> None:
    assert shell.run("create", "alice", "--role", "root").exit_code == 2


def test_list_shows_every_user_without_a_secret(shell: Shell) -> None:
    tokens = [shell.ok("create", name).stdout.strip() for name in ("alice", "bob")]
    listed = shell.ok("list").stdout
    for head in ("Name", "Role", "Status", "Requests", "Token preview", "Created", "Last used"):
        assert head in listed
    for token in tokens:
        assert token[:13] + "..." in listed
        assert token[13:] not in listed


def test_empty_list_says_how_to_begin(shell: Shell) -> None:
    assert "ogp users create NAME" in shell.ok("list").stderr


def test_list_for_programs_is_an_array(shell: Shell) -> None:
    assert shell.json("list") == []
    shell.ok("create", "alice")
    (account,) = shell.json("list")
    assert (account["name"], account["status"], account["requests"]) == ("alice", "active", 0)


def test_show_lists_revoked_tokens_too(shell: Shell) -> None:
    first = shell.ok("create", "alice").stdout
    second = shell.ok("regenerate-token", "alice").stdout
    shown = shell.ok("show", "alice").stdout
    assert first[:13] in shown
    assert second[:13] in shown


def test_show_for_programs_has_all_tokens(shell: Shell) -> None:
    shell.ok("create", "alice")
    shell.ok("regenerate-token", "alice")
    revoked = [token["revoked_at"] is not None for token in shell.json("show", "alice")["tokens"]]
    assert revoked == [True, False]


def test_deactivated_user_is_listed_as_such_until_activated(shell: Shell) -> None:
    shell.ok("create", "alice")
    assert shell.ok("deactivate", "alice").stdout == "Deactivated alice (user).\n"
    assert shell.json("show", "alice")["status"] == "deactivated"
    assert shell.ok("activate", "alice").stdout == "Activated alice (user).\n"
    assert shell.json("show", "alice")["status"] == "active"


def test_change_for_programs_is_one_document(shell: Shell) -> None:
    shell.ok("create", "alice")
    assert shell.json("deactivate", "alice") == {
        "name": "alice",
        "role": "user",
        "done": "deactivated",
    }


def test_regenerated_token_is_alone_on_standard_output(shell: Shell) -> None:
    old = shell.ok("create", "alice").stdout
    result = shell.ok("regenerate-token", "alice")
    (line,) = result.stdout.splitlines()
    assert parse(line) is not None
    assert line != old.strip()
    assert "The old token of alice (user) is revoked." in result.stderr


def test_regenerated_token_ends_when_the_old_one_would_have(shell: Shell) -> None:
    shell.ok("create", "alice", "--expires", "2099-01-31")
    shell.ok("regenerate-token", "alice")
    assert shell.json("show", "alice")["expires_at"] == "2099-02-01T00:00:00Z"


def test_regenerated_token_ends_when_asked_to(shell: Shell) -> None:
    shell.ok("create", "alice", "--expires", "2099-01-31")
    shell.ok("regenerate-token", "alice", "--expires", "never")
    assert shell.json("show", "alice")["expires_at"] is None


def test_expired_token_is_not_renewed_without_a_new_end(shell: Shell) -> None:
    shell.ok("create", "alice")
    shell.sql("UPDATE tokens SET expires_at = '2001-01-01T00:00:00.000Z'")
    assert shell.json("show", "alice")["status"] == "expired"
    assert "say --expires" in refused(shell.run("regenerate-token", "alice"))
    shell.ok("regenerate-token", "alice", "--expires", "30d")


def test_user_who_lost_every_token_gets_a_new_one(shell: Shell) -> None:
    shell.ok("create", "alice")
    shell.sql("DELETE FROM tokens")
    shell.ok("regenerate-token", "alice")
    assert shell.json("show", "alice")["status"] == "active"


def test_new_token_of_a_deactivated_user_comes_with_a_warning(shell: Shell) -> None:
    shell.ok("create", "alice")
    shell.ok("deactivate", "alice")
    assert "ogp users activate alice" in shell.ok("regenerate-token", "alice").stderr


def test_delete_asks_for_the_word(shell: Shell) -> None:
    shell.ok("create", "alice")
    result = shell.ok("delete", "alice", input="DELETE\n")
    assert "Type DELETE" in result.stderr
    assert result.stdout == "Deleted alice (user).\n"
    assert shell.json("list") == []


@pytest.mark.parametrize("answer", ["delete\n", "yes\n", "", "\n"])
def test_any_other_answer_deletes_nobody(shell: Shell, answer: str) -> None:
    shell.ok("create", "alice")
    assert shell.run("delete", "alice", input=answer).exit_code == 1
    assert len(shell.json("list")) == 1


def test_delete_with_yes_does_not_ask(shell: Shell) -> None:
    shell.ok("create", "alice")
    assert shell.ok("delete", "alice", "--yes").stderr == ""
    assert shell.json("list") == []


@pytest.mark.parametrize("arguments", [("deactivate", "root"), ("delete", "root", "--yes")])
def test_last_admin_goes_when_forced(shell: Shell, arguments: tuple[str, ...]) -> None:
    shell.ok("create", "root", "--role", "admin")
    shell.ok(*arguments, "--force")
    assert shell.sql("SELECT count(*) FROM users WHERE active") == [(0,)]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_config_data_dir_and_json(command: str) -> None:
    options = {option for item in users.commands[command].params for option in item.opts}
    assert {"--config", "--data-dir", "--json"} <= options


def test_commands_are_the_documented_ones() -> None:
    assert sorted(users.commands) == sorted(COMMANDS)


def test_file_that_is_no_database_is_named(bare: Shell) -> None:
    bare.data_dir.mkdir()
    bare.path.write_text("not a database, just text " * 100)
    sentence = refused(bare.run("list"))
    assert str(bare.path) in sentence
    assert sentence.endswith("file is not a database")


def test_damaged_database_is_named_without_the_statement(shell: Shell) -> None:
    shell.sql("DROP TABLE tokens")
    assert refused(shell.run("create", "alice")).endswith("no such table: tokens")


def test_data_dir_that_is_a_file_is_named(bare: Shell) -> None:
    bare.data_dir.write_text("")
    assert refused(bare.run("list")).endswith("cannot be used: File exists")


def test_database_of_a_newer_version_is_left_alone(shell: Shell) -> None:
    shell.sql("UPDATE alembic_version SET version_num = '9999'")
    assert "has version 9999" in refused(shell.run("list"))


def test_log_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    sink = StandardErrorSink()
    sink.write(b"a line\n")
    sink.flush()
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "a line\n")


def test_script_changes_what_a_running_service_sees_at_once(shell: Shell, tmp_path: Path) -> None:
    database = Database(shell.path)
    database.start()
    writer = GroupCommitWriter(database, max_pending=10, name="test")
    writer.start()
    verifier = TokenVerifier(database, writer, AuthSettings(), SystemClock())
    _, token = UserStore(database, hasher=BcryptHasher(4)).create("alice", Role.USER)
    assert verifier.verify(f"Bearer {token.text}").username == "alice"
    command = [sys.executable, str(SCRIPT), "deactivate", "alice", "--data-dir=data"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "Deactivated alice (user).\n"), done.stderr
    with pytest.raises(UnauthorizedError):
        verifier.verify(f"Bearer {token.text}")
    writer.stop(10)
    database.stop()


def test_script_reads_paths_from_where_it_is_called(shell: Shell, tmp_path: Path) -> None:
    shell.ok("create", "alice", "--expires", "2099-01-31")
    below = tmp_path / "below"
    below.mkdir()
    command = [sys.executable, str(SCRIPT), "show", "alice", "--json", "--data-dir", "../data"]
    done = subprocess.run(command, cwd=below, capture_output=True, timeout=60, check=True)
    created = datetime.fromisoformat(orjson.loads(done.stdout)["created_at"])
    assert created <= datetime.now(UTC)
    assert not list(below.iterdir())
