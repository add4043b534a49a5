"""`ogp guard whatif`, run as a shell runs it, over a real request log."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time

import click
import orjson
import pytest
from click.testing import CliRunner, Result

from ogp.audit.jobs import RowJobs
from ogp.cli import whatif as module
from ogp.cli.main import main
from ogp.cli.whatif import parse_since
from ogp.core.details import details_of
from ogp.core.types import AuditRecord, GuardState, ScannerResult, Verdict
from ogp.storage.engine import Database
from ogp.storage.migrate import migrate

NOW = datetime(2026, 11, 20, 18, 47, tzinfo=UTC)
NAME = "prompt_injection"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONFIG_FILE", raising=False)


@pytest.fixture
def database() -> Path:
    path = Path("data") / "ogp.db"
    migrate(path)
    return path


def add(
    path: Path, *scores: float, user: str = "alice", days_ago: float = 1, threshold: float = 0.92
) -> None:
    database = Database(path)
    database.start()
    with database.write() as connection:
        for score in scores:
            passed = score < threshold
            result = ScannerResult(NAME, passed, score, "" if passed else "INJECTION")
            state = GuardState.CLEAN if passed else GuardState.BLOCKED
            verdict = Verdict(state, (result,), configuration="ab12")
            record = AuditRecord(
                request_id="r",
                http_method="POST",
                path="/api/chat",
                created_at=time() - 86_400 * days_ago,
                username=user,
                guard_input=verdict.summary(),
                guard_input_details=details_of(verdict),
            )
            RowJobs().finish(replace(record), "p")(connection)
    database.stop()


def run(*arguments: str, threshold: str = "0.8", scanner: str = NAME) -> Result:
    named = ["--scanner", scanner, "--threshold", threshold]
    return CliRunner().invoke(main, ["guard", "whatif", *named, *arguments])


def test_changes_are_told_by_user(database: Path) -> None:
    add(database, 0.1, 0.85, 0.95)
    add(database, 0.85, 0.85, user="bob")
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    assert "pass to block: 3, block to pass: 0" in result.stdout
    assert "requests: 5, scored: 5 (0 from the cache)" in result.stdout
    rows = [line.split("│")[1].strip() for line in result.stdout.splitlines() if "│" in line]
    assert rows[-2:] == ["bob", "alice"]


def test_a_higher_threshold_frees(database: Path) -> None:
    add(database, 0.1, 0.93, 0.99)
    assert "block to pass: 1" in run(threshold="0.95").stdout


def test_the_output_says_what_the_figures_cannot_tell(database: Path) -> None:
    add(database, 0.1)
    output = run().stdout
    assert "need not be its\nhighest" in output
    assert "behind one that blocked were not asked" in output


def test_without_changes_there_is_no_table_of_users(database: Path) -> None:
    add(database, 0.1)
    result = run()
    assert result.exit_code == 0
    assert "alice" not in result.stdout
    assert "User" not in result.stdout


def test_json_is_one_document(database: Path) -> None:
    add(database, 0.85)
    result = run("--json")
    facts = orjson.loads(result.stdout)
    assert result.exit_code == 0
    assert facts["changes"]["pass_to_block"] == 1
    assert facts["since"].endswith("Z")


def test_time_and_user_bound_what_is_counted(database: Path) -> None:
    add(database, 0.85, 0.85)
    add(database, 0.85, days_ago=20)
    add(database, 0.85, user="bob")
    counts = [
        orjson.loads(run("--json", *more).stdout)["scored"]
        for more in ((), ("--since", "30d"), ("--user", "bob"), ("--since", "1970-01-01"))
    ]
    assert counts == [3, 4, 1, 4]


def test_many_users_are_cut_in_the_table_only(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_USERS", 2)
    for user in ("alice", "bob", "carol"):
        add(database, 0.85, user=user)
    assert "and 1 more users; --json shows all" in run().stdout
    assert len(orjson.loads(run("--json").stdout)["users"]) == 3


def test_it_works_while_the_log_is_written(database: Path) -> None:
    add(database, 0.85)
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert run().exit_code == 0
        writer.execute("ROLLBACK")


def test_an_unknown_scanner_is_named_with_those_there_are(database: Path) -> None:
    add(database, 0.85)
    result = run(scanner="injection")
    assert result.exit_code == 1
    assert f"input score of 'injection'; scores there are of {NAME}" in result.stderr


def test_no_log_is_an_error_and_makes_none() -> None:
    result = run()
    assert result.exit_code == 1
    assert "there is no request log at" in result.stderr
    assert not Path("data").exists()


def test_a_log_of_another_version_is_left_alone(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    result = run()
    assert result.exit_code == 1
    assert "is of another version of the program" in result.stderr


def test_a_file_that_is_no_database_is_an_error() -> None:
    Path("data").mkdir()
    Path("data/ogp.db").write_bytes(b"not a database" * 100)
    result = run()
    assert result.exit_code == 1
    assert "not a database" in result.stderr


def test_a_log_that_cannot_be_read_is_an_error(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE request_logs")
    result = run()
    assert result.exit_code == 1
    assert "cannot be read: no such table" in result.stderr


def test_a_directory_in_its_place_is_an_error() -> None:
    Path("data/ogp.db").mkdir(parents=True)
    result = run()
    assert result.exit_code == 1
    assert "data/ogp.db" in result.stderr


def test_a_file_that_may_not_be_opened_is_an_error(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_database: Database) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Database, "start", denied)
    result = run()
    assert result.exit_code == 1
    assert f"{database} cannot be used: Permission denied" in result.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("--since", "yesterday"),
        ("--since", "2999-01-01"),
        ("--since", ""),
        ("--user", "a\nb"),
        ("--direction", "both"),
    ],
)
def test_a_wrong_call_is_exit_status_2(database: Path, wrong: tuple[str, str]) -> None:
    result = run(*wrong)
    assert result.exit_code == 2
    assert wrong[0] in result.stderr


@pytest.mark.parametrize("threshold", ["0", "-1", "1.01", "nan", "inf", "high"])
def test_a_threshold_lies_between_0_and_1(threshold: str) -> None:
    result = run(threshold=threshold)
    assert result.exit_code == 2
    assert "--threshold" in result.stderr


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("12h", NOW - timedelta(hours=12)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T10:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00+02:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
    ],
)
def test_when_to_begin(text: str, moment: datetime) -> None:
    since = parse_since(text, NOW)
    assert since == moment
    assert since.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text", ["7", "d", "-7d", "7w", "7d ", "2026-13-01", "999999d", "20.11.26"]
)
def test_what_is_no_time_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(click.BadParameter, match="say a duration such as 7d"):
        parse_since(text, NOW)


def test_the_future_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="lies in the future"):
        parse_since("2026-11-21", NOW)


def test_other_commands_do_not_wait_for_the_database_packages() -> None:
    program = "import sys, ogp.cli.guard; sys.exit('sqlalchemy' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
