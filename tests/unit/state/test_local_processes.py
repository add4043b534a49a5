"""Signs of life: a locked file per process, free once it is dead."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ogp.state.local_processes import SUFFIX, SignOfLife, bury, lives, living

ROOT = Path(__file__).resolve().parents[3]
HOLD = (
    "import sys; from pathlib import Path; from ogp.state.local_processes import SignOfLife; "
    "sign = SignOfLife(); sign.hold(Path(sys.argv[1])); print(sign.name, flush=True); "
    "sys.stdin.read()"
)


@pytest.fixture
def sign(tmp_path: Path) -> Iterator[SignOfLife]:
    sign = SignOfLife()
    sign.hold(tmp_path)
    yield sign
    sign.drop()


def file_of(directory: Path, name: str) -> Path:
    return directory / (name + SUFFIX)


def test_a_process_that_holds_its_file_lives(tmp_path: Path, sign: SignOfLife) -> None:
    assert lives(tmp_path, sign.name)
    assert living(tmp_path) == [sign.name]


def test_the_file_is_private(tmp_path: Path, sign: SignOfLife) -> None:
    assert stat.S_IMODE(file_of(tmp_path, sign.name).stat().st_mode) == 0o600


def test_a_killed_process_is_dead(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        assert lives(tmp_path, name)
        child.kill()
        child.wait()
    assert file_of(tmp_path, name).exists()
    assert not lives(tmp_path, name)


def test_a_process_without_a_file_is_dead(tmp_path: Path) -> None:
    assert not lives(tmp_path, "1-00")


def test_looking_does_not_take_the_lock(tmp_path: Path, sign: SignOfLife) -> None:
    file_of(tmp_path, "1-00").touch()
    assert not lives(tmp_path, "1-00")
    assert not lives(tmp_path, "1-00")


def test_dropping_removes_the_file_and_may_be_repeated(tmp_path: Path, sign: SignOfLife) -> None:
    sign.drop()
    sign.drop()
    assert list(tmp_path.iterdir()) == []


def test_holding_again_keeps_file_and_name(tmp_path: Path, sign: SignOfLife) -> None:
    before = (sign.name, file_of(tmp_path, sign.name).stat().st_ino)
    sign.hold(tmp_path)
    assert (sign.name, file_of(tmp_path, sign.name).stat().st_ino) == before


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_somebody_removed_is_made_again(
    tmp_path: Path, sign: SignOfLife, replaced: bool
) -> None:
    name, path = sign.name, file_of(tmp_path, sign.name)
    path.unlink()
    if replaced:
        path.touch()
    sign.hold(tmp_path)
    assert (sign.name, lives(tmp_path, name)) == (name, True)


def test_another_directory_gets_a_file_of_the_same_name(tmp_path: Path, sign: SignOfLife) -> None:
    other = tmp_path / "other"
    other.mkdir()
    sign.hold(other)
    assert (living(other), living(tmp_path)) == ([sign.name], [])


def test_two_signs_have_different_names(tmp_path: Path, sign: SignOfLife) -> None:
    other = SignOfLife()
    other.hold(tmp_path)
    assert sign.name != other.name
    other.drop()


def test_a_link_is_not_followed(tmp_path: Path, sign: SignOfLife) -> None:
    file_of(tmp_path, "1-00").symlink_to(file_of(tmp_path, sign.name))
    with pytest.raises(OSError, match="1-00"):
        lives(tmp_path, "1-00")


def test_burying_removes_all_that_a_process_left(tmp_path: Path) -> None:
    for name in ("1-00.lock", "1-00.wake", "1-01.lock"):
        (tmp_path / name).touch()
    bury(tmp_path, "1-00")
    assert [path.name for path in tmp_path.iterdir()] == ["1-01.lock"]
