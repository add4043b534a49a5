from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from ogp.core.errors import ClientGoneError, RequestTimeoutError
from ogp.core.exchange import Cancellation, Exchange
from ogp.core.types import Outcome

GONE = ClientGoneError("gone")


class FixedClock:
    def __init__(self) -> None:
        self.time = 100.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return datetime.fromtimestamp(1000.0 + self.time, UTC)


def make_exchange(clock: FixedClock | None = None, timeout_s: float = 5.0) -> Exchange:
    return Exchange(
        request_id="r1",
        method="POST",
        path="/api/chat",
        clock=clock or FixedClock(),
        timeout_s=timeout_s,
    )


def test_cancel_ends_the_current_wait() -> None:
    cancellation, ended = Cancellation(), []
    with cancellation.interrupt(lambda: ended.append(1)):
        cancellation.cancel(GONE)
    assert ended == [1]


def test_a_wait_that_begins_after_the_cancel_ends_at_once() -> None:
    cancellation, ended = Cancellation(), []
    cancellation.cancel(GONE)
    with cancellation.interrupt(lambda: ended.append(1)):
        assert ended == [1]


def test_cancel_after_the_wait_does_not_touch_what_was_given_back() -> None:
    cancellation, ended = Cancellation(), []
    with cancellation.interrupt(lambda: ended.append(1)):
        pass
    cancellation.cancel(GONE)
    assert ended == []


def test_the_first_reason_counts_and_is_raised() -> None:
    cancellation = Cancellation()
    cancellation.check()
    cancellation.cancel(GONE)
    cancellation.cancel(RequestTimeoutError("m"))
    with pytest.raises(ClientGoneError):
        cancellation.check()
    assert cancellation.error is GONE


def test_inner_waits_end_before_outer_ones() -> None:
    cancellation, ended = Cancellation(), []
    with (
        cancellation.interrupt(lambda: ended.append("outer")),
        cancellation.interrupt(lambda: ended.append("inner")),
    ):
        cancellation.cancel(GONE)
    assert ended == ["inner", "outer"]


def test_release_gives_back_last_in_first_out_and_once() -> None:
    exchange, given_back = make_exchange(), []

    @contextmanager
    def borrowed(name: str) -> Iterator[str]:
        yield name
        given_back.append(name)

    assert exchange.enter(borrowed("slot")) == "slot"
    exchange.enter(borrowed("connection"))
    exchange.callback(lambda: given_back.append("callback"))
    exchange.release()
    exchange.release()
    assert given_back == ["callback", "connection", "slot"]


def test_remaining_time_counts_from_arrival_and_stops_at_zero() -> None:
    clock = FixedClock()
    exchange = make_exchange(clock, timeout_s=5.0)
    clock.time += 2.0
    assert exchange.remaining_s() == 3.0
    assert exchange.elapsed_ms() == 2000.0
    clock.time += 10.0
    assert exchange.remaining_s() == 0.0


def test_the_first_outcome_counts() -> None:
    exchange = make_exchange()
    exchange.ended(Outcome.UPSTREAM_FAILED)
    exchange.ended(Outcome.COMPLETE)
    assert exchange.record.outcome is Outcome.UPSTREAM_FAILED


def test_the_final_record_has_its_times_and_sizes() -> None:
    clock = FixedClock()
    exchange = make_exchange(clock)
    exchange.note(model="llama2")
    exchange.answer_bytes += 42
    clock.time += 0.25
    record = exchange.finish_record()
    assert (record.request_id, record.model) == ("r1", "llama2")
    assert record.created_at == 1100.0
    assert record.finished_at == 1100.25
    assert record.response_time_ms == 250.0
    assert record.response_bytes == 42
    assert exchange.request_id == "r1"
