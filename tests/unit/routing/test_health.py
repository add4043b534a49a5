from collections.abc import Iterator
from threading import Event

import pytest

from ogp.core.clock import SystemClock
from ogp.core.types import Route
from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from ogp.routing import health
from ogp.routing.health import HealthMonitor

WAIT_S = 5.0
VERSION = Script.document({"version": "0.1"})


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as server:
        yield server


@pytest.fixture
def monitored(server: DemoServer) -> Iterator[HealthMonitor]:
    monitor = HealthMonitor([Route("lab", server.url)], interval_s=0.01, clock=SystemClock())
    yield monitor
    monitor.stop()


def probed(server: DemoServer, times: int) -> bool:
    """The answer to a probe has been noted once the next one arrives."""
    return server.wait_for(lambda: len(server.requests_to("/api/version")) > times, WAIT_S)


def test_before_the_first_probe_nothing_is_known(monitored: HealthMonitor) -> None:
    assert monitored.status("lab").healthy is None
    assert monitored.any_up()


def test_a_server_that_answers_is_up(server: DemoServer, monitored: HealthMonitor) -> None:
    monitored.start()
    assert probed(server, 1)
    status = monitored.statuses()["lab"]
    assert status.healthy is True
    assert status.response_time_ms is not None
    assert status.error is None


def test_a_server_that_answers_errors_is_down(server: DemoServer, monitored: HealthMonitor) -> None:
    server.script("/api/version", *[Script(status=500, framing="length")] * 1000)
    monitored.start()
    assert probed(server, 1)
    assert monitored.status("lab").error == "status_500"
    assert not monitored.any_up()


def test_a_server_that_comes_back_is_up_again(server: DemoServer, monitored: HealthMonitor) -> None:
    server.script("/api/version", Script(status=500, framing="length"), VERSION)
    monitored.start()
    assert probed(server, 2)
    assert monitored.status("lab").healthy is True


@pytest.mark.parametrize(("asleep", "error"), [(True, "timeout"), (False, "connection_failed")])
def test_the_kind_of_failure_is_told(
    server: DemoServer, monkeypatch: pytest.MonkeyPatch, asleep: bool, error: str
) -> None:
    monkeypatch.setattr(health, "PROBE_TIMEOUT_S", 0.05)
    noted = Event()

    class Noting(HealthMonitor):
        def _note(self, route: Route, status: health.ServerStatus) -> None:
            super()._note(route, status)
            noted.set()

    server.script("/api/version", Script(hold_before_head=Event()))
    url = server.url if asleep else "http://127.0.0.1:1"
    monitor = Noting([Route("lab", url)], interval_s=60, clock=SystemClock())
    monitor.start()
    assert noted.wait(WAIT_S)
    monitor.stop()
    assert monitor.status("lab") == health.ServerStatus(healthy=False, error=error)
