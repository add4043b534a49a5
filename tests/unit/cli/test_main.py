import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from ogp import __version__
from ogp.cli.main import COMMANDS, LazyGroup, main

COSTLY = ("sqlalchemy", "alembic", "pydantic", "rich", "falcon", "requests", "structlog")


def test_help_lists_every_command_with_its_line() -> None:
    output = CliRunner().invoke(main, ["--help"]).output
    for name, (_, line) in COMMANDS.items():
        assert f"  {name}" in output
        assert line in output


def test_help_imports_nothing_costly() -> None:
    code = (
        "import sys; from ogp.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print(*(set({COSTLY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "\n"
    assert "Usage:" in done.stdout


def test_the_version_is_shown() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"ogp, version {__version__}\n"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_can_be_imported(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert isinstance(command, click.Command)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(name: str) -> None:
    assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


def test_names_are_listed_for_completion() -> None:
    assert main.list_commands(click.Context(main)) == list(COMMANDS)


def test_an_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(main, ["nope"])
    assert result.exit_code == 2
    assert "No such command 'nope'" in result.output


def test_something_that_is_no_command_is_refused() -> None:
    group = LazyGroup(lazy={"x": ("ogp.cli.main:COMMANDS", "not a command")})
    with pytest.raises(TypeError, match=r"ogp\.cli\.main:COMMANDS is no click command"):
        group.get_command(click.Context(group), "x")
