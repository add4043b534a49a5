"""Reads of the request log, for the command line."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, func, select

from ogp.storage.engine import Database
from ogp.storage.tables import RequestLogTable


class AuditQueries:
    """Reads committed rows. Thread-safe."""

    def __init__(self, database: Database) -> None:
        """Store the database; it must be started before the first query."""
        self._database = database

    def recent(self, limit: int, user: str | None = None) -> Sequence[RowMapping]:
        """The last rows, newest first, of everybody or of one user by name.

        Newest by id: that is the order of arrival, and an index has it for each user.
        """
        columns = RequestLogTable.__table__.columns
        statement = select(*columns).order_by(columns.id.desc()).limit(limit)
        if user is not None:
            statement = statement.where(columns.username == user)
        with self._database.read() as connection:
            return connection.execute(statement).mappings().all()

    def requests_per_user(self) -> dict[int, int]:
        """How many rows each user has, by user id. Reads the whole table: not for requests."""
        user_id = RequestLogTable.user_id
        statement = select(user_id, func.count()).group_by(user_id)
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
        return {owner: count for owner, count in rows if owner is not None}
