import fcntl
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ogp.storage import migrate as module
from ogp.storage.migrate import (
    LOCK_NAME,
    MIGRATIONS,
    MigrationError,
    is_current,
    migrate,
    newest_version,
    stored_version,
)

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60
MIGRATE_AND_TELL = (
    "import sys; from pathlib import Path; from ogp.storage.migrate import migrate, is_current; "
    "migrate(Path(sys.argv[1])); print(is_current(Path(sys.argv[1])), 'alembic' in sys.modules)"
)
NEXT_STEP = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "9998", "{newest}"
def upgrade() -> None:
    with op.batch_alter_table("users", recreate="always") as table:
        table.add_column(sa.Column("email", sa.String(50), nullable=True))
"""
BROKEN_STEP = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "9998", "{newest}"
def upgrade() -> None:
    op.add_column("users", sa.Column("email", sa.String(50), nullable=True))
    op.execute("INSERT INTO no_such_table VALUES (1)")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ogp.db"


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations that a test may add to."""
    copy = tmp_path / "100% other migrations"
    shutil.copytree(MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(module, "MIGRATIONS", copy)
    return copy / "versions"


def columns_of_users(path: Path) -> list[str]:
    return [row[1] for row in sqlite3.connect(path).execute("PRAGMA table_info(users)")]


def run(path: Path) -> str:
    command = [sys.executable, "-c", MIGRATE_AND_TELL, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_a_missing_database_is_made(path: Path) -> None:
    migrate(path)
    assert stored_version(path) == newest_version()


def test_a_missing_database_is_not_current(path: Path) -> None:
    assert not is_current(path)


def test_an_empty_file_is_not_current(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert not is_current(path)


def test_a_version_table_without_a_row_is_not_current(path: Path) -> None:
    migrate(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM alembic_version")
    assert not is_current(path)


def test_a_migrated_database_is_current(path: Path) -> None:
    migrate(path)
    assert is_current(path)


def test_asking_for_the_version_makes_no_file(path: Path) -> None:
    is_current(path)
    assert not path.exists()


def test_the_second_start_does_without_alembic(path: Path) -> None:
    assert run(path) == "True True"
    assert run(path) == "True False"


def test_everything_that_is_made_belongs_to_its_owner_alone(path: Path) -> None:
    migrate(path)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert modes[LOCK_NAME] == 0o600


def test_the_new_file_can_be_pruned_later(path: Path) -> None:
    migrate(path)
    assert sqlite3.connect(path).execute("PRAGMA auto_vacuum").fetchone() == (2,)


def test_four_processes_that_start_together_all_succeed(path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        outputs = [pool.submit(run, path) for _ in range(4)]
        assert [output.result(PATIENCE_S).split()[0] for output in outputs] == ["True"] * 4


def test_a_migration_waits_for_the_one_under_way(path: Path) -> None:
    path.parent.mkdir()
    lock = os.open(path.with_name(LOCK_NAME), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(migrate, path)
        with pytest.raises(TimeoutError):
            waiting.result(0.2)
        os.close(lock)
        waiting.result(PATIENCE_S)
    assert is_current(path)


def test_a_current_database_is_not_touched_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(path)
    monkeypatch.setitem(sys.modules, "alembic", None)  # importing it would raise
    migrate(path)
    assert is_current(path)


def test_an_older_database_keeps_its_rows(path: Path, steps: Path) -> None:
    before = newest_version()
    migrate(path)
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO users VALUES (7, 'alice', 'user', 1, '2026', NULL)")
        connection.execute(
            "INSERT INTO tokens (id, user_id, secret_hash, created_at) "
            "VALUES ('abcdefgh', 7, 'hash', '2026')"
        )
    (steps / "9998_email.py").write_text(NEXT_STEP.format(newest=before))
    migrate(path)
    connection = sqlite3.connect(path)
    assert columns_of_users(path)[-1] == "email"
    assert connection.execute("SELECT id, name FROM users").fetchall() == [(7, "alice")]
    assert connection.execute("SELECT id, user_id FROM tokens").fetchall() == [("abcdefgh", 7)]


def test_a_step_that_fails_leaves_the_database_as_it_was(path: Path, steps: Path) -> None:
    before = newest_version()
    migrate(path)
    (steps / "9998_broken.py").write_text(BROKEN_STEP.format(newest=before))
    with pytest.raises(MigrationError, match="could not be migrated"):
        migrate(path)
    assert stored_version(path) == before
    assert "email" not in columns_of_users(path)


def test_a_database_of_a_newer_program_is_left_alone(path: Path) -> None:
    migrate(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(MigrationError, match="version 9999"):
        migrate(path)


def test_a_file_that_is_no_database_is_reported(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(MigrationError, match="not a database"):
        migrate(path)
