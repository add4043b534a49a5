"""`--priority` of `ogp users`."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from ogp.cli.users import users


class Shell:
    """A directory, and a way to run commands there."""

    def __init__(self, directory: Path) -> None:
        self.data_dir = directory / "data"

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(users, [*arguments, "--data-dir", str(self.data_dir)])

    def ok(self, *arguments: str) -> Result:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.data_dir / "ogp.db")) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONFIG_FILE", raising=False)
    configured, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Shell(tmp_path)
    structlog.configure(**configured)
    root.handlers[:] = handlers
    root.setLevel(level)


def priorities(shell: Shell) -> list[object]:
    """Of all tokens, as they were made."""
    return [row[0] for row in shell.sql("SELECT priority FROM tokens ORDER BY rowid")]


def test_token_has_the_class_that_was_asked_for(shell: Shell) -> None:
    shell.ok("create", "alice")
    shell.ok("create", "nightly", "--priority", "batch")
    assert priorities(shell) == [None, "batch"]
    assert "batch" in shell.ok("list").stdout


def test_regenerated_token_keeps_the_class_of_the_old_one(shell: Shell) -> None:
    shell.ok("create", "nightly", "--priority", "batch")
    shell.ok("regenerate-token", "nightly")
    assert priorities(shell) == ["batch", "batch"]


@pytest.mark.parametrize(("word", "stored"), [("interactive", "interactive"), ("none", None)])
def test_regenerated_token_can_have_another_class(
    shell: Shell, word: str, stored: str | None
) -> None:
    shell.ok("create", "nightly", "--priority", "batch")
    shell.ok("regenerate-token", "nightly", "--priority", word)
    assert priorities(shell) == ["batch", stored]


def test_class_that_does_not_exist_is_refused(shell: Shell) -> None:
    assert shell.run("create", "alice", "--priority", "urgent").exit_code == 2
