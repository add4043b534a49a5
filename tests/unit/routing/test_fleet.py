from collections.abc import Iterator

import pytest

from ogp.core.clock import SystemClock
from ogp.demo.server import DemoServer
from ogp.routing.fleet import Fleet
from ogp.settings.schema import Settings
from ogp.state.server_states import MemoryServerBook

WAIT_S = 5.0


def make_fleet(**sections: object) -> Fleet:
    settings = {"upstream": {"health_interval_s": 0.02}, **sections}
    return Fleet(Settings.model_validate(settings), MemoryServerBook(), SystemClock())


@pytest.fixture
def servers() -> Iterator[tuple[DemoServer, DemoServer]]:
    with DemoServer(models=["own-a"]) as first, DemoServer(models=["own-b"]) as second:
        yield first, second


def probed(server: DemoServer) -> bool:
    return server.wait_for(lambda: len(server.requests_to("/api/version")) > 1, WAIT_S)


def test_what_servers_have_is_found_out_in_the_background(
    servers: tuple[DemoServer, DemoServer],
) -> None:
    first, second = servers
    fleet = make_fleet(servers={"a": {"url": first.url}, "b": {"url": second.url}})
    fleet.start()
    assert probed(first)
    assert probed(second)
    fleet.stop()
    assert fleet.explain("OWN-B:latest")["server"] == "b"
    one, two = fleet.described()
    assert (one["name"], one["url"], one["status"], one["state"]) == (
        "a",
        first.url,
        "up",
        "enabled",
    )
    assert two["installed"] > 1
    assert two["in_memory"] == []


def test_one_server_without_a_limit_is_not_asked_what_it_has(
    servers: tuple[DemoServer, DemoServer],
) -> None:
    server, _ = servers
    fleet = make_fleet(upstream={"url": server.url, "health_interval_s": 0.02})
    fleet.start()
    assert probed(server)
    fleet.stop()
    assert server.requests_to("/api/tags") == []
    (described,) = fleet.described()
    assert described["installed"] is None


def test_passwords_in_addresses_are_neither_shown_nor_sent() -> None:
    fleet = make_fleet(upstream={"url": "http://me:hidden@gpu:1"})
    assert fleet.described()[0]["url"] == "http://gpu:1"
