"""Who is let in, at what cost, and what a refusal tells."""

import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from ogp.auth.hasher import BcryptHasher
from ogp.auth.tokens import ALPHABET, MintedToken, mint
from ogp.auth.users import UserStore
from ogp.auth.verifier import REFUSAL, TokenVerifier
from ogp.core.errors import AuthUnavailableError, UnauthorizedError
from ogp.core.types import Principal, Priority, Role
from ogp.settings.schema import AuthSettings
from ogp.storage.engine import Database
from ogp.storage.tables import Table
from ogp.storage.writer import GroupCommitWriter

WAIT_S = 10


class ManualClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.passed = timedelta()

    def monotonic(self) -> float:
        return 1000 + self.passed.total_seconds()

    def now(self) -> datetime:
        return datetime(2026, 11, 20, tzinfo=UTC) + self.passed


class CountingHasher:
    """bcrypt at its lowest cost; counts comparisons."""

    def __init__(self) -> None:
        self._bcrypt = BcryptHasher(4)
        self.comparisons = 0

    def digest(self, secret: str) -> str:
        return self._bcrypt.digest(secret)

    def matches(self, secret: str, stored: str) -> bool:
        self.comparisons += 1
        return self._bcrypt.matches(secret, stored)


class World:
    """A database with one user and a verifier before it."""

    def __init__(self, path: Path) -> None:
        self.clock, self.hasher = ManualClock(), CountingHasher()
        self.database = Database(path)
        self.database.start()
        with self.database.write() as connection:
            Table.metadata.create_all(connection)
        self.writer = GroupCommitWriter(self.database, max_pending=100, name="test")
        self.writer.start()
        self.users = UserStore(self.database, hasher=self.hasher, clock=self.clock)
        self.verifier = self.make_verifier()
        self.user, self.token = self.users.create("alice", Role.ADMIN)

    def make_verifier(self) -> TokenVerifier:
        return TokenVerifier(
            self.database, self.writer, AuthSettings(), self.clock, hasher=self.hasher
        )

    def verify(self, token: MintedToken | str | None = None) -> Principal:
        text = self.token.text if token is None else getattr(token, "text", token)
        return self.verifier.verify(f"Bearer {text}")

    def from_another_process(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.database.path)) as connection, connection:
            connection.execute(statement, values)

    def last_used_at(self) -> datetime | None:
        self.writer.stop(WAIT_S)
        self.writer.start()
        return self.users.get("alice").last_used_at

    def close(self) -> None:
        self.writer.stop(WAIT_S)
        self.database.stop()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "ogp.db")
    yield world
    world.close()


def with_checksum(token_id: str, secret: str) -> str:
    body = f"ogp_{token_id}_{secret}"
    value, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        digits = ALPHABET[digit] + digits
    return body + digits


def wrong_secret(token: MintedToken, number: int = 0) -> str:
    return with_checksum(token.id, f"{number:030d}")


def test_valid_token_tells_who_asks(world: World) -> None:
    assert world.verify() == Principal(
        username="alice", role=Role.ADMIN, user_id=world.user.id, token_id=world.token.id
    )


def test_default_hasher_checks_tokens_of_the_default_store(world: World) -> None:
    verifier = TokenVerifier(world.database, world.writer, AuthSettings(), world.clock)
    _, token = UserStore(world.database).create("bob")
    assert verifier.verify(f"Bearer {token.text}").username == "bob"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_scheme_may_be_in_any_case(world: World, scheme: str) -> None:
    assert world.verifier.verify(f"{scheme} {world.token.text}").username == "alice"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "{token}",
        "Basic {token}",
        "Token {token}",
        "Bearer{token}",
        "Bearer  {token}",
        "Bearer\t{token}",
        " Bearer {token}",
        "Bearer {token} ",
        "Bearer {token} {token}",
        "Bearer {token},Bearer {token}",
        "Bearer {token}, Bearer {token}",
        "Bearer {token}\n",
        "Bearer {token}\0",
        "Bearer {token}x",
        'Bearer "{token}"',
        "Bearer token={token}",
        "Bearer Bearer {token}",
        "BEARER\u00a0{token}",
    ],
)
def test_any_other_header_is_refused(world: World, header: str | None) -> None:
    text = None if header is None else header.format(token=world.token.text)
    with pytest.raises(UnauthorizedError, match="Authorization: Bearer ogp_"):
        world.verifier.verify(text)
    assert world.hasher.comparisons == 0


@pytest.mark.parametrize(
    "credential",
    ["", "' OR '1'='1", "ogp_%_%", "x" * 100_000, mint().text[:-1] + "!", mint().text[:-1], "é"],
)
def test_malformed_token_costs_no_database_access(tmp_path: Path, credential: str) -> None:
    database = Database(tmp_path / "never started.db")  # any access would raise RuntimeError
    writer = GroupCommitWriter(database, max_pending=1, name="test")
    verifier = TokenVerifier(database, writer, AuthSettings(), ManualClock())
    with pytest.raises(UnauthorizedError):
        verifier.verify(f"Bearer {credential}")


def test_class_of_the_token_is_known_also_when_its_hash_is_not_computed(world: World) -> None:
    _, token = world.users.create("bob", priority=Priority.BATCH)
    found = [world.verify(token).priority for _ in range(2)]
    assert found == [Priority.BATCH, Priority.BATCH]
    assert world.hasher.comparisons == 1


