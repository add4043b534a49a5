"""Users in the database: every change, its refusals, and that it is whole."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from ogp.auth.accounts import (
    LastAdminError,
    Status,
    UserError,
    UserExistsError,
    UserNotFoundError,
    UsersUnavailableError,
)
from ogp.auth.hasher import BcryptHasher
from ogp.auth.users import UserStore
from ogp.core.types import Role
from ogp.storage.engine import Database
from ogp.storage.tables import RequestLogTable, Table, TokenTable

NOW = datetime(2026, 11, 20, 18, 47, tzinfo=UTC)
HOSTILE_NAMES = [
    "' OR 1=1 --",
    "%",
    "_",
    "a' ; DROP TABLE users; --",
    "alice\0",
    "ALICE",
    "",
    "\udcff",
]


class ManualClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.passed = timedelta()

    def monotonic(self) -> float:
        return self.passed.total_seconds()

    def now(self) -> datetime:
        return NOW + self.passed


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "ogp.db")
    database.start()
    with database.write() as connection:
        Table.metadata.create_all(connection)
    yield database
    database.stop()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(database: Database, clock: ManualClock) -> UserStore:
    return UserStore(database, hasher=BcryptHasher(4), clock=clock)


def hashes(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(TokenTable.secret_hash)).scalars())


def log_requests(database: Database, count: int, user_id: int | None) -> None:
    row = {
        "request_id": "r",
        "user_id": user_id,
        "http_method": "POST",
        "path": "/",
        "process": "p",
    }
    more = {"state": "finished", "guard_input": "off", "guard_output": "off", "created_at": NOW}
    with database.write() as connection:
        connection.execute(insert(RequestLogTable), [{**row, **more} for _ in range(count)])


def test_created_user_is_listed_with_the_token(store: UserStore) -> None:
    user, token = store.create("alice", Role.ADMIN, NOW + timedelta(days=30))
    account = store.get("alice")
    assert account.user == user
    assert (user.name, user.role, user.active, user.created_at) == ("alice", Role.ADMIN, True, NOW)
    assert account.token is not None
    assert (account.token.id, account.token.expires_at) == (token.id, NOW + timedelta(days=30))


def test_user_is_an_ordinary_one_whose_token_never_expires_unless_asked(store: UserStore) -> None:
    user, _ = store.create("alice")
    token = store.get("alice").token
    assert user.role is Role.USER
    assert token is not None
    assert token.expires_at is None


def test_database_holds_a_bcrypt_hash_of_the_secret(store: UserStore, database: Database) -> None:
    _, token = store.create("alice")
    assert BcryptHasher(4).matches(token.secret, hashes(database)[0])


def test_hash_is_of_the_default_cost_unless_given(database: Database) -> None:
    UserStore(database).create("alice")
    assert hashes(database)[0].startswith("$2b$06$")


def test_plain_token_is_nowhere_in_the_files(store: UserStore, database: Database) -> None:
    secrets = [store.create("alice")[1].secret, store.regenerate_token("alice", None)[1].secret]
    files = list(database.path.parent.glob("ogp.db*"))
    assert files
    for file in files:
        content = file.read_bytes()
        assert not any(secret.encode() in content for secret in secrets)


@pytest.mark.parametrize("name", ["alice", "ALICE", "aLiCe"])
def test_taken_name_is_refused_in_any_case(store: UserStore, name: str) -> None:
    store.create("alice")
    with pytest.raises(UserExistsError, match="already a user 'alice'"):
        store.create(name)
    assert store.count() == 1


def test_same_name_at_once_makes_one_user(store: UserStore) -> None:
    def create(_: int) -> str:
        try:
            return store.create("alice")[0].name
        except UserExistsError:
            return "refused"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(create, range(8)))
    assert sorted(answers) == ["alice"] + 7 * ["refused"]


def test_name_outside_the_rule_makes_no_user(store: UserStore) -> None:
    with pytest.raises(UserError):
        store.create("' OR 1=1 --")
    assert store.count() == 0


def test_past_expiry_makes_no_user(store: UserStore) -> None:
    with pytest.raises(UserError, match="2026-11-20 18:47 UTC lies in the past"):
        store.create("alice", expires_at=NOW)
    assert store.count() == 0


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize(
    "act",
    [
        lambda store, name: store.get(name),
        lambda store, name: store.deactivate(name),
        lambda store, name: store.activate(name),
        lambda store, name: store.delete(name),
        lambda store, name: store.regenerate_token(name, None),
    ],
    ids=["get", "deactivate", "activate", "delete", "regenerate"],
)
def test_hostile_name_finds_and_changes_nobody(
    store: UserStore, act: Callable[[UserStore, str], object], name: str
) -> None:
    store.create("alice")
    before = store.list()
    with pytest.raises(UserNotFoundError, match="there is no user") as refused:
        act(store, name)
    assert str(refused.value).isprintable()
    assert store.list() == before


def test_users_are_listed_by_name(store: UserStore) -> None:
    for name in ("carol", "alice", "bob"):
        store.create(name)
    assert [account.user.name for account in store.list()] == ["alice", "bob", "carol"]


def test_nobody_is_listed_at_first(store: UserStore) -> None:
    assert store.list() == ()
    assert store.count() == 0


def test_each_user_is_listed_with_own_tokens_and_requests(
    store: UserStore, database: Database
) -> None:
    alice, first = store.create("alice")
    bob, second = store.create("bob")
    log_requests(database, 3, alice.id)
    log_requests(database, 2, bob.id)
    log_requests(database, 5, None)
    listed = [(a.user.name, [t.id for t in a.tokens], a.requests) for a in store.list()]
    assert listed == [("alice", [first.id], 3), ("bob", [second.id], 2)]
    assert store.get("bob").requests == 2


def test_user_without_requests_has_none(store: UserStore) -> None:
    store.create("alice")
    assert store.get("alice").requests == 0


def test_deleted_users_requests_are_not_the_next_users(
    store: UserStore, database: Database
) -> None:
    user, _ = store.create("alice")
    log_requests(database, 3, user.id)
    store.delete("alice")
    store.create("alice")
    assert store.get("alice").requests == 0


def test_there_is_no_admin_at_first(store: UserStore) -> None:
    store.create("alice")
    assert not store.has_admin()


def test_there_is_an_admin_after_one_is_made(store: UserStore) -> None:
    store.create("root", Role.ADMIN)
    assert store.has_admin()


def test_deactivated_admin_does_not_count(store: UserStore) -> None:
    store.create("root", Role.ADMIN)
    store.deactivate("root", force=True)
    assert not store.has_admin()


def test_deactivated_user_keeps_the_token(store: UserStore, clock: ManualClock) -> None:
    _, token = store.create("alice")
    assert not store.deactivate("alice").active
    account = store.get("alice")
    assert account.status(clock.now()) is Status.DEACTIVATED
    assert account.token is not None
    assert account.token.id == token.id


def test_activated_user_is_active(store: UserStore, clock: ManualClock) -> None:
    store.create("alice")
    store.deactivate("alice")
    assert store.activate("alice").active
    assert store.get("alice").status(clock.now()) is Status.ACTIVE


def test_activating_an_active_user_changes_nothing(store: UserStore) -> None:
    store.create("alice")
    before = store.list()
    store.activate("alice")
    assert store.list() == before


def test_regenerated_token_replaces_the_old_one(store: UserStore, clock: ManualClock) -> None:
    _, old = store.create("alice")
    clock.passed = timedelta(hours=1)
    _, new = store.regenerate_token("alice", NOW + timedelta(days=7))
    first, second = store.get("alice").tokens
    assert (first.id, first.revoked_at) == (old.id, NOW + timedelta(hours=1))
    assert (second.id, second.revoked_at) == (new.id, None)
    assert second.expires_at == NOW + timedelta(days=7)


def test_earlier_revocation_keeps_its_time(store: UserStore, clock: ManualClock) -> None:
    store.create("alice")
    store.regenerate_token("alice", None)
    clock.passed = timedelta(hours=1)
    store.regenerate_token("alice", None)
    assert [token.revoked_at for token in store.get("alice").tokens] == [
        NOW,
        NOW + timedelta(hours=1),
        None,
    ]


def test_other_users_tokens_are_not_revoked(store: UserStore) -> None:
    store.create("alice")
    store.create("bob")
    store.regenerate_token("alice", None)
    assert [token.revoked_at for token in store.get("bob").tokens] == [None]


def test_old_token_stands_when_the_new_one_cannot_be_written(
    store: UserStore, database: Database
) -> None:
    store.create("alice")
    before = store.get("alice")
    with closing(sqlite3.connect(database.path)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON tokens BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    with pytest.raises(UsersUnavailableError, match="full"):
        store.regenerate_token("alice", None)
    assert store.get("alice") == before


def test_regeneration_with_a_past_expiry_revokes_nothing(store: UserStore) -> None:
    store.create("alice")
    with pytest.raises(UserError, match="past"):
        store.regenerate_token("alice", NOW - timedelta(days=1))
    assert [token.revoked_at for token in store.get("alice").tokens] == [None]


def test_deleted_user_is_gone_with_all_tokens(store: UserStore, database: Database) -> None:
    store.create("alice")
    store.regenerate_token("alice", None)
    store.delete("alice")
    assert store.list() == ()
    assert hashes(database) == []


def test_request_log_outlives_its_user(store: UserStore, database: Database) -> None:
    user, _ = store.create("alice")
    log_requests(database, 2, user.id)
    store.delete("alice")
    with database.read() as connection:
        kept = list(connection.execute(select(RequestLogTable.user_id)).scalars())
    assert kept == [user.id, user.id]


@pytest.mark.parametrize("act", [UserStore.deactivate, UserStore.delete])
def test_last_active_admin_is_kept(store: UserStore, act: Callable[..., object]) -> None:
    store.create("root", Role.ADMIN)
    store.create("retired", Role.ADMIN)
    store.deactivate("retired")
    with pytest.raises(LastAdminError, match="'root' is the last active admin"):
        act(store, "root")
    assert store.get("root").user.active


@pytest.mark.parametrize("act", [UserStore.deactivate, UserStore.delete])
def test_last_active_admin_goes_when_forced(store: UserStore, act: Callable[..., object]) -> None:
    store.create("root", Role.ADMIN)
    act(store, "root", force=True)
    assert not store.has_admin()


@pytest.mark.parametrize("act", [UserStore.deactivate, UserStore.delete])
def test_one_of_two_admins_may_go(store: UserStore, act: Callable[..., object]) -> None:
    store.create("root", Role.ADMIN)
    store.create("other", Role.ADMIN)
    act(store, "root")
    assert store.has_admin()


def test_deactivated_admin_may_be_deleted(store: UserStore) -> None:
    store.create("root", Role.ADMIN)
    store.create("retired", Role.ADMIN)
    store.deactivate("retired")
    store.delete("retired")
    assert store.count() == 1


@pytest.mark.parametrize("act", [UserStore.deactivate, UserStore.delete])
def test_ordinary_user_may_go_though_there_is_one_admin(
    store: UserStore, act: Callable[..., object]
) -> None:
    store.create("root", Role.ADMIN)
    store.create("alice")
    act(store, "alice")
    assert store.has_admin()


@pytest.mark.parametrize(
    "statement", ["DROP TABLE tokens", "UPDATE tokens SET created_at = 'some day'"]
)
def test_unreadable_database_is_named_without_the_statement(
    store: UserStore, database: Database, statement: str
) -> None:
    store.create("alice")
    with closing(sqlite3.connect(database.path)) as connection, connection:
        connection.execute(statement)
    with pytest.raises(UsersUnavailableError, match="cannot be used: ") as error:
        store.list()
    assert "SELECT" not in str(error.value)


def test_values_of_a_failed_change_are_not_in_its_message(
    store: UserStore, database: Database
) -> None:
    with closing(sqlite3.connect(database.path)) as connection, connection:
        connection.execute("DROP TABLE tokens")
    with pytest.raises(UsersUnavailableError) as error:
        store.create("alice")
    assert "$2b$" not in str(error.value)
    assert store.count() == 0


def test_tokens_are_listed_by_age(store: UserStore, clock: ManualClock) -> None:
    _, newer = store.create("alice")
    clock.passed = timedelta(hours=-1)
    _, older = store.regenerate_token("alice", None)
    assert [token.id for token in store.get("alice").tokens] == [older.id, newer.id]
