from datetime import UTC, datetime

from ogp.routing.catalog import Catalog
from tests.support.fleet import listing


class HandClock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def monotonic(self) -> float:
        return self.time_s

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


def make_catalog(clock: HandClock | None = None) -> Catalog:
    return Catalog(["a", "b"], clock or HandClock(), ttl_s=10)


def test_at_first_nothing_is_known_of_anybody() -> None:
    assert make_catalog().listings() == {"a": None, "b": None}


def test_a_listing_is_kept_and_the_version_grows_only_with_a_change() -> None:
    catalog = make_catalog()
    catalog.put("a", listing({"m": 1}))
    assert catalog.version == 1
    catalog.put("a", listing({"m": 1}))
    assert catalog.version == 1
    catalog.put("a", listing({"m": 1}, "m"))
    assert catalog.version == 2
    assert catalog.listings() == {"a": listing({"m": 1}, "m"), "b": None}


def test_a_silent_server_keeps_its_listing_for_a_while() -> None:
    clock = HandClock()
    catalog = make_catalog(clock)
    catalog.put("a", listing({"m": 1}))
    clock.time_s = 10
    catalog.missed("a")
    assert catalog.listings()["a"] is not None
    clock.time_s = 10.1
    catalog.missed("a")
    assert catalog.listings()["a"] is None
    assert catalog.version == 2
    catalog.missed("a")
    catalog.missed("b")
    assert catalog.version == 2
