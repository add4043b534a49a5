"""Runs migration steps over one connection, given by the caller or made here for the shell."""

from pathlib import Path
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection

from ogp.storage.migrate import migration_connection
from ogp.storage.tables import Table
from ogp.storage.timestamps import LENGTH, UtcTime


def render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Steps import nothing from `ogp`: our own column type is written as what it stores."""
    if kind == "type" and isinstance(item, UtcTime):
        return f"sa.String({LENGTH})"
    return False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        render_as_batch=True,
        render_item=render_item,
        # SQLite can undo DDL, and the connection really begins: a step happens whole or not at all.
        transactional_ddl=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = context.config.get_main_option("sqlalchemy.url") or ""
    with migration_connection(Path(url.removeprefix("sqlite:///"))) as connection:
        run(connection)
