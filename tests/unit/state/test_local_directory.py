"""Where the shared state lies, and what becomes of older runs' directories."""

import os
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ogp.state import local_directory
from ogp.state.local_directory import (
    LAYOUT,
    boot_name,
    own_directory,
    remove_strangers,
    service_run,
)
from ogp.state.local_processes import SignOfLife


def test_a_boot_has_one_name(tmp_path: Path) -> None:
    source = tmp_path / "boot_id"
    source.write_text("3f1c\n")
    first = boot_name(source)
    source.write_text("3f1d\n")
    assert first != boot_name(source)
    assert first.isalnum()


def test_where_no_boot_can_be_told_all_have_the_same_name(tmp_path: Path) -> None:
    assert boot_name(tmp_path / "missing") == "0"


def test_a_run_of_the_service_has_one_name() -> None:
    assert service_run() == service_run()
    assert service_run().startswith(f"{os.getppid()}-")


def test_where_no_start_can_be_told_the_parent_is_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "getppid", lambda: 2**30)
    assert service_run() == f"{2**30}-"


def test_the_directory_is_made_private_with_those_above(tmp_path: Path) -> None:
    directory = own_directory(tmp_path / "data" / "run", "abc")
    assert directory == tmp_path / "data" / "run" / f"slots-v{LAYOUT}-abc"
    for made in (directory, directory.parent):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_directory_that_others_could_enter_is_closed(tmp_path: Path) -> None:
    own_directory(tmp_path, "abc").chmod(0o755)
    assert stat.S_IMODE(own_directory(tmp_path, "abc").stat().st_mode) == 0o700


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"slots-v{LAYOUT}-abc").symlink_to(elsewhere)
    with pytest.raises(PermissionError):
        own_directory(tmp_path, "abc")


def test_a_directory_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_directory.os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PermissionError):
        own_directory(tmp_path, "abc")


@pytest.mark.parametrize("name", ["slots-v0-abc", f"slots-v{LAYOUT}-0123", "slots-v99-abc"])
def test_directories_of_the_dead_are_removed(tmp_path: Path, name: str) -> None:
    own = own_directory(tmp_path, "abc")
    (tmp_path / name / "inside").mkdir(parents=True)
    (tmp_path / name / "1-00.lock").touch()
    remove_strangers(own)
    assert list(tmp_path.iterdir()) == [own]


def test_a_directory_in_which_somebody_lives_is_left_and_reported(tmp_path: Path) -> None:
    own = own_directory(tmp_path, "abc")
    other = tmp_path / "slots-v99-abc"
    other.mkdir()
    sign = SignOfLife()
    sign.hold(other)
    with capture_logs() as lines:
        remove_strangers(own)
    sign.drop()
    assert other.is_dir()
    assert [(line["log_level"], line["processes"]) for line in lines] == [("warning", 1)]


def test_what_is_no_directory_of_slots_is_left(tmp_path: Path) -> None:
    own = own_directory(tmp_path, "abc")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "slots-v7-def").symlink_to(elsewhere)
    (tmp_path / "1-00.lock").touch()
    before = sorted(tmp_path.iterdir())
    remove_strangers(own)
    assert sorted(tmp_path.iterdir()) == before


def test_a_directory_that_cannot_be_looked_into_is_left_and_reported(tmp_path: Path) -> None:
    own = own_directory(tmp_path, "abc")
    other = tmp_path / "slots-v99-abc"
    other.mkdir()
    (other / "1-00.lock").symlink_to(other)
    with capture_logs() as lines:
        remove_strangers(own)
    assert other.is_dir()
    assert [line["log_level"] for line in lines] == ["warning"]
