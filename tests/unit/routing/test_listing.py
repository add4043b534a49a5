from collections.abc import Iterator
from typing import Any

import pytest
import requests

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from ogp.routing import listing
from ogp.routing.listing import ListingError, fetch_listing, read_models


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as server:
        yield server


def fetched(server: DemoServer) -> listing.Listing:
    with requests.Session() as session:
        session.trust_env = False
        return fetch_listing(session, server.url, timeout_s=2.0)


def test_installed_models_are_known_by_their_canonical_names(server: DemoServer) -> None:
    server.install("Llama3", 4_000_000_000)
    installed = fetched(server).installed
    assert installed["llama3"].size_bytes == 4_000_000_000
    assert installed["llama3"].entry["name"] == "llama3:latest"


def test_models_in_memory_are_told_apart(server: DemoServer) -> None:
    assert fetched(server).resident == {}
    requests.post(f"{server.url}/api/generate", json={"model": "demo"}, timeout=5)
    assert set(fetched(server).resident) == {"demo"}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(status=500, framing="length"), "status_500"),
        (Script(status=302, headers={"Location": "http://127.0.0.1:1"}), "status_302"),
        (Script(chunks=[b"not json"], framing="length"), "no_json"),
        (Script.document([]), "no_listing"),
        (Script.document({"models": {}}), "no_listing"),
    ],
)
def test_nonsense_is_no_listing(server: DemoServer, script: Script, reason: str) -> None:
    server.script("/api/tags", script)
    with pytest.raises(ListingError, match=f"^{reason}$"):
        fetched(server)


def test_an_endless_listing_is_cut(server: DemoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_BYTES", 1000)
    server.script("/api/tags", Script(chunks=[b" " * 2000]))
    with pytest.raises(ListingError, match=r"^too_long$"):
        fetched(server)
    monkeypatch.setattr(listing, "MAX_MODELS", 1)
    with pytest.raises(ListingError, match=r"^no_listing$"):
        read_models({"models": [{"name": "a"}, {"name": "b"}]})


@pytest.mark.parametrize(
    "entry", ["a", None, {}, {"name": 1}, {"name": "a b"}, {"name": "x" * 513}]
)
def test_entries_without_a_usable_name_are_left_out(entry: Any) -> None:
    assert set(read_models({"models": [entry, {"model": "b:latest"}]})) == {"b"}


@pytest.mark.parametrize("size", [None, "1", 0, -1, True, 1.5])
def test_sizes_that_are_none(size: Any) -> None:
    assert read_models({"models": [{"name": "a", "size": size}]})["a"].size_bytes is None


def test_an_empty_list_may_be_null() -> None:
    assert read_models({"models": None}) == {}
