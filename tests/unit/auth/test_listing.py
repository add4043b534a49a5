"""What is read of users, straight from a connection."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from ogp.auth.accounts import UserNotFoundError
from ogp.auth.hasher import BcryptHasher
from ogp.auth.listing import count_active_admins, find_user, list_accounts
from ogp.auth.users import UserStore
from ogp.core.types import Role
from ogp.storage.engine import Database
from ogp.storage.tables import Table


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    database = Database(tmp_path / "ogp.db")
    database.start()
    with database.write() as connection:
        Table.metadata.create_all(connection)
    store = UserStore(database, hasher=BcryptHasher(4))
    for name in ("alice", "bob", "Zed"):
        store.create(name)
    store.create("root", Role.ADMIN)
    with database.read() as connection:
        yield connection
    database.stop()


def test_user_is_found_by_the_exact_name(connection: Connection) -> None:
    assert find_user(connection, "alice").name == "alice"


@pytest.mark.parametrize("name", ["Alice", "al", "alice ", "%"])
def test_other_spelling_finds_nobody(connection: Connection, name: str) -> None:
    with pytest.raises(UserNotFoundError):
        find_user(connection, name)


def test_one_account_is_listed_by_name(connection: Connection) -> None:
    assert [account.user.name for account in list_accounts(connection, "bob")] == ["bob"]


def test_unknown_name_lists_nobody(connection: Connection) -> None:
    assert list_accounts(connection, "nobody") == ()


def test_active_admins_are_counted(connection: Connection) -> None:
    assert count_active_admins(connection) == 1


def test_listing_takes_three_statements_however_many_users(connection: Connection) -> None:
    statements: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(connection, "before_cursor_execute", count)
    assert len(list_accounts(connection)) == 4
    assert len(statements) == 3
