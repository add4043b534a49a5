"""Limits of queues that an administrator set to outlast a restart."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from ogp.core.slots import SlotLimits
from ogp.storage.engine import Database
from ogp.storage.tables import ModelLimitsTable
from ogp.storage.writer import GroupCommitWriter, StorageUnavailableError

COMMIT_TIMEOUT_S = 10.0
"""Longest wait for a commit, in seconds."""


class ModelLimitsStore:
    """Rows of `model_limits`, one per model. Thread-safe; every call waits for its commit."""

    def __init__(self, database: Database, writer: GroupCommitWriter) -> None:
        self._database, self._writer = database, writer

    def read(self) -> Mapping[str, SlotLimits]:
        """All stored limits, by model.

        Raises:
            StorageUnavailableError: the table cannot be read.
        """
        statement = select(
            ModelLimitsTable.model, ModelLimitsTable.parallel, ModelLimitsTable.max_queue
        ).order_by(ModelLimitsTable.model)
        try:
            with self._database.read() as connection:
                rows = connection.execute(statement).all()
        except SQLAlchemyError as error:
            raise StorageUnavailableError("stored limits cannot be read") from error
        return {row.model: SlotLimits(row.parallel, row.max_queue) for row in rows}

    def keep(self, model: str, limits: SlotLimits, *, set_at: datetime, set_by: str) -> None:
        """Store a model's limits in place of those it had.

        Raises:
            StorageUnavailableError: they could not be committed.
        """
        values: dict[str, Any] = {
            "model": model,
            "parallel": limits.parallel,
            "max_queue": limits.max_queue,
            "set_at": set_at,
            "set_by": set_by,
        }

        def write(connection: Connection) -> None:
            connection.execute(delete(ModelLimitsTable).where(ModelLimitsTable.model == model))
            connection.execute(insert(ModelLimitsTable).values(**values))

        self._commit(write)

    def forget(self, model: str) -> None:
        """Remove a model's row, if there is one.

        Raises:
            StorageUnavailableError: that could not be committed.
        """

        def write(connection: Connection) -> None:
            connection.execute(delete(ModelLimitsTable).where(ModelLimitsTable.model == model))

        self._commit(write)

    def _commit(self, write: Any) -> None:
        future = self._writer.submit(write)
        try:
            future.result(COMMIT_TIMEOUT_S)
        except TimeoutError as error:
            future.cancel()
            raise StorageUnavailableError("the database did not answer in time") from error
