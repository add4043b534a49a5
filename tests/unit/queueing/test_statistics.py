"""What is counted, and how little is remembered."""

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import ClientGoneError, QueueFullError, RequestTimeoutError
from ogp.queueing.statistics import Ledger, Tally


class SetClock(SystemClock):
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


def pass_through(ledger: Ledger, model: str, *, waited_s: float = 0.0) -> None:
    with ledger.visit(model) as visit:
        visit.waited_s, visit.granted_at = waited_s, 0.0


def test_a_request_that_had_its_slot_is_processed() -> None:
    clock = SetClock()
    ledger = Ledger(clock, 8)
    with ledger.visit("llama3") as visit:
        visit.waited_s, visit.granted_at = 0.5, 1.0
        clock.now_s = 3.0
    tally = ledger.snapshot()["llama3"]
    assert (tally.processed, tally.rejected) == (1, 0)
    assert (tally.avg_wait_ms, tally.avg_held_ms) == (500.0, 2000.0)


def test_a_request_that_failed_in_its_slot_is_processed() -> None:
    ledger = Ledger(SetClock(), 8)
    with pytest.raises(RequestTimeoutError), ledger.visit("llama3") as visit:
        visit.granted_at = 0.0
        raise RequestTimeoutError("llama3")
    tally = ledger.snapshot()["llama3"]
    assert (tally.processed, tally.rejected) == (1, 0)


@pytest.mark.parametrize("refusal", [QueueFullError, RequestTimeoutError])
def test_a_refusal_of_the_queue_is_a_rejection(
    refusal: type[QueueFullError] | type[RequestTimeoutError],
) -> None:
    ledger = Ledger(SetClock(), 8)
    with pytest.raises(refusal), ledger.visit("llama3"):
        raise refusal("llama3")
    tally = ledger.snapshot()["llama3"]
    assert (tally.processed, tally.rejected) == (0, 1)


def test_a_client_that_left_while_waiting_is_no_rejection() -> None:
    ledger = Ledger(SetClock(), 8)
    with pytest.raises(ClientGoneError), ledger.visit("llama3"):
        raise ClientGoneError("gone")
    tally = ledger.snapshot()["llama3"]
    assert (tally.processed, tally.rejected, tally.present) == (0, 0, 0)


def test_means_are_over_all_processed_requests() -> None:
    ledger = Ledger(SetClock(), 8)
    pass_through(ledger, "llama3", waited_s=0.1)
    pass_through(ledger, "llama3", waited_s=0.3)
    assert ledger.snapshot()["llama3"].avg_wait_ms == 200.0


def test_means_of_nothing_are_zero() -> None:
    tally = Tally(since=0.0)
    assert (tally.avg_wait_ms, tally.avg_held_ms) == (0.0, 0.0)


def test_the_idle_model_used_longest_ago_is_forgotten() -> None:
    ledger = Ledger(SetClock(), 2)
    for model in ("a", "b", "a", "c"):
        pass_through(ledger, model)
    assert list(ledger.snapshot()) == ["a", "c"]


def test_a_model_in_use_is_not_forgotten() -> None:
    ledger = Ledger(SetClock(), 1)
    with ledger.visit("a"):
        pass_through(ledger, "b")
        assert list(ledger.snapshot()) == ["a"]


def test_models_beyond_the_bound_go_when_their_last_request_does() -> None:
    ledger = Ledger(SetClock(), 1)
    with ledger.visit("a"):
        with ledger.visit("b"):
            assert list(ledger.snapshot()) == ["a", "b"]
        assert list(ledger.snapshot()) == ["a"]


def test_invented_names_do_not_grow_memory() -> None:
    ledger = Ledger(SetClock(), 16)
    for number in range(1000):
        pass_through(ledger, f"invented-{number}")
    assert len(ledger.snapshot()) == 16


def test_a_snapshot_does_not_change_afterwards() -> None:
    ledger = Ledger(SetClock(), 8)
    pass_through(ledger, "llama3")
    before = ledger.snapshot()["llama3"]
    pass_through(ledger, "llama3")
    assert before.processed == 1
