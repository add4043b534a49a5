"""gunicorn.conf.py: what it makes of the settings, and what its hooks do."""

import importlib.util
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import structlog
from gunicorn.config import Config
from gunicorn.http import wsgi

ROOT = Path(__file__).resolve().parents[1]
WAIT_S = 10.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory of its own; process-wide logging is put back afterwards."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("OGP_") or name == "CONFIG_FILE":
            monkeypatch.delenv(name)
    # Set and deleted, so that what the file under test puts there is taken away again.
    monkeypatch.setenv("OGP_CONFIG_SNAPSHOT", "")
    monkeypatch.setattr(wsgi, "SERVER", "gunicorn")
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield tmp_path
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)


def load_conf() -> ModuleType:
    """Execute the file the way gunicorn does."""
    spec = importlib.util.spec_from_file_location("gunicorn_conf", ROOT / "gunicorn.conf.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def configure(folder: Path, text: str) -> None:
    (folder / "config.yaml").write_text(text)


def gunicorn_config(module: ModuleType) -> Config:
    """gunicorn's own reading of every value, which refuses wrong ones."""
    config = Config()
    for name in vars(module):
        if name in config.settings:
            config.set(name, getattr(module, name))
    config.validate()
    return config


def test_gunicorn_accepts_every_value(folder: Path) -> None:
    config = gunicorn_config(load_conf())
    assert (config.bind, config.workers, config.threads) == (["127.0.0.1:8080"], 1, 640)


def test_more_connections_than_threads_so_that_they_are_kept_alive(folder: Path) -> None:
    configure(folder, "queue: {max_queue: 3000}\n")
    module = load_conf()
    assert module.threads == 3128
    assert module.worker_connections > module.threads


@pytest.mark.parametrize(
    ("host", "bind"), [("0.0.0.0", "0.0.0.0:9000"), ("::1", "[::1]:9000"), ("a.b", "a.b:9000")]
)
def test_address_is_taken_from_the_settings(folder: Path, host: str, bind: str) -> None:
    configure(folder, f'server: {{host: "{host}", port: 9000}}\n')
    assert load_conf().bind == bind


def test_fractions_of_seconds_are_rounded_up(folder: Path) -> None:
    configure(folder, "server: {graceful_timeout_s: 0.5, keepalive_s: 1.5}\n")
    module = load_conf()
    assert (module.graceful_timeout, module.keepalive) == (1, 2)


def test_headers_that_could_be_mistaken_for_others_are_refused(folder: Path) -> None:
    config = gunicorn_config(load_conf())
    assert (config.header_map, config.forwarder_headers) == ("refuse", [])
    assert [str(address) for address in config.forwarded_allow_ips] == ["127.0.0.1", "::1"]


def test_no_control_socket_and_no_access_log(folder: Path) -> None:
    config = gunicorn_config(load_conf())
    assert config.control_socket_disable
    assert config.accesslog is None


def test_workers_read_a_private_copy_of_the_configuration(folder: Path) -> None:
    configure(folder, "server: {port: 9000}\n")
    load_conf()
    copy = Path(os.environ["OGP_CONFIG_SNAPSHOT"])
    assert copy.parent == folder / "data" / "run"
    assert copy.read_text() == "server: {port: 9000}\n"
    assert copy.stat().st_mode & 0o777 == 0o600


def test_start_does_not_fall_back_to_a_configuration_from_before(folder: Path) -> None:
    configure(folder, "server: {port: 9000}\n")
    (folder / "data" / "run").mkdir(parents=True)
    (folder / "data" / "run" / f"config-{os.getpid()}.yaml").write_text("server: {port: 1}\n")
    configure(folder, "nonsense: 1\n")
    with pytest.raises(SystemExit, match="nonsense"):
        load_conf()


def test_reload_with_a_bad_file_keeps_the_last_good_one(folder: Path) -> None:
    configure(folder, "server: {port: 9000}\n")
    load_conf()
    configure(folder, "server: {port: nonsense}\n")
    assert load_conf().bind == "127.0.0.1:9000"


def test_reload_takes_a_good_file(folder: Path) -> None:
    configure(folder, "server: {port: 9000}\n")
    load_conf()
    configure(folder, "server: {port: 9001}\n")
    assert load_conf().bind == "127.0.0.1:9001"


def test_reload_survives_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(folder, "server: {port: 9000}\n")
    module = load_conf()

    def full(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    configure(folder, "server: {port: 9001}\n")
    monkeypatch.setattr(module, "effective_config", full)
    assert module.load().settings.server.port == 9000


def lingering(module: ModuleType, ours: socket.socket) -> Thread:
    thread = Thread(target=module.linger, args=(ours,))
    thread.start()
    return thread


def test_a_connection_is_at_its_end_once_its_client_has_closed(folder: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        thread = lingering(load_conf(), ours)
        assert theirs.recv(1) == b""  # told that no more comes
        theirs.sendall(b"late")
        theirs.close()
        thread.join(WAIT_S)
        assert not thread.is_alive()
        assert ours.recv(1) == b""


def test_a_client_that_never_closes_is_waited_for_in_vain_no_longer_than_allowed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load_conf()
    monkeypatch.setattr(module, "LINGER_S", 0.05)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        module.linger(ours)
        ours.settimeout(WAIT_S)
        assert ours.recv(1) == b""  # at once: gunicorn asks once more


def test_a_client_that_sends_on_and_on_is_read_only_so_far(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load_conf()
    monkeypatch.setattr(module, "LINGER_S", WAIT_S)
    monkeypatch.setattr(module, "LINGER_BYTES", 10)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"x" * 11)
        module.linger(ours)
        assert ours.recv(2) == b"x"


def test_a_client_that_is_gone_is_not_waited_for(folder: Path) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.close()
        load_conf().linger(ours)


def test_a_worker_that_stops_refuses_who_waits_once_shortly_before_its_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load_conf()
    now, refusals = [100.0], list[float]()
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.ThreadWorker, "wait_for_and_dispatch_events", lambda *_: None)
    worker = object.__new__(module.PoliteWorker)
    worker.cfg = SimpleNamespace(graceful_timeout=30)
    worker.wsgi = SimpleNamespace(refuse_waiting=lambda: refusals.append(now[0]))
    for worker.alive, now[0] in ((True, 0), (True, 99), (False, 100), (False, 127), (False, 128)):
        worker.wait_for_and_dispatch_events(1.0)
    worker.wait_for_and_dispatch_events(1.0)
    assert refusals == [128]


class Lines:
    """Stands in for gunicorn's logger."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, message: str, *arguments: object) -> None:
        self.lines.append(message % arguments)

    warning = info


def consequences(folder: Path, text: str) -> list[str]:
    configure(folder, text)
    log = Lines()
    load_conf().tell_consequences(SimpleNamespace(log=log))
    return log.lines


def test_several_workers_that_share_nothing_are_said_to_count_by_themselves(folder: Path) -> None:
    (line,) = consequences(folder, "server: {workers: 4}\nstate: {backend: memory}\n")
    assert line.startswith("state.backend is memory: slots, queues and their figures count in each")
    assert "the upstream may see 4 times as many requests" in line


def test_raised_threads_are_said(folder: Path) -> None:
    (line,) = consequences(folder, "server: {concurrency: 128}\n")
    assert line.startswith("threads per worker raised from 128 to 640")


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "server: {concurrency: 900}\n",
        "server: {workers: 4}\n",
        "server: {workers: 4}\nstate: {backend: local}\n",
        "state: {backend: memory}\n",
    ],
)
def test_nothing_is_said_where_nothing_surprises(folder: Path, text: str) -> None:
    assert consequences(folder, text) == []


@pytest.mark.parametrize(
    ("listening", "url"),
    [
        (("127.0.0.1", 81), "http://127.0.0.1:81"),
        (("0.0.0.0", 81), "http://127.0.0.1:81"),
        (("::", 81, 0, 0), "http://[::1]:81"),
    ],
)
def test_address_to_dial_is_shown_and_written_for_the_start_script(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    listening: tuple[Any, ...],
    url: str,
) -> None:
    monkeypatch.setenv("OGP_URL_FILE", "url")
    socket = SimpleNamespace(getsockname=lambda: listening)
    load_conf().tell_address(SimpleNamespace(LISTENERS=[SimpleNamespace(sock=socket)]))
    assert Path("url").read_text() == f"{url}\n"
    assert url in capfd.readouterr().out


@pytest.mark.parametrize(
    ("pid", "stopped"), [(os.getpid(), 1), (os.getpid() + 1, 0)], ids=["own", "other"]
)
def test_application_is_stopped_in_its_own_worker_only(
    folder: Path, pid: int, stopped: int
) -> None:
    stops: list[None] = []
    worker = SimpleNamespace(pid=pid, wsgi=SimpleNamespace(stop=lambda: stops.append(None)))
    load_conf().stop_application(None, worker)
    assert len(stops) == stopped


def test_worker_that_never_had_an_application_ends_quietly(folder: Path) -> None:
    load_conf().stop_application(None, SimpleNamespace(pid=os.getpid()))


@pytest.mark.parametrize(("reload", "kept"), [(False, True), (True, False)])
def test_code_is_read_again_with_reload_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch, reload: bool, kept: bool
) -> None:
    module = load_conf()
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    worker = SimpleNamespace(cfg=SimpleNamespace(reload=reload))
    module.after_fork(SimpleNamespace(SIG_QUEUE=None), worker)
    assert ("ogp.wsgi" in sys.modules) is kept
    assert "pytest" in sys.modules


@pytest.mark.parametrize(
    ("early", "stops"),
    [
        ([], []),
        ([signal.SIGCHLD, signal.SIGHUP], []),
        ([signal.SIGCHLD, signal.SIGTERM], [signal.SIGTERM]),
        ([signal.SIGINT], [signal.SIGTERM]),
    ],
)
def test_stop_that_came_while_a_worker_was_starting_is_obeyed(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    early: list[signal.Signals],
    stops: list[signal.Signals],
) -> None:
    module = load_conf()
    signals: SimpleQueue[signal.Signals] = SimpleQueue()
    worker = SimpleNamespace(cfg=SimpleNamespace(reload=False))
    module.after_fork(SimpleNamespace(SIG_QUEUE=signals), worker)
    for number in early:
        signals.put(number)
    sent: list[tuple[int, signal.Signals]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    module.obey_early_signals(worker)
    assert sent == [(os.getpid(), number) for number in stops]


def test_data_directory_is_private_whoever_makes_it(folder: Path) -> None:
    load_conf()
    assert (folder / "data").stat().st_mode & 0o777 == 0o700
