"""Users and their tokens: made, listed, changed. Each change is one transaction."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError, StatementError

from ogp.auth.accounts import (
    Account,
    LastAdminError,
    User,
    UserError,
    UserExistsError,
    UsersUnavailableError,
    check_name,
)
from ogp.auth.hasher import BcryptHasher, SecretHasher
from ogp.auth.listing import count_active_admins, find_user, list_accounts
from ogp.auth.tokens import MintedToken, mint
from ogp.core.clock import Clock, SystemClock
from ogp.core.types import Priority, Role
from ogp.settings.schema import AuthSettings
from ogp.storage.engine import Database
from ogp.storage.tables import TokenTable, UserTable


class UserStore:
    """Users in a started database. Thread-safe, and other processes see changes at once.

    Every method raises `UsersUnavailableError` when the database cannot be used. The plain token
    exists only in the value that `create` and `regenerate_token` return.
    """

    def __init__(
        self,
        database: Database,
        *,
        hasher: SecretHasher | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Store the parts; `hasher` is bcrypt at its default cost unless given."""
        self._database = database
        self._hasher = hasher or BcryptHasher(AuthSettings().bcrypt_cost)
        self._clock = clock or SystemClock()

    def create(
        self,
        name: str,
        role: Role = Role.USER,
        expires_at: datetime | None = None,
        *,
        priority: Priority | None = None,
    ) -> tuple[User, MintedToken]:
        """Add a user with one token.

        Args:
            name: see `check_name`; names that differ in case only would be mistaken for another.
            role: what the user may do.
            expires_at: from when on the token is refused; None for never.
            priority: class of the token's requests in the queue; None leaves it to settings and
                request.

        Raises:
            UserExistsError: the name is taken, in this or another case.
            UserError: the name breaks the rule, or the expiry lies in the past.
        """
        check_name(name)
        token, row = self._mint(expires_at, priority)
        with self._using(self._database.write) as connection:
            statement = select(UserTable.name).where(func.lower(UserTable.name) == name.lower())
            taken = connection.execute(statement).scalar()
            if taken is not None:
                raise UserExistsError(f"there is already a user {taken!r}")
            connection.execute(
                insert(UserTable).values(
                    name=name, role=role.value, active=True, created_at=self._clock.now()
                )
            )
            user = find_user(connection, name)
            connection.execute(insert(TokenTable).values(user_id=user.id, **row))
        return user, token

    def list(self) -> tuple[Account, ...]:
        """All users, by name."""
        with self._using(self._database.read) as connection:
            return list_accounts(connection)

    def get(self, name: str) -> Account:
        """One user.

        Raises:
            UserNotFoundError: there is none of this name.
        """
        with self._using(self._database.read) as connection:
            find_user(connection, name)
            return list_accounts(connection, name)[0]

    def count(self) -> int:
        """How many users there are."""
        with self._using(self._database.read) as connection:
            return connection.execute(select(func.count()).select_from(UserTable)).scalar_one()

    def has_admin(self) -> bool:
        """Whether an admin exists who is not deactivated."""
        with self._using(self._database.read) as connection:
            return count_active_admins(connection) > 0

    def deactivate(self, name: str, *, force: bool = False) -> User:
        """Refuse the user's tokens from the next request on; they are kept.

        Raises:
            UserNotFoundError: there is none of this name.
            LastAdminError: it is the last active admin, and `force` is not set.
        """
        return self._set_active(name, active=False, force=force)

    def activate(self, name: str) -> User:
        """Undo `deactivate`.

        Raises:
            UserNotFoundError: there is none of this name.
        """
        return self._set_active(name, active=True, force=True)

    def regenerate_token(
        self, name: str, expires_at: datetime | None, *, priority: Priority | None = None
    ) -> tuple[User, MintedToken]:
        """Revoke all tokens of the user and give a new one; there is no moment with both or none.

        Args:
            name: of the user.
            expires_at: of the new token; None for never. Not taken over from the old token here,
                as that may have expired.
            priority: of the new token, as for `create`.

        Raises:
            UserNotFoundError: there is none of this name.
            UserError: the expiry lies in the past.
        """
        token, row = self._mint(expires_at, priority)
        with self._using(self._database.write) as connection:
            user = find_user(connection, name)
            connection.execute(
                update(TokenTable)
                .where(TokenTable.user_id == user.id, TokenTable.revoked_at.is_(None))
                .values(revoked_at=self._clock.now())
            )
            connection.execute(insert(TokenTable).values(user_id=user.id, **row))
        return user, token

    def delete(self, name: str, *, force: bool = False) -> User:
        """Remove the user and all tokens. The request log keeps its rows and the name in them.

        Raises:
            UserNotFoundError: there is none of this name.
            LastAdminError: it is the last active admin, and `force` is not set.
        """
        with self._using(self._database.write) as connection:
            user = find_user(connection, name)
            if not force:
                _keep_an_admin(connection, user)
            connection.execute(delete(TokenTable).where(TokenTable.user_id == user.id))
            connection.execute(delete(UserTable).where(UserTable.id == user.id))
        return user

    def _set_active(self, name: str, *, active: bool, force: bool) -> User:
        with self._using(self._database.write) as connection:
            user = find_user(connection, name)
            if not force:
                _keep_an_admin(connection, user)
            connection.execute(
                update(UserTable).where(UserTable.id == user.id).values(active=active)
            )
        return replace(user, active=active)

    @contextmanager
    def _using(
        self, borrow: Callable[[], AbstractContextManager[Connection]]
    ) -> Iterator[Connection]:
        try:
            with borrow() as connection:
                yield connection
        except (SQLAlchemyError, ValueError) as error:  # ValueError: a damaged time in a row
            # The driver's words only: SQLAlchemy's repeat the statement with its values.
            reason = error.orig if isinstance(error, StatementError) else error
            raise UsersUnavailableError(
                f"the database {self._database.path} cannot be used: {reason}"
            ) from error

    def _mint(
        self, expires_at: datetime | None, priority: Priority | None
    ) -> tuple[MintedToken, dict[str, Any]]:
        """A token and its row; before the transaction, as a hash may take long."""
        now = self._clock.now()
        if expires_at is not None and expires_at <= now:
            raise UserError(f"the expiry {expires_at:%Y-%m-%d %H:%M} UTC lies in the past")
        token = mint()
        row = {
            "id": token.id,
            "secret_hash": self._hasher.digest(token.secret),
            "created_at": now,
            "expires_at": expires_at,
            "priority": None if priority is None else priority.value,
        }
        return token, row


def _keep_an_admin(connection: Connection, user: User) -> None:
    if user.role is Role.ADMIN and user.active and count_active_admins(connection) == 1:
        raise LastAdminError(
            f"{user.name!r} is the last active admin: make another one first, or --force it"
        )
