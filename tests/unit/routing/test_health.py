from collections.abc import Iterator
from threading import Event

import pytest

from ogp.core.clock import SystemClock
from ogp.core.types import Route
from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from ogp.routing import health
from ogp.routing.catalog import Catalog
from ogp.routing.health import HealthMonitor, Listings

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
    status = monitor.status("lab")
    assert (status.healthy, status.error, status.is_up) == (False, error, False)


def test_listings_are_kept_before_a_server_counts_as_up(server: DemoServer) -> None:
    catalog = Catalog(["lab"], SystemClock(), ttl_s=60)
    seen = []

    class Noting(HealthMonitor):
        def _note(self, route: Route, status: health.ServerStatus) -> None:
            seen.append(catalog.listings()["lab"])
            super()._note(route, status)
            noted.set()

    noted = Event()
    monitor = Noting(
        [Route("lab", server.url)],
        interval_s=60,
        clock=SystemClock(),
        listings=Listings(catalog, timeout_s=2.0),
    )
    monitor.start()
    assert noted.wait(WAIT_S)
    assert seen[0] is not None
    assert "demo" in seen[0].installed
    server.install("new")
    monitor.list_again("lab")
    assert server.wait_for(lambda: len(server.requests_to("/api/ps")) == 2, WAIT_S)
    monitor.stop()


def test_a_listing_that_cannot_be_had_says_nothing_of_health(server: DemoServer) -> None:
    catalog = Catalog(["lab"], SystemClock(), ttl_s=60)
    server.script("/api/tags", *[Script(status=500, framing="length")] * 1000)
    monitor = HealthMonitor(
        [Route("lab", server.url)],
        interval_s=0.01,
        clock=SystemClock(),
        listings=Listings(catalog, timeout_s=2.0),
    )
    monitor.start()
    assert probed(server, 1)
    monitor.stop()
    assert monitor.status("lab").healthy is True
    assert catalog.listings() == {"lab": None}


def test_without_listings_nothing_is_listed_again(monitored: HealthMonitor) -> None:
    monitored.list_again("lab")
    assert monitored.status("lab") == health.ServerStatus()


def test_a_slow_probe_marks_its_server(server: DemoServer) -> None:
    monitor = HealthMonitor(
        [Route("lab", server.url)], interval_s=0.01, clock=SystemClock(), busy_threshold_ms=0.0001
    )
    monitor.start()
    assert probed(server, 1)
    monitor.stop()
    assert monitor.status("lab").is_slow


def test_requests_open_and_close_the_breaker_and_each_change_is_a_version(
    monitored: HealthMonitor,
) -> None:
    monitored.failed("lab", is_certain=False)
    monitored.answered("lab")
    assert monitored.status("lab") == health.ServerStatus()
    before = monitored.version
    monitored.failed("lab", is_certain=True)
    assert not monitored.status("lab").is_up
    assert monitored.status("lab").error == "connection_failed"
    assert monitored.version == before + 1
    monitored.answered("lab")
    assert monitored.status("lab").is_up
    assert monitored.version == before + 2


def test_a_late_answer_does_not_undo_what_a_probe_found(
    server: DemoServer, monitored: HealthMonitor
) -> None:
    server.script("/api/version", *[Script(status=500, framing="length")] * 1000)
    monitored.start()
    assert probed(server, 1)
    monitored.stop()
    monitored.answered("lab")
    assert not monitored.status("lab").is_up


def test_a_server_found_away_by_a_request_is_probed_at_once(server: DemoServer) -> None:
    monitor = HealthMonitor([Route("lab", server.url)], interval_s=600, clock=SystemClock())
    monitor.start()
    assert server.wait_for(lambda: monitor.status("lab").healthy, WAIT_S)
    monitor.failed("lab", is_certain=True)
    assert probed(server, 1)
    monitor.stop()


def test_an_endless_answer_to_a_probe_is_not_read_to_its_end(server: DemoServer) -> None:
    endless = Script(chunks=[b"x" * 10_000] * 3, hold_after=(1, Event()))
    server.script("/api/version", *[endless] * 1000)
    monitor = HealthMonitor([Route("lab", server.url)], interval_s=0.01, clock=SystemClock())
    monitor.start()
    assert probed(server, 1)
    monitor.stop()
    assert monitor.status("lab").healthy is True


def test_a_listing_that_fails_again_and_again_is_logged_once(
    server: DemoServer, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = Catalog(["lab"], SystemClock(), ttl_s=60)
    server.script("/api/tags", *[Script(status=500, framing="length")] * 1000)
    monitor = HealthMonitor(
        [Route("lab", server.url)],
        interval_s=0.01,
        clock=SystemClock(),
        listings=Listings(catalog, timeout_s=2.0),
    )
    monitor.start()
    assert probed(server, 3)
    monitor.stop()
    assert capsys.readouterr().out.count("models not listed") == 1
