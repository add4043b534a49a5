import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import Connection

from ogp.core.errors import AuditUnavailableError
from tests.support.audited import ENDED, PATIENCE_S, STARTED, Service, rows, states


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ogp.db"


@pytest.fixture
def service(path: Path) -> Iterator[Service]:
    with Service(path, commit_timeout_s=PATIENCE_S) as service:
        yield service


def test_a_locked_database_refuses_the_request(service: Service) -> None:
    with service.locked(), pytest.raises(AuditUnavailableError):
        service.recorder.begin(STARTED)
    status = service.recorder.status()
    assert (status.available, status.failures) == (False, 1)
    assert status.last_error_at is not None


def test_a_locked_database_lets_the_request_pass_if_so_configured(path: Path) -> None:
    with Service(path, on_failure="continue") as service:
        with service.locked():
            record = service.recorder.begin(STARTED)
        assert record.row_id is None
        service.recorder.finish(replace(ENDED, row_id=record.row_id), wait=True)
        assert states(service) == [("finished", "complete")]


def test_a_refusal_that_could_not_be_written_is_written_later(service: Service) -> None:
    with service.locked():
        with pytest.raises(AuditUnavailableError):
            service.recorder.begin(STARTED)
        service.recorder.finish(ENDED, wait=True)
        service.flush()
        assert service.recorder.status().pending == 1
    service.recorder.sweep()
    service.flush()
    assert states(service) == [("finished", "complete")]
    assert service.recorder.status().available


def test_the_sweeping_thread_finishes_what_could_not_be_finished(path: Path) -> None:
    with Service(path, sweep_s=0.02) as service:
        record = service.recorder.begin(STARTED)
        with service.locked():
            service.recorder.finish(replace(ENDED, row_id=record.row_id), wait=True)
        service.flush()
        service.writer.submitted.clear()
        while states(service) != [("finished", "complete")]:
            assert service.writer.submitted.wait(PATIENCE_S)
            service.flush()


def test_a_full_disk_refuses_the_request(service: Service) -> None:
    with service.full_disk():
        blob = replace(STARTED, error_message="x" * 1000)
        with pytest.raises(AuditUnavailableError):
            for _ in range(1000):
                service.recorder.begin(blob)
        before = len(service.rows)
    service.recorder.begin(STARTED)
    assert len(service.rows) == before + 1


def test_a_missing_table_refuses_the_request(service: Service) -> None:
    service.on_connection("DROP TABLE request_logs")
    with pytest.raises(AuditUnavailableError):
        service.recorder.begin(STARTED)


def test_a_row_that_the_table_refuses_is_given_up(service: Service) -> None:
    service.on_connection("DROP TABLE request_logs")
    service.recorder.finish(ENDED, wait=True)
    service.flush()
    status = service.recorder.status()
    assert (status.pending, status.lost) == (0, 1)


def test_no_more_than_max_pending_is_kept_for_later(path: Path) -> None:
    with Service(path, max_pending=3) as service:
        with service.locked():
            for _ in range(5):
                service.recorder.finish(ENDED, wait=True)
            service.flush()
        status = service.recorder.status()
        assert (status.pending, status.lost) == (3, 2)


def test_a_full_queue_refuses_the_request_and_keeps_its_refusal(path: Path) -> None:
    with Service(path, max_pending=1) as service, service.busy():
        service.recorder.finish(ENDED, wait=False)
        with pytest.raises(AuditUnavailableError):
            service.recorder.begin(replace(STARTED, request_id="r2"))
        service.recorder.finish(replace(ENDED, request_id="r2"), wait=True)
        assert service.recorder.status().pending == 3
    assert sorted(row["request_id"] for row in rows(path)) == ["r1", "r2"]


def test_it_finds_out_by_itself_that_writing_works_again(service: Service) -> None:
    with service.locked(), pytest.raises(AuditUnavailableError):
        service.recorder.begin(STARTED)
    service.recorder.sweep()
    service.flush()
    assert service.recorder.status().available
    assert service.rows == []


def test_an_error_shown_to_the_client_names_no_detail(service: Service) -> None:
    with service.locked(), pytest.raises(AuditUnavailableError) as caught:
        service.recorder.begin(STARTED)
    assert "locked" not in caught.value.message
    assert "sql" not in caught.value.message.lower()


def test_a_begin_that_waited_too_long_never_gets_a_row(path: Path) -> None:
    with Service(path, commit_timeout_s=0.05) as service:
        with service.busy(), pytest.raises(AuditUnavailableError):
            service.recorder.begin(STARTED)
        service.flush()
        assert service.rows == []


def test_a_row_committed_after_its_begin_gave_up_is_not_a_second_row(path: Path) -> None:
    with Service(path, commit_timeout_s=0.2) as service, ThreadPoolExecutor(1) as pool:
        inside, leave = Event(), Event()
        with service.busy():
            begun = pool.submit(service.recorder.begin, STARTED)
            assert service.writer.submitted.wait(PATIENCE_S)
            # Runs after begin's insert, in the same transaction, and holds it open.
            held = service.writer.submit(lambda _c: inside.set() or leave.wait(PATIENCE_S))
        assert inside.wait(PATIENCE_S)
        assert isinstance(begun.exception(PATIENCE_S), AuditUnavailableError)
        service.recorder.finish(replace(ENDED, response_status=503), wait=False)
        leave.set()
        held.result(PATIENCE_S)
        service.flush()
        assert [(row["state"], row["response_status"]) for row in service.rows] == [
            ("finished", 503)
        ]


def test_a_late_begin_that_failed_after_all_leaves_nothing_to_withdraw(path: Path) -> None:
    with Service(path, commit_timeout_s=0.2) as service, ThreadPoolExecutor(1) as pool:
        inside, leave = Event(), Event()

        def fail_the_batch(connection: Connection) -> None:
            inside.set()
            assert leave.wait(PATIENCE_S)
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error

        with service.busy():
            begun = pool.submit(service.recorder.begin, STARTED)
            assert service.writer.submitted.wait(PATIENCE_S)
            failing = service.writer.submit(fail_the_batch)
        assert inside.wait(PATIENCE_S)
        assert isinstance(begun.exception(PATIENCE_S), AuditUnavailableError)
        leave.set()
        failing.exception(PATIENCE_S)
        service.flush()
        assert service.rows == []
        assert service.recorder.status().pending == 0


def test_finish_gives_up_waiting_but_not_writing(path: Path) -> None:
    with Service(path, commit_timeout_s=0.05) as service:
        with service.busy():
            service.recorder.finish(ENDED, wait=True)
            assert service.recorder.status().failures == 1
        service.flush()
        assert states(service) == [("finished", "complete")]
