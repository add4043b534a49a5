from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ogp.audit.configurations import ConfigurationRows
from ogp.audit.jobs import RowJobs, nothing
from ogp.core.clock import SystemClock
from ogp.core.details import details_of
from ogp.core.types import AuditRecord, GuardState, ScannerResult, Verdict
from ogp.storage.engine import Database
from ogp.storage.tables import Table

ONE, OTHER = "0123456789ab", "ffff56789abc"
DOCUMENTS = {ONE: '{"direction":"input"}', OTHER: '{"direction":"output"}'}
BARE = AuditRecord(request_id="r1", http_method="POST", path="/api/chat", created_at=1.0)


class Clock(SystemClock):
    """Stands still."""

    def now(self) -> datetime:
        return datetime(2026, 11, 20, 18, 47, tzinfo=UTC)


class Source:
    """Counts how often it is asked."""

    def __init__(self, documents: Mapping[str, str] = DOCUMENTS) -> None:
        self.documents, self.asked = documents, 0

    def __call__(self) -> Mapping[str, str]:
        self.asked += 1
        return self.documents


def details(configuration: str, scanner: str = "secrets") -> str | None:
    result = ScannerResult(scanner, passed=True)
    return details_of(Verdict(GuardState.CLEAN, (result,), configuration=configuration))


def scanned(one: str | None = ONE, other: str | None = None) -> AuditRecord:
    first = None if one is None else details(one)
    second = None if other is None else details(other)
    return replace(BARE, guard_input_details=first, guard_output_details=second)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "ogp.db")
    database.start()
    with database.write() as connection:
        Table.metadata.create_all(connection)
    yield database
    database.stop()


def stored(database: Database) -> list[tuple[str, ...]]:
    with database.read() as connection:
        found = connection.exec_driver_sql("SELECT * FROM guard_configurations ORDER BY id")
        return [tuple(row) for row in found]


@pytest.mark.parametrize(
    ("record", "named"),
    [
        (scanned(ONE), {ONE}),
        (scanned(None, OTHER), {OTHER}),
        (scanned(ONE, OTHER), {ONE, OTHER}),
        (scanned(ONE, ONE), {ONE}),
        (scanned(None), set()),
        (scanned(""), set()),
        (scanned("0123456789ac"), set()),
    ],
)
def test_what_a_record_names_and_is_known_is_lacking(record: AuditRecord, named: set[str]) -> None:
    assert ConfigurationRows(Source(), Clock()).lacking(record) == {
        name: DOCUMENTS[name] for name in named
    }


def test_a_scanner_cannot_name_a_configuration() -> None:
    hostile = f'{{"configuration":"{OTHER}"'
    record = replace(BARE, guard_input_details=details(ONE, hostile))
    assert ConfigurationRows(Source(), Clock()).lacking(record).keys() == {ONE}


def test_what_was_written_is_not_asked_for_again() -> None:
    source = Source()
    rows = ConfigurationRows(source, Clock())
    rows.wrote(rows.lacking(scanned()))
    assert rows.lacking(scanned()) == {}
    assert source.asked == 1
    assert rows.lacking(scanned(ONE, OTHER)).keys() == {OTHER}


def test_what_is_not_known_yet_is_asked_for_again() -> None:
    source = Source({})
    rows = ConfigurationRows(source, Clock())
    rows.wrote(rows.lacking(scanned()))
    source.documents = DOCUMENTS
    assert rows.lacking(scanned()).keys() == {ONE}


def test_documents_are_written_before_the_row_in_one_transaction(database: Database) -> None:
    rows = ConfigurationRows(Source(), Clock())
    record = scanned(ONE, OTHER)
    job = rows.preceding(RowJobs().finish(record, "p"), rows.lacking(record))
    with pytest.raises(RuntimeError), database.write() as connection:
        job(connection)
        raise RuntimeError("rolled back")
    assert stored(database) == []
    with database.write() as connection:
        assert job(connection) == 1
    at = "2026-11-20T18:47:00.000Z"
    assert stored(database) == [(ONE, at, DOCUMENTS[ONE]), (OTHER, at, DOCUMENTS[OTHER])]


def test_what_another_process_wrote_stays(database: Database) -> None:
    rows = ConfigurationRows(Source(), Clock())
    with database.write() as connection:
        rows.preceding(nothing, {ONE: "{}"})(connection)
        rows.preceding(nothing, rows.lacking(scanned()))(connection)
    assert [row[2] for row in stored(database)] == ["{}"]


def test_a_job_without_anything_lacking_is_left_as_it_is() -> None:
    assert ConfigurationRows(Source(), Clock()).preceding(nothing, {}) is nothing
