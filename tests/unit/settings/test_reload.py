import stat
from pathlib import Path
from typing import Any

import pytest

from ogp.settings.load import Loaded, load_settings
from ogp.settings.problems import SettingsError
from ogp.settings.reload import effective_config


class Lines:
    """Collects what is logged."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, dict[str, Any]]] = []

    def error(self, event: str, **fields: Any) -> None:
        self.errors.append((event, fields))


class Service:
    """A configuration file and the master that reads it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "config.yaml"
        self.snapshot = directory / "data" / "run" / "config.yaml"
        self.log = Lines()

    def load(self, text: str | None, **environ: str) -> Loaded:
        if text is not None:
            self.path.write_text(text, "utf-8")
        return effective_config(self.path, self.snapshot, environ=environ, flags={}, log=self.log)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_a_good_file_is_copied_byte_for_byte(service: Service) -> None:
    text = "# comment\r\nproxy_port: 9000   \n"
    assert service.load(text).settings.server.port == 9000
    assert service.snapshot.read_bytes() == service.path.read_bytes()
    assert service.log.errors == []


def test_the_copy_is_for_the_owner_only(service: Service) -> None:
    service.load("proxy_port: 9000\n")
    assert stat.S_IMODE(service.snapshot.stat().st_mode) == 0o600
    assert stat.S_IMODE(service.snapshot.parent.stat().st_mode) == 0o700


def test_a_copy_that_others_could_read_is_replaced_and_not_written_into(service: Service) -> None:
    service.snapshot.parent.mkdir(parents=True)
    service.snapshot.write_text("old", "utf-8")
    service.snapshot.chmod(0o644)
    service.load("proxy_port: 9000\n")
    assert stat.S_IMODE(service.snapshot.stat().st_mode) == 0o600


def test_workers_load_the_copy(service: Service) -> None:
    settings = service.load("proxy_port: 9000\n").settings
    assert load_settings(service.snapshot, environ={}, flags={}).settings == settings


def test_a_bad_file_keeps_the_last_good_one_and_says_so(service: Service) -> None:
    service.load("proxy_port: 9000\n")
    settings = service.load("proxy_port: 99999\nprot: 1\n").settings
    assert settings.server.port == 9000
    assert service.snapshot.read_text("utf-8") == "proxy_port: 9000\n"
    events = [event for event, _ in service.log.errors]
    assert events == [
        "configuration refused",
        "configuration refused",
        "last good configuration stays in use",
    ]
    assert service.log.errors[0][1]["key"] == "prot"
    assert service.log.errors[1][1] == {
        "key": "server.port",
        "value": "99999",
        "source": f"{service.path}:1",
        "problem": "must be a whole number from 0 to 65535",
    }
    assert service.log.errors[2][1] == {"problems": 2}


def test_a_file_that_is_gone_keeps_the_last_good_one(service: Service) -> None:
    service.load("proxy_port: 9000\n")
    service.path.unlink()
    assert service.load(None).settings.server.port == 9000


def test_a_corrected_file_counts_again(service: Service) -> None:
    service.load("proxy_port: 9000\n")
    service.load("proxy_port: x\n")
    assert service.load("proxy_port: 9001\n").settings.server.port == 9001


def test_a_bad_file_without_a_copy_is_refused(service: Service) -> None:
    with pytest.raises(SettingsError, match=r"server\.port = 99999"):
        service.load("proxy_port: 99999\n")
    assert not service.snapshot.exists()


def test_a_mistake_in_the_environment_is_refused_with_its_own_words(service: Service) -> None:
    service.load("proxy_port: 9000\n")
    with pytest.raises(SettingsError, match="environment WORKERS"):
        service.load(None, WORKERS="x")


def test_without_a_file_the_copy_is_empty_and_environment_counts(tmp_path: Path) -> None:
    snapshot = tmp_path / "config.yaml"
    loaded = effective_config(None, snapshot, environ={"PROXY_PORT": "9000"}, flags={}, log=Lines())
    assert loaded.settings.server.port == 9000
    assert snapshot.read_bytes() == b""


def test_a_failed_copy_leaves_the_old_one_and_no_rest(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.load("proxy_port: 9000\n")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ogp.settings.reload.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        service.load("proxy_port: 9001\n")
    assert service.snapshot.read_text("utf-8") == "proxy_port: 9000\n"
    assert list(service.snapshot.parent.iterdir()) == [service.snapshot]
