from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from ogp.storage.engine import Database
from ogp.storage.tables import RequestLogTable, Table, TokenTable, UserTable

NOW = datetime(2026, 11, 20, 18, 47, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "ogp.db")
    database.start()
    with database.write() as connection:
        Table.metadata.create_all(connection)
    yield database
    database.stop()


def add_user(database: Database, name: str, **values: object) -> int:
    with database.write() as connection:
        statement = insert(UserTable).values(name=name, created_at=NOW, **values)
        return int(connection.execute(statement).inserted_primary_key[0])


def test_a_user_has_defaults_for_role_and_activity(database: Database) -> None:
    add_user(database, "alice")
    with database.read() as connection:
        row = connection.execute(select(UserTable.role, UserTable.active)).one()
    assert tuple(row) == ("user", True)


def test_a_name_is_taken_once(database: Database) -> None:
    add_user(database, "alice")
    with pytest.raises(IntegrityError):
        add_user(database, "alice")


def test_an_unknown_role_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError):
        add_user(database, "alice", role="root")


def test_times_go_in_and_come_out_as_aware_datetimes(database: Database) -> None:
    add_user(database, "alice")
    with database.read() as connection:
        stored = connection.exec_driver_sql("SELECT created_at FROM users").scalar_one()
        read = connection.scalar(select(UserTable.created_at))
    assert (stored, read) == ("2026-11-20T18:47:00.000Z", NOW)


def test_a_missing_time_is_none(database: Database) -> None:
    user_id = add_user(database, "alice")
    with database.write() as connection:
        connection.execute(
            insert(TokenTable).values(
                id="abcdefgh", user_id=user_id, secret_hash="x", created_at=NOW
            )
        )
    with database.read() as connection:
        assert connection.execute(select(TokenTable.revoked_at)).scalar_one() is None


def test_tokens_go_with_their_user(database: Database) -> None:
    user_id = add_user(database, "alice")
    token = {"id": "abcdefgh", "user_id": user_id, "secret_hash": "x", "created_at": NOW}
    with database.write() as connection:
        connection.execute(insert(TokenTable).values(token))
        connection.execute(delete(UserTable))
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(TokenTable)) == 0


def test_a_request_log_row_outlives_its_user(database: Database) -> None:
    user_id = add_user(database, "alice")
    row = {"request_id": "r", "user_id": user_id, "username": "alice", "http_method": "POST"}
    row |= {"path": "/api/chat", "state": "finished", "guard_input": "", "guard_output": ""}
    with database.write() as connection:
        connection.execute(insert(RequestLogTable).values(row | {"created_at": NOW, "process": ""}))
        connection.execute(delete(UserTable))
    with database.read() as connection:
        assert connection.scalar(select(RequestLogTable.username)) == "alice"


def test_the_id_of_a_deleted_user_is_not_given_again(database: Database) -> None:
    first = add_user(database, "alice")
    with database.write() as connection:
        connection.execute(delete(UserTable))
    assert add_user(database, "bob") > first


def test_open_rows_are_found_by_their_partial_index(database: Database) -> None:
    query = "EXPLAIN QUERY PLAN SELECT DISTINCT process FROM request_logs WHERE state = 'started'"
    with database.read() as connection:
        plan = " ".join(str(row) for row in connection.exec_driver_sql(query))
    assert "ix_request_logs_started" in plan
