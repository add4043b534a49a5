"""The class in the queue that a token was made for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ogp.auth.hasher import BcryptHasher
from ogp.auth.users import UserStore
from ogp.core.types import Priority
from ogp.storage.engine import Database
from ogp.storage.tables import Table


@pytest.fixture
def store(tmp_path: Path) -> Iterator[UserStore]:
    database = Database(tmp_path / "ogp.db")
    database.start()
    with database.write() as connection:
        Table.metadata.create_all(connection)
    yield UserStore(database, hasher=BcryptHasher(4))
    database.stop()


def priorities(store: UserStore) -> list[Priority | None]:
    return [token.priority for token in store.get("alice").tokens]


def test_token_is_of_no_class_unless_asked(store: UserStore) -> None:
    store.create("alice")
    assert priorities(store) == [None]


def test_class_belongs_to_the_token_it_was_made_with(store: UserStore) -> None:
    store.create("alice", priority=Priority.BATCH)
    store.regenerate_token("alice", None, priority=Priority.INTERACTIVE)
    assert priorities(store) == [Priority.BATCH, Priority.INTERACTIVE]
