"""Wake-ups through named pipes: none is needed, all may get lost, none blocks."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from ogp.state.local_wakeups import SUFFIX, Wakeups

SOON_S = 5.0


def listening(directory: Path, name: str) -> Iterator[Wakeups]:
    wakeups = Wakeups()
    wakeups.listen(directory, name)
    yield wakeups
    wakeups.close()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Wakeups]:
    yield from listening(tmp_path, "here")


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Wakeups]:
    yield from listening(tmp_path, "there")


def test_a_nudge_ends_the_wait(here: Wakeups, there: Wakeups) -> None:
    waiting: list[bool] = []
    thread = Thread(target=lambda: waiting.append(there.wait(SOON_S)))
    thread.start()
    here.nudge("there")
    thread.join()
    assert waiting == [True]


def test_a_nudge_before_the_wait_is_not_lost(here: Wakeups, there: Wakeups) -> None:
    here.nudge("there")
    assert there.wait(0)


def test_many_nudges_are_one_wake_up(here: Wakeups, there: Wakeups) -> None:
    for _ in range(100_000):  # more than a pipe holds
        here.nudge("there")
    assert [there.wait(0), there.wait(0)] == [True, False]


def test_without_a_nudge_the_wait_ends_at_its_time(here: Wakeups) -> None:
    assert not here.wait(0.01)


def test_a_process_can_wake_itself(here: Wakeups) -> None:
    here.nudge_self()
    assert here.wait(0)


def test_nudging_itself_never_blocks(here: Wakeups) -> None:
    for _ in range(100_000):
        here.nudge_self()
    assert here.wait(0)


def test_nudging_nobody_does_nothing(here: Wakeups) -> None:
    here.nudge("nobody")
    assert not here.wait(0)


def test_a_process_that_has_gone_is_forgotten(here: Wakeups, there: Wakeups) -> None:
    here.nudge("there")
    there.close()
    here.nudge("there")
    assert here._others == {}


def test_one_that_comes_again_is_found_again(tmp_path: Path, here: Wakeups, there: Wakeups) -> None:
    here.nudge("there")
    there.close()
    here.nudge("there")
    there.listen(tmp_path, "there")
    here.nudge("there")
    assert there.wait(0)


def test_the_pipe_is_private_and_goes_with_its_process(tmp_path: Path, here: Wakeups) -> None:
    path = tmp_path / f"here{SUFFIX}"
    assert stat.filemode(path.stat().st_mode) == "prw-------"
    here.close()
    assert not path.exists()


def test_listening_again_keeps_the_pipe(tmp_path: Path, here: Wakeups) -> None:
    here.nudge_self()
    here.listen(tmp_path, "here")
    assert here.wait(0)


def test_a_pipe_that_somebody_removed_is_made_again_and_ends_the_wait(
    tmp_path: Path, here: Wakeups, there: Wakeups
) -> None:
    there._path.unlink()
    old = there._own
    there.listen(tmp_path, "there")
    assert old is not None
    assert os.read(old, 9) == b"!"
    here.nudge("there")
    assert there.wait(0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(old)


def test_pipes_are_found_under_any_length_of_path(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 120) / ("b" * 120)
    deep.mkdir(parents=True)
    (wakeups,) = (one for one in listening(deep, "deep"))
    assert wakeups._own is None


def test_waiting_without_a_pipe_is_sleep() -> None:
    assert not Wakeups().wait(0.01)


def test_closing_gives_all_descriptors_back(tmp_path: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    wakeups = Wakeups()
    for name in ("first", "second"):
        wakeups.listen(tmp_path, name)
        wakeups.nudge(name)
    wakeups.close()
    assert len(list(Path("/dev/fd").iterdir())) == before
