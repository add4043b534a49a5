import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ogp.audit.owners import SUFFIX, ProcessLock, burial, known_processes

ROOT = Path(__file__).resolve().parents[3]
HOLD_LOCK = (
    "import sys; from pathlib import Path; from ogp.audit.owners import ProcessLock; "
    "lock = ProcessLock(Path(sys.argv[1])); lock.acquire(); print(lock.name, flush=True); "
    "sys.stdin.read()"
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data" / "run"


@pytest.fixture
def lock(directory: Path) -> Iterator[ProcessLock]:
    lock = ProcessLock(directory)
    lock.acquire()
    yield lock
    lock.release()


def is_dead(directory: Path, process: str) -> bool:
    with burial(directory, process) as dead:
        return dead


def file_of(directory: Path, process: str) -> Path:
    return directory / (process + SUFFIX)


def abandon(directory: Path, process: str) -> Path:
    """A lock file as a killed process leaves it."""
    directory.mkdir(parents=True, exist_ok=True)
    file = file_of(directory, process)
    file.touch()
    return file


def test_a_process_that_holds_its_lock_lives(directory: Path, lock: ProcessLock) -> None:
    assert not is_dead(directory, lock.name)
    assert file_of(directory, lock.name).exists()


def test_a_killed_process_is_dead(directory: Path) -> None:
    command = [sys.executable, "-c", HOLD_LOCK, str(directory)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        lived = not is_dead(directory, name)
        child.kill()
        child.wait(20)
    assert (lived, is_dead(directory, name)) == (True, True)


def test_the_file_of_a_dead_process_is_removed(directory: Path) -> None:
    file = abandon(directory, "1-0123abcd")
    assert is_dead(directory, "1-0123abcd")
    assert not file.exists()


def test_a_process_without_a_file_is_dead(directory: Path) -> None:
    assert is_dead(directory, "1-0123abcd")


@pytest.mark.parametrize("name", ["../../victim", "", "1-0123abcd/../x", "1-0123ABCD", "p\n"])
def test_a_name_that_is_not_ours_is_dead_and_touches_no_file(directory: Path, name: str) -> None:
    victim = directory.parent.parent / f"victim{SUFFIX}"
    victim.parent.mkdir(exist_ok=True)
    victim.touch()
    assert is_dead(directory, name)
    assert victim.exists()


def test_an_error_during_the_burial_leaves_the_file_for_another_try(directory: Path) -> None:
    file = abandon(directory, "1-0123abcd")
    with pytest.raises(KeyError), burial(directory, "1-0123abcd"):
        raise KeyError
    assert file.exists()
    assert is_dead(directory, "1-0123abcd")


def test_only_one_buries_at_a_time(directory: Path) -> None:
    abandon(directory, "1-0123abcd")
    with burial(directory, "1-0123abcd") as first:
        assert (first, is_dead(directory, "1-0123abcd")) == (True, False)


def test_a_released_lock_leaves_no_file(directory: Path) -> None:
    lock = ProcessLock(directory)
    lock.acquire()
    lock.release()
    assert list(directory.iterdir()) == []
    assert is_dead(directory, lock.name)


def test_release_without_a_lock_changes_nothing(directory: Path) -> None:
    ProcessLock(directory).release()
    assert not directory.exists()


def test_two_locks_of_one_process_have_their_own_names(directory: Path, lock: ProcessLock) -> None:
    other = ProcessLock(directory)
    other.acquire()
    assert known_processes(directory) == {lock.name, other.name}
    other.release()


def test_the_name_is_chosen_when_the_lock_is_taken(directory: Path) -> None:
    lock = ProcessLock(directory)
    assert lock.name == ""  # a fork between the two must not share it
    lock.acquire()
    assert lock.name.startswith(f"{os.getpid()}-")
    lock.release()


def test_directory_and_file_belong_to_their_owner_alone(directory: Path, lock: ProcessLock) -> None:
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (directory, file_of(directory, lock.name))]
    assert modes == [0o700, 0o600]


def test_a_file_that_somebody_removed_is_made_again(directory: Path, lock: ProcessLock) -> None:
    file_of(directory, lock.name).unlink()
    lock.acquire()
    assert not is_dead(directory, lock.name)


def test_taking_a_held_lock_again_changes_nothing(directory: Path, lock: ProcessLock) -> None:
    before = file_of(directory, lock.name).stat().st_ino
    lock.acquire()
    assert file_of(directory, lock.name).stat().st_ino == before


def test_a_start_that_meets_a_burial_ends_with_a_lock_others_see(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, met = ProcessLock(directory), []

    def bury_first(handle: int, operation: int) -> None:
        if not met:
            met.append(handle)
            file_of(directory, lock.name).unlink()  # between open and lock
        flock(handle, operation)

    flock = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", bury_first)
    lock.acquire()
    assert not is_dead(directory, lock.name)
    lock.release()


def test_other_files_are_no_processes(directory: Path, lock: ProcessLock) -> None:
    (directory / f"gunicorn{SUFFIX}").touch()
    (directory / "1-0123abcd.pid").touch()
    assert known_processes(directory) == {lock.name}


def test_a_directory_that_is_missing_has_no_processes(directory: Path) -> None:
    assert known_processes(directory) == set()