def test_change_of_the_class_counts_from_the_next_request_on(world: World) -> None:
    assert world.verify().priority is None
    world.from_another_process("UPDATE tokens SET priority = 'batch'")
    assert world.verify().priority is Priority.BATCH


def expired(world: World) -> str:
    _, token = world.users.regenerate_token("alice", world.clock.now() + timedelta(days=1))
    world.clock.passed += timedelta(days=1)
    return token.text


def revoked(world: World) -> str:
    world.users.regenerate_token("alice", None)
    return world.token.text


def deactivated(world: World) -> str:
    world.users.deactivate("alice", force=True)
    return world.token.text


def deleted(world: World) -> str:
    world.users.delete("alice", force=True)
    return world.token.text


def unknown(world: World) -> str:
    return mint().text


def other_case(world: World) -> str:
    return with_checksum(world.token.id.swapcase(), world.token.secret)


@pytest.mark.parametrize(
    "make", [expired, revoked, deactivated, deleted, unknown, other_case], ids=lambda f: f.__name__
)
def test_token_not_in_force_is_refused_without_a_hash(
    world: World, make: Callable[[World], str]
) -> None:
    text = make(world)
    with pytest.raises(UnauthorizedError) as refused:
        world.verify(text)
    assert refused.value.message == REFUSAL
    assert world.hasher.comparisons == 0


def test_wrong_secret_is_refused_with_the_same_message(world: World) -> None:
    with pytest.raises(UnauthorizedError) as refused:
        world.verify(wrong_secret(world.token))
    assert refused.value.message == REFUSAL
    assert not refused.value.facts


def test_wrong_secret_is_compared_each_time(world: World) -> None:
    for _ in range(2):
        with pytest.raises(UnauthorizedError):
            world.verify(wrong_secret(world.token))
    assert world.hasher.comparisons == 2


def test_secret_of_another_user_is_refused(world: World) -> None:
    _, other = world.users.create("bob")
    with pytest.raises(UnauthorizedError):
        world.verify(with_checksum(world.token.id, other.secret))


def test_token_is_good_until_the_moment_it_expires(world: World) -> None:
    _, token = world.users.regenerate_token("alice", world.clock.now() + timedelta(days=1))
    world.clock.passed += timedelta(days=1, milliseconds=-1)
    assert world.verify(token).username == "alice"


def test_second_request_needs_no_hash(world: World) -> None:
    world.verify()
    world.verify()
    assert world.hasher.comparisons == 1


def test_hash_is_computed_again_after_the_cache_time(world: World) -> None:
    world.verify()
    world.clock.passed += timedelta(seconds=AuthSettings().cache_s)
    world.verify()
    assert world.hasher.comparisons == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE users SET active = 0",
        "UPDATE tokens SET revoked_at = '2026-11-20T00:00:00.000Z'",
        "UPDATE tokens SET expires_at = '2026-11-20T00:00:00.000Z'",
        "DELETE FROM tokens",
    ],
)
def test_change_by_another_process_counts_for_the_next_request(
    world: World, statement: str
) -> None:
    world.verify()
    world.from_another_process(statement)
    with pytest.raises(UnauthorizedError):
        world.verify()


def test_changed_role_counts_for_the_next_request(world: World) -> None:
    world.verify()
    world.from_another_process("UPDATE users SET role = 'user'")
    assert world.verify().role is Role.USER


def test_activated_user_is_let_in_again(world: World) -> None:
    world.users.deactivate("alice", force=True)
    world.users.activate("alice")
    assert world.verify().username == "alice"


def test_verified_token_is_not_good_for_another_hash(world: World) -> None:
    world.verify()
    world.from_another_process("UPDATE tokens SET secret_hash = ?", world.hasher.digest("other"))
    with pytest.raises(UnauthorizedError):
        world.verify()
    assert world.hasher.comparisons == 2


def test_damaged_hash_is_refused_and_logged_without_the_token(world: World) -> None:
    world.from_another_process("UPDATE tokens SET secret_hash = 'rubbish'")
    with structlog.testing.capture_logs() as lines, pytest.raises(UnauthorizedError):
        world.verify()
    assert [line["token_id"] for line in lines] == [world.token.id]
    assert world.token.secret not in str(lines)


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE tokens", "UPDATE tokens SET expires_at = 'soon'"],
)
def test_unreadable_row_is_a_503_and_logged_without_the_token(world: World, statement: str) -> None:
    world.from_another_process(statement)
    with structlog.testing.capture_logs() as lines, pytest.raises(AuthUnavailableError) as error:
        world.verify()
    assert error.value.status == 503
    assert lines
    assert world.token.secret not in f"{lines} {error.value} {error.value.__cause__}"


def test_errors_of_refused_requests_do_not_hold_the_credential(world: World) -> None:
    text = wrong_secret(world.token)
    with pytest.raises(UnauthorizedError) as refused:
        world.verify(text)
    assert text not in repr(refused.value)


def test_use_of_a_token_is_written(world: World) -> None:
    world.verify()
    assert world.last_used_at() == world.clock.now()


def test_refused_use_is_not_written(world: World) -> None:
    with pytest.raises(UnauthorizedError):
        world.verify(wrong_secret(world.token))
    assert world.last_used_at() is None
