from collections.abc import Iterator
from pathlib import Path

import pytest

from ogp.core.errors import StateUnavailableError
from ogp.core.ports import ServerBook
from ogp.state.local_store import LocalStore
from ogp.state.server_states import LocalServerBook, MemoryServerBook


@pytest.fixture(params=["memory", "local"])
def book(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerBook]:
    if request.param == "memory":
        yield MemoryServerBook()
        return
    store = LocalStore(tmp_path)
    store.start()
    yield LocalServerBook(store)
    store.stop()


def test_only_what_was_changed_is_told(book: ServerBook) -> None:
    assert book.server_states() == {}
    book.set_server_state("a", "disabled")
    book.set_server_state("b", "draining")
    book.set_server_state("a", "enabled")
    assert book.server_states() == {"a": "enabled", "b": "draining"}


def test_processes_of_one_host_see_the_same(tmp_path: Path) -> None:
    stores = [LocalStore(tmp_path, run="r"), LocalStore(tmp_path, run="r")]
    for store in stores:
        store.start()
    LocalServerBook(stores[0]).set_server_state("a", "disabled")
    assert LocalServerBook(stores[1]).server_states() == {"a": "disabled"}
    for store in stores:
        store.stop()


def test_without_its_files_nobody_can_say(tmp_path: Path) -> None:
    with pytest.raises(StateUnavailableError):
        LocalServerBook(LocalStore(tmp_path)).server_states()
