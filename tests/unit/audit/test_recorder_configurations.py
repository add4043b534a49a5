"""A row whose details name a configuration never stands without it."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ogp.core.details import details_of
from ogp.core.errors import AuditUnavailableError
from ogp.core.types import AuditRecord, GuardState, Verdict
from tests.support.audited import ENDED, PATIENCE_S, STARTED, Service

ONE, OTHER = "0123456789ab", "ffff56789abc"


class Source:
    """Knows both, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> dict[str, str]:
        self.asked += 1
        return {ONE: "{}", OTHER: "{}"}


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def service(tmp_path: Path, source: Source) -> Iterator[Service]:
    path = tmp_path / "data" / "ogp.db"
    with Service(path, commit_timeout_s=PATIENCE_S, configurations=source) as service:
        yield service


def with_input(record: AuditRecord, name: str = ONE) -> AuditRecord:
    details = details_of(Verdict(GuardState.CLEAN, configuration=name))
    return replace(record, guard_input_details=details)


def with_output(record: AuditRecord, name: str = OTHER) -> AuditRecord:
    details = details_of(Verdict(GuardState.CLEAN, configuration=name))
    return replace(record, guard_output_details=details)


def stored(service: Service) -> list[str]:
    with closing(sqlite3.connect(service.path)) as connection:
        found = connection.execute("SELECT id FROM guard_configurations ORDER BY id")
        return [row[0] for row in found]


def test_begin_writes_what_the_row_names(service: Service) -> None:
    service.recorder.begin(with_input(STARTED))
    assert stored(service) == [ONE]


def test_finish_writes_what_came_since(service: Service, source: Source) -> None:
    record = service.recorder.begin(with_input(STARTED))
    service.recorder.finish(
        with_output(with_input(replace(ENDED, row_id=record.row_id))), wait=True
    )
    assert stored(service) == [ONE, OTHER]
    assert source.asked == 2


def test_a_configuration_is_written_once_in_a_process(service: Service, source: Source) -> None:
    for _ in range(5):
        service.recorder.finish(with_input(ENDED), wait=True)
    service.recorder.begin(with_input(STARTED))
    assert stored(service) == [ONE]
    assert source.asked == 1


def test_a_row_without_details_asks_for_nothing(service: Service, source: Source) -> None:
    service.recorder.finish(ENDED, wait=True)
    assert (stored(service), source.asked) == ([], 0)


def refused(service: Service) -> None:
    with pytest.raises(AuditUnavailableError):
        service.recorder.begin(with_input(STARTED))


def unfinished(service: Service) -> None:
    service.recorder.finish(with_input(ENDED), wait=True)
    service.flush()


@pytest.mark.parametrize("attempt", [refused, unfinished])
def test_what_could_not_be_written_comes_with_the_next_row(
    service: Service, attempt: Callable[[Service], None]
) -> None:
    with service.locked():
        attempt(service)
    assert stored(service) == []
    service.recorder.finish(with_input(ENDED), wait=True)
    assert stored(service) == [ONE]


def test_a_row_that_is_tried_again_brings_its_configuration(service: Service) -> None:
    with service.locked():
        unfinished(service)
    service.recorder.sweep()
    service.flush()
    assert stored(service) == [ONE]
    assert len(service.rows) == 1


def test_nothing_is_written_when_the_writer_has_stopped(service: Service, source: Source) -> None:
    service.writer.stop(PATIENCE_S)
    service.recorder.finish(with_input(ENDED), wait=True)
    service.writer.start()
    service.recorder.sweep()
    service.flush()
    assert stored(service) == [ONE]
    assert source.asked == 1


def test_many_threads_name_one_configuration(service: Service) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: service.recorder.begin(with_input(STARTED)), range(50)))
    assert stored(service) == [ONE]
    assert len(service.rows) == 50
