"""Brings the database file to the newest version, once, however many processes start."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import structlog
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from ogp.storage.engine import secure_files

log = structlog.get_logger()

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
LOCK_NAME = "migrate.lock"
BUSY_TIMEOUT_S = 60.0
"""A running service may hold the database for a moment; a migration can wait longer than that."""


class MigrationError(Exception):
    """The database could not be upgraded; it is as it was before the failing step."""


def newest_version() -> str:
    """The version this code needs: the number that starts the last file name in `versions/`."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def stored_version(path: Path) -> str | None:
    """The version of the database file; None for one that is missing or has none yet.

    Raises:
        MigrationError: the file is not a database, or cannot be read.
    """
    if not path.exists():
        return None
    known = "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
            if connection.execute(known).fetchone() is None:
                return None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise MigrationError(f"{path} cannot be read: {error}") from error
    return None if row is None else str(row[0])


def is_current(path: Path) -> bool:
    """Whether nothing needs to be done. Costs a query, not the import of alembic (0.3 s)."""
    return stored_version(path) == newest_version()


def migrate(path: Path) -> None:
    """Upgrade the file, or make it. Of processes that start together one works, the others wait.

    Raises:
        MigrationError: a step failed, or a newer version of the program wrote the file.
    """
    secure_files(path)
    with _exclusive(path.with_name(LOCK_NAME)):
        before = stored_version(path)
        if before == newest_version():
            return
        if before is not None and before > newest_version():
            raise MigrationError(
                f"{path} has version {before}, this program knows {newest_version()} at most: "
                "install the version of the program that wrote it, or restore a backup"
            )
        _upgrade(path)
        log.info("database migrated", before=before, after=newest_version())


def _upgrade(path: Path) -> None:
    # Imported here: the second start, and every worker, go without.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        with migration_connection(path) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except Exception as error:
        raise MigrationError(f"{path} could not be migrated: {error}") from error


@contextmanager
def migration_connection(path: Path) -> Iterator[Connection]:
    """A connection whose transactions cover DDL.

    Foreign keys are not enforced: rebuilding a table drops the old one, which would otherwise
    delete every row that refers to it.
    """
    secure_files(path)
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=NullPool,
        connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_S},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=OFF")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _exclusive(lock: Path) -> Iterator[None]:
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
