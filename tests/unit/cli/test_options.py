from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from ogp.cli.options import config_path, settings_options
from ogp.settings.load import Loaded


@click.command()
@click.argument("word", default="none")
@settings_options
def tell(loaded: Loaded, word: str) -> None:
    """Print what arrived."""
    click.echo(f"{loaded.settings.server.port} {loaded.settings.data_dir} {word}")


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(tell, arguments, env=environ)


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONFIG_FILE", raising=False)
    return tmp_path


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text, "utf-8")
    return path


def test_without_a_file_the_defaults_count() -> None:
    assert run().output == "8080 data none\n"


def test_other_arguments_are_passed_on() -> None:
    assert run("x").output == "8080 data x\n"


def test_the_file_in_the_working_directory_is_read() -> None:
    write("config.yaml", "proxy_port: 1\n")
    assert run().output.startswith("1 ")


def test_config_file_names_another_one() -> None:
    write("config.yaml", "proxy_port: 1\n")
    write("b.yaml", "proxy_port: 2\n")
    assert run(CONFIG_FILE="b.yaml").output.startswith("2 ")


def test_the_option_wins_over_the_variable() -> None:
    write("b.yaml", "proxy_port: 2\n")
    write("c.yaml", "proxy_port: 3\n")
    assert run("--config", "c.yaml", CONFIG_FILE="b.yaml").output.startswith("3 ")


def test_the_environment_counts() -> None:
    assert run(PROXY_PORT="9000").output.startswith("9000 ")


def test_the_data_directory_given_wins_over_everything() -> None:
    write("config.yaml", "data_dir: a\n")
    assert run("--data-dir", "c", OGP__DATA_DIR="b").output == "8080 c none\n"


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_file_that_was_asked_for_must_exist(how: str) -> None:
    result = run("--config", "no.yaml") if how == "option" else run(CONFIG_FILE="no.yaml")
    assert result.exit_code == 1
    assert "no.yaml (file): cannot be read: No such file or directory" in result.output


def test_every_problem_is_shown_on_its_line_and_the_command_fails() -> None:
    write("config.yaml", "proxy_port: 99999\nprot: 1\n")
    result = run(WORKERS="x")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0] == "Error: the configuration cannot be used:"
    assert sorted(line.split()[0] for line in lines[1:]) == [
        "prot",
        "server.port",
        "server.workers",
    ]


def test_an_empty_variable_names_no_file() -> None:
    assert run(CONFIG_FILE="").output.startswith("8080 ")
    assert config_path(None) is None
