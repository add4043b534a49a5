"""The steps in `migrations/` lead to the tables of the code, up and down, also from the shell."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from ogp.storage.migrate import MIGRATIONS, migration_connection, newest_version
from ogp.storage.tables import Table

ROOT = Path(__file__).resolve().parents[1]
COMMA_OUTSIDE_BRACKETS = re.compile(r",(?![^(]*\))")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with migration_connection(tmp_path / "ogp.db") as connection:
        yield connection


@pytest.fixture
def config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def tables(connection: Connection) -> set[str]:
    names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")
    return set(names.scalars()) - {"alembic_version", "sqlite_sequence"}


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), Table.metadata))


def test_up_makes_the_tables_of_the_code(config: Config, connection: Connection) -> None:
    command.upgrade(config, "head")
    assert tables(connection) == set(Table.metadata.tables)
    assert differences(connection) == []


def test_a_difference_would_be_seen(config: Config, connection: Connection) -> None:
    command.upgrade(config, "head")
    connection.exec_driver_sql("ALTER TABLE users DROP COLUMN note")
    assert differences(connection) != []


def test_checks_and_autoincrement_are_those_of_the_code(
    config: Config, connection: Connection
) -> None:
    query = "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index')"
    command.upgrade(config, "head")
    stepped = {name: normal(sql) for name, sql in connection.exec_driver_sql(query) if sql}
    connection.rollback()
    command.downgrade(config, "base")
    Table.metadata.create_all(connection)
    declared = {name: normal(sql) for name, sql in connection.exec_driver_sql(query) if sql}
    assert stepped == declared


def normal(sql: str) -> list[str]:
    """Columns and constraints in one order: a column that a later step adds stands at the end."""
    head, _, body = sql.partition("(")
    parts = COMMA_OUTSIDE_BRACKETS.split(body.rstrip().removesuffix(")"))
    return sorted(" ".join(part.split()) for part in (head, *parts))


def test_down_leaves_nothing(config: Config, connection: Connection) -> None:
    command.upgrade(config, "head")
    command.downgrade(config, "base")
    assert tables(connection) == set()


def test_up_again_after_down(config: Config, connection: Connection) -> None:
    command.upgrade(config, "head")
    command.downgrade(config, "base")
    command.upgrade(config, "head")
    assert tables(connection) == set(Table.metadata.tables)


def test_the_last_file_name_is_the_newest_version(config: Config) -> None:
    assert ScriptDirectory.from_config(config).get_current_head() == newest_version()


def test_no_step_imports_the_program() -> None:
    steps = list((MIGRATIONS / "versions").glob("*.py"))
    assert steps
    assert [step.name for step in steps if "ogp" in step.read_text()] == []


def test_a_generated_step_imports_nothing_of_the_program(
    config: Config, connection: Connection, tmp_path: Path
) -> None:
    command.upgrade(config, "head")
    connection.exec_driver_sql("ALTER TABLE users DROP COLUMN created_at")
    connection.commit()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    config.set_main_option("version_locations", f"{MIGRATIONS / 'versions'}:{scratch}")
    config.set_main_option("path_separator", "os")
    command.revision(config, "x", autogenerate=True, rev_id="0999", version_path=str(scratch))
    written = next(scratch.glob("*.py")).read_text()
    assert "sa.Column('created_at', sa.String(24), nullable=False)" in written
    assert "ogp" not in written


def test_the_shell_command_works_from_the_root(tmp_path: Path) -> None:
    ini = ConfigParser(interpolation=None)
    ini.read(ROOT / "alembic.ini")
    assert ini["alembic"]["sqlalchemy.url"] == "sqlite:///data/ogp.db"
    ini["alembic"]["sqlalchemy.url"] = f"sqlite:///{tmp_path}/data/ogp.db"
    for key, value in ini["alembic"].items():
        ini["alembic"][key] = value.replace("%(here)s", str(ROOT))
    with (tmp_path / "alembic.ini").open("w") as file:
        ini.write(file)
    subprocess.run(
        [sys.executable, "-m", "alembic", "-c", str(tmp_path / "alembic.ini"), "upgrade", "head"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    )
    made = sqlite3.connect(tmp_path / "data" / "ogp.db")
    assert made.execute("SELECT version_num FROM alembic_version").fetchone() == (newest_version(),)
