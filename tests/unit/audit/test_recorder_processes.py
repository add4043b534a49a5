import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ogp.storage.migrate import migrate
from tests.support.audited import ENDED, PATIENCE_S, STARTED, Service, integrity, rows, states

ROOT = Path(__file__).resolve().parents[3]
CHILD = """
import os, sys
from dataclasses import replace
from pathlib import Path
from threading import Thread
import structlog
from ogp.audit.recorder import AuditRecorder
from ogp.core.clock import SystemClock
from ogp.core.types import AuditRecord, Outcome
from ogp.settings.schema import AuditSettings
from ogp.storage.engine import Database
from ogp.storage.writer import GroupCommitWriter

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
path, mode = Path(sys.argv[1]), sys.argv[2]
database = Database(path)
database.start()
writer = GroupCommitWriter(database, max_pending=1000, name="child")
writer.start()
recorder = AuditRecorder(database, writer, run_directory=path.parent / "run",
                         settings=AuditSettings(), clock=SystemClock())
recorder.start()

def tell(line):
    os.write(1, (line + "\\n").encode())

def serve(number):
    record = AuditRecord(request_id=f"{os.getpid()}-{number}", http_method="POST",
                         path="/api/chat", created_at=1.0)
    try:
        record = recorder.begin(record)
    except Exception as error:
        return tell(f"refused {type(error).__name__}")
    tell(f"begun {record.request_id}")
    if mode != "begin":
        recorder.finish(replace(record, outcome=Outcome.COMPLETE, finished_at=2.0), wait=True)
        tell(f"done {record.request_id}")

def serve_on(first):
    number = first
    while True:
        serve(number)
        number += 8

if mode == "full":
    import resource
    limit = path.with_name("ogp.db-wal").stat().st_size + 200_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for number in range(300):
        serve(number)
    tell("available" if recorder.status().available else "unavailable")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    serve(1000)
    recorder.stop(20)
    writer.stop(20)
    database.stop()
elif mode == "begin":
    for number in range(5):
        serve(number)
    tell("ready")
    sys.stdin.read()
else:
    for first in range(8):
        Thread(target=serve_on, args=(first,), daemon=True).start()
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ogp.db"


@pytest.fixture
def service(path: Path) -> Iterator[Service]:
    with Service(path, commit_timeout_s=PATIENCE_S) as service:
        yield service


@contextmanager
def child(path: Path, mode: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), mode],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    return (line.strip() for line in process.stdout)


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert "ready" in lines_of(process)


def test_rows_of_a_killed_process_are_closed_at_the_next_start(path: Path) -> None:
    migrate(path)
    with child(path, "begin") as process:
        wait_until_ready(process)
        process.kill()
        process.wait(PATIENCE_S)
    before = datetime.now(UTC).isoformat()[:19]
    with Service(path) as service:
        assert states(service) == [("aborted", "aborted")] * 5
        assert all(row["finished_at"] >= before for row in service.rows)


def test_rows_of_a_living_process_are_left_open(path: Path, service: Service) -> None:
    with child(path, "begin") as process:
        wait_until_ready(process)
        service.recorder.sweep()
        assert states(service) == [("started", None)] * 5


def test_survivors_close_the_rows_of_a_process_killed_meanwhile(
    path: Path, service: Service
) -> None:
    mine = service.recorder.begin(STARTED)
    with child(path, "begin") as process:
        wait_until_ready(process)
        process.kill()
        process.wait(PATIENCE_S)
    service.recorder.sweep()
    assert states(service) == [("started", None)] + [("aborted", "aborted")] * 5
    service.recorder.finish(replace(ENDED, row_id=mine.row_id), wait=True)
    assert states(service)[0] == ("finished", "complete")


def test_lock_files_of_the_dead_are_removed(path: Path) -> None:
    migrate(path)
    for _ in range(2):
        with child(path, "begin") as process:
            wait_until_ready(process)
    with Service(path):
        assert len(list((path.parent / "run").iterdir())) == 1
    assert list((path.parent / "run").iterdir()) == []


def test_a_dead_process_without_open_rows_goes_silently(path: Path, service: Service) -> None:
    left = path.parent / "run" / "1-0123abcd.lock"
    left.touch()
    with capture_logs() as log_lines:
        service.recorder.sweep()
    assert not left.exists()
    assert log_lines == []


def test_under_load_a_kill_loses_nothing_and_doubles_nothing(path: Path) -> None:
    migrate(path)
    told: dict[str, set[str]] = {"begun": set(), "done": set()}
    for _run in range(3):
        with child(path, "load") as process:
            lines = lines_of(process)
            heard = list(islice(lines, 400))
            process.kill()
            heard += lines  # what was told before the kill
        for word, request_id in map(str.split, heard):
            told[word].add(request_id)
    with Service(path) as service:
        found = {row["request_id"]: row["state"] for row in service.rows}
        assert len(found) == len(service.rows)
    assert told["begun"] <= set(found)
    assert {found[request_id] for request_id in told["done"]} == {"finished"}
    assert set(found.values()) <= {"finished", "aborted"}


def test_a_disk_that_fills_up_refuses_and_recovers(path: Path) -> None:
    migrate(path)
    keeper = sqlite3.connect(path)  # keeps the write-ahead log in place between processes
    keeper.execute("SELECT count(*) FROM request_logs").fetchone()
    with child(path, "full") as process:
        lines = list(lines_of(process))
    keeper.close()
    refused = [line for line in lines if line.startswith("refused")]
    assert set(refused) == {"refused AuditUnavailableError"}
    assert "unavailable" in lines
    begun = {line.split()[1] for line in lines if line.startswith("begun")}
    done = {line.split()[1] for line in lines if line.startswith("done")}
    assert lines[-1].endswith("-1000")  # served again
    found = Counter(row["request_id"] for row in rows(path))
    assert set(found) >= begun
    assert set(found.values()) == {1}
    assert {row["state"] for row in rows(path) if row["request_id"] in done} == {"finished"}
    assert integrity(path) == "ok"


def test_a_sweep_that_cannot_write_leaves_the_rows_for_the_next(
    path: Path, service: Service
) -> None:
    with child(path, "begin") as process:
        wait_until_ready(process)
    with service.locked():
        service.recorder.sweep()
        assert not service.recorder.status().available
    service.recorder.sweep()
    assert states(service) == [("aborted", "aborted")] * 5


def test_a_sweep_without_a_readable_directory_is_counted(path: Path, service: Service) -> None:
    run = path.parent / "run"
    run.rename(path.parent / "elsewhere")
    run.touch()  # a file where the directory should be
    service.recorder.sweep()
    assert service.recorder.status().failures == 1
    run.unlink()
    (path.parent / "elsewhere").rename(run)


def test_stop_before_start_is_harmless(path: Path) -> None:
    service = Service(path)
    service.recorder.stop(0.1)
    assert not service.recorder.status().available


def test_stop_while_locked_ends_in_time(path: Path) -> None:
    with Service(path, busy_timeout_s=0.3) as service, service.locked():
        service.recorder.finish(ENDED, wait=False)
        service.recorder.stop(0.05)
        assert not service.recorder.status().available
