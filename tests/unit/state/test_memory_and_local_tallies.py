"""What is counted, the same for one process and for all of a host."""

from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path

import pytest

from ogp.core.slots import BUCKETS_MS, SlotTable, Tally, TallyBook
from ogp.state.local import LocalSlotTable
from ogp.state.local_store import LocalStore
from ogp.state.local_tallies import LocalTallyBook
from ogp.state.memory import MemorySlotTable, MemoryTallyBook, bucket_of
from tests.support.state_tables import MODEL, PATIENCE_S, HandClock, entered, limits

CAPACITY = 3


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["memory", "local"])
def pair(
    request: pytest.FixtureRequest, clock: HandClock, tmp_path: Path
) -> Iterator[tuple[TallyBook, SlotTable]]:
    if request.param == "memory":
        table = MemorySlotTable(clock, batch_patience_s=PATIENCE_S)
        yield MemoryTallyBook(clock, CAPACITY, counts=table.counts), table
        return
    store = LocalStore(tmp_path)
    local = LocalSlotTable(store, clock, batch_patience_s=PATIENCE_S)
    store.start()
    yield LocalTallyBook(store, clock, CAPACITY), local
    local.stop()
    store.stop()


@pytest.fixture
def book(pair: tuple[TallyBook, SlotTable]) -> TallyBook:
    return pair[0]


def tally_of(book: TallyBook, model: str = MODEL) -> Tally:
    tally = book.tally(model)
    assert tally is not None
    return tally


def used_one_after_the_other(book: TallyBook, clock: HandClock, *models: str) -> None:
    for model in models:
        clock.time += 1
        book.see(model)


def test_a_model_never_heard_of_has_no_tally(book: TallyBook) -> None:
    assert (book.tally(MODEL), book.tallies()) == (None, {})


def test_a_model_that_was_seen_has_an_empty_tally(book: TallyBook, clock: HandClock) -> None:
    book.see(MODEL)
    assert tally_of(book) == Tally(since=clock.time)


def test_processed_requests_are_counted_with_their_times(book: TallyBook) -> None:
    book.processed(MODEL, waited_ms=1.5, held_ms=100.0)
    book.processed(MODEL, waited_ms=0.5, held_ms=200.0)
    tally = tally_of(book)
    assert (tally.processed, tally.waited_ms, tally.held_ms) == (2, 2.0, 300.0)
    assert (tally.waits[0], tally.waits[2], sum(tally.waits)) == (1, 1, 2)
    assert (tally.holds[bucket_of(100.0)], tally.holds[bucket_of(200.0)]) == (1, 1)


def test_recent_times_weigh_more(book: TallyBook) -> None:
    for held_ms in (100.0, 200.0):
        book.processed(MODEL, waited_ms=0.0, held_ms=held_ms)
    assert tally_of(book).recent_held_ms == pytest.approx(120.0)


def test_what_is_longer_than_all_buckets_is_in_the_last(book: TallyBook) -> None:
    book.processed(MODEL, waited_ms=1e12, held_ms=BUCKETS_MS[-1])
    assert (tally_of(book).waits[-1], tally_of(book).holds[-1]) == (1, 1)


def test_refusals_are_counted(book: TallyBook) -> None:
    book.rejected(MODEL)
    book.rejected(MODEL)
    assert (tally_of(book).rejected, tally_of(book).processed) == (2, 0)


def test_all_tallies_are_sorted_by_name(book: TallyBook) -> None:
    for model in ("b", "c", "a"):
        book.rejected(model)
    assert list(book.tallies()) == ["a", "b", "c"]
    assert book.tallies()["b"] == book.tally("b")


def test_seeing_a_model_again_changes_no_count(book: TallyBook, clock: HandClock) -> None:
    book.rejected(MODEL)
    before = tally_of(book)
    clock.time += 5
    book.see(MODEL)
    assert tally_of(book) == before


def test_a_tally_that_was_asked_for_stays_as_it_was(book: TallyBook) -> None:
    book.rejected(MODEL)
    before = tally_of(book)
    book.rejected(MODEL)
    assert before.rejected == 1


@pytest.mark.parametrize(
    ("reset", "left"),
    [
        (lambda book: book.reset("a"), {"a": 0, "b": 1}),
        (lambda book: book.reset(), {"a": 0, "b": 0}),
        (lambda book: book.reset("nobody"), {"a": 1, "b": 1}),
    ],
    ids=["one", "all", "unknown"],
)
def test_reset_begins_anew(
    book: TallyBook, clock: HandClock, reset: Callable[[TallyBook], None], left: dict[str, int]
) -> None:
    for model in ("a", "b"):
        book.processed(model, waited_ms=5.0, held_ms=5.0)
    clock.time += 7
    reset(book)
    tallies = book.tallies()
    assert {model: tally.processed for model, tally in tallies.items()} == left
    for model, count in left.items():
        if not count:
            assert astuple(tallies[model]) == astuple(Tally(since=clock.time))


def test_the_first_time_after_a_reset_is_the_mean(book: TallyBook) -> None:
    book.processed(MODEL, waited_ms=0.0, held_ms=100.0)
    book.reset()
    book.processed(MODEL, waited_ms=0.0, held_ms=10.0)
    assert tally_of(book).recent_held_ms == pytest.approx(10.0)


def test_the_model_used_longest_ago_makes_room(book: TallyBook, clock: HandClock) -> None:
    used_one_after_the_other(book, clock, "a", "b", "c", "a", "d")
    assert list(book.tallies()) == ["a", "c", "d"]


def test_a_model_in_use_does_not_make_room(
    pair: tuple[TallyBook, SlotTable], clock: HandClock
) -> None:
    book, table = pair
    entered(table, 1, limits(), model="a")
    used_one_after_the_other(book, clock, "a", "b", "c", "d")
    assert list(book.tallies()) == ["a", "c", "d"]


def test_if_all_are_in_use_the_one_used_longest_ago_makes_room(
    pair: tuple[TallyBook, SlotTable], clock: HandClock
) -> None:
    book, table = pair
    for model in "abc":
        entered(table, 1, limits(), model=model)
    used_one_after_the_other(book, clock, "a", "b", "c", "d")
    assert list(book.tallies()) == ["b", "c", "d"]
