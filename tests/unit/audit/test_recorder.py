from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.audited import ENDED, PATIENCE_S, STARTED, Service, rows, states


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ogp.db"


@pytest.fixture
def service(path: Path) -> Iterator[Service]:
    with Service(path, commit_timeout_s=PATIENCE_S) as service:
        yield service


def test_begin_returns_after_the_row_is_committed(service: Service) -> None:
    record = service.recorder.begin(STARTED)
    assert [(row["id"], row["state"]) for row in service.rows] == [(record.row_id, "started")]


def test_finish_completes_the_row_of_begin(service: Service) -> None:
    record = service.recorder.begin(STARTED)
    service.recorder.finish(replace(ENDED, row_id=record.row_id), wait=True)
    assert states(service) == [("finished", "complete")]


def test_a_refusal_is_a_row_of_its_own(service: Service) -> None:
    service.recorder.finish(replace(ENDED, response_status=403), wait=True)
    assert states(service) == [("finished", "complete")]


def test_finish_without_waiting_returns_while_the_writer_is_busy(service: Service) -> None:
    with service.busy():
        service.recorder.finish(ENDED, wait=False)
        assert service.rows == []
    service.flush()
    assert states(service) == [("finished", "complete")]


def test_stop_writes_what_waits(path: Path) -> None:
    with Service(path) as service:
        for _ in range(50):
            service.recorder.finish(ENDED, wait=False)
    assert len(rows(path)) == 50


def test_many_threads_at_once_leave_one_finished_row_each(service: Service) -> None:
    def serve(number: int) -> None:
        record = service.recorder.begin(replace(STARTED, request_id=f"r{number}"))
        ended = replace(ENDED, request_id=record.request_id, row_id=record.row_id)
        service.recorder.finish(ended, wait=number % 2 == 0)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(serve, range(200)))
    service.flush()
    assert Counter(row["request_id"] for row in service.rows) == {f"r{n}": 1 for n in range(200)}
    assert {row["state"] for row in service.rows} == {"finished"}


def test_status_counts_rows_and_is_available(service: Service) -> None:
    service.recorder.finish(service.recorder.begin(STARTED), wait=True)
    service.flush()
    status = service.recorder.status()
    assert (status.available, status.rows_written, status.failures) == (True, 2, 0)
    assert (status.pending, status.lost, status.last_error_at) == (0, 0, None)


def test_status_counts_what_waits(service: Service) -> None:
    with service.busy():
        service.recorder.finish(ENDED, wait=False)
        assert service.recorder.status().pending == 2
