"""Tallies that several processes count into; the rest is in `test_memory_and_local_tallies`."""

from pathlib import Path
from threading import Thread

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import StateUnavailableError
from ogp.state.local_store import LocalStore
from ogp.state.local_tallies import LocalTallyBook
from tests.support.state_tables import MODEL


def test_all_processes_and_threads_count_into_one_tally(tmp_path: Path) -> None:
    stores = [LocalStore(tmp_path, run="test") for _ in range(2)]
    books = [LocalTallyBook(store, SystemClock()) for store in stores]
    for store in stores:
        store.start()

    def count(book: LocalTallyBook) -> None:
        for _ in range(50):
            book.processed(MODEL, waited_ms=1.0, held_ms=2.0)
            book.rejected(MODEL)

    threads = [Thread(target=count, args=(book,)) for book in books for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = [book.tally(MODEL) for book in books]
    for store in stores:
        store.stop()
    assert seen[0] == seen[1]
    assert seen[0] is not None
    assert (seen[0].processed, seen[0].rejected, seen[0].held_ms) == (300, 300, 600.0)
    assert (sum(seen[0].waits), sum(seen[0].holds)) == (300, 300)


def test_counting_fails_while_the_files_cannot_be_used(tmp_path: Path) -> None:
    book = LocalTallyBook(LocalStore(tmp_path), SystemClock())
    with pytest.raises(StateUnavailableError):
        book.processed(MODEL, waited_ms=1.0, held_ms=2.0)
