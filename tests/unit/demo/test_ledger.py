"""Counting what runs, and waiting for it."""

from threading import Thread

import pytest

from ogp.demo.connection import ClientGoneError, HangUpError
from ogp.demo.ledger import Ledger, RecordedRequest


def make_ledger(keep_requests: int = 10, keep_bytes: int = 100) -> Ledger:
    return Ledger(keep_requests=keep_requests, keep_bytes=keep_bytes)


def request(path: str, body: bytes = b"") -> RecordedRequest:
    return RecordedRequest("POST", path, path, {}, (), body, None, 0.0)


def test_generation_is_active_until_it_says_that_it_finishes() -> None:
    ledger = make_ledger()
    with ledger.generation("m", "/p") as generation:
        assert (ledger.active("m"), ledger.active(), ledger.finished("m")) == (1, 1, 0)
        generation.finish()
        assert (ledger.active("m"), ledger.running) == (0, [])
        assert ledger.finished("m") == 0  # its last byte is not out yet
    assert (ledger.finished("m"), ledger.active()) == (1, 0)


def test_generation_stops_being_active_at_the_end_at_the_latest() -> None:
    ledger = make_ledger()
    with ledger.generation("m", "/p"):
        pass
    assert ledger.active("m") == 0


def test_most_at_once_is_kept_per_model_and_over_all() -> None:
    ledger = make_ledger()
    with ledger.generation("a", "/p"), ledger.generation("b", "/p"):
        pass
    with ledger.generation("a", "/p"):
        pass
    assert (ledger.max_active("a"), ledger.max_active("b"), ledger.max_active()) == (1, 1, 2)


def test_models_are_counted_under_one_spelling() -> None:
    ledger = make_ledger()
    with ledger.generation("Llama2:latest", "/p"):
        assert ledger.active("llama2") == 1


def test_unknown_model_counts_nothing() -> None:
    assert make_ledger().max_active("never") == 0


def test_client_that_left_is_kept_with_its_stage() -> None:
    ledger = make_ledger()
    with pytest.raises(ClientGoneError), ledger.generation("m", "/a"):
        raise ClientGoneError
    with pytest.raises(ClientGoneError), ledger.generation("m", "/b") as generation:
        generation.sent()
        raise ClientGoneError
    seen = [(left.model, left.path, left.stage) for left in ledger.disconnects]
    assert seen == [("m", "/a", "prefill"), ("m", "/b", "decode")]
    assert (ledger.active(), ledger.finished()) == (0, 0)


def test_client_that_left_before_the_last_byte_is_kept_though_no_longer_active() -> None:
    ledger = make_ledger()
    with pytest.raises(ClientGoneError), ledger.generation("m", "/a") as generation:
        generation.finish()
        raise ClientGoneError
    assert len(ledger.disconnects) == 1


def test_hanging_up_is_neither_an_end_nor_a_disconnect() -> None:
    ledger = make_ledger()
    with pytest.raises(HangUpError), ledger.generation("m", "/a"):
        raise HangUpError
    assert (ledger.finished(), ledger.disconnects) == (0, [])


def test_answer_that_is_no_generation_counts_for_no_model() -> None:
    ledger = make_ledger()
    with ledger.generation(None, "/api/tags"):
        assert ledger.active() == 0
        assert [running.path for running in ledger.running] == ["/api/tags"]
    assert ledger.finished() == 0


def test_only_the_newest_requests_are_kept() -> None:
    ledger = make_ledger(keep_requests=2)
    for path in ("/a", "/b", "/c"):
        ledger.record(request(path))
    assert [kept.path for kept in ledger.requests] == ["/b", "/c"]


def test_old_requests_go_when_bodies_grow_too_large() -> None:
    ledger = make_ledger(keep_bytes=100)
    for path in ("/a", "/b", "/c"):
        ledger.record(request(path, bytes(40)))
    assert [kept.path for kept in ledger.requests] == ["/b", "/c"]
    ledger.record(request("/d", bytes(1000)))
    assert [kept.path for kept in ledger.requests] == ["/d"]


def test_reset_forgets_the_past_but_not_what_runs() -> None:
    ledger = make_ledger()
    ledger.record(request("/a"))
    with ledger.generation("m", "/p"), ledger.generation("m", "/p"):
        pass
    with ledger.generation("m", "/p"):
        ledger.reset()
        assert (ledger.requests, ledger.max_active("m"), ledger.active("m")) == ([], 1, 1)
    assert (ledger.active("m"), ledger.finished("m")) == (0, 1)


def test_wait_ends_when_another_thread_makes_it_true() -> None:
    ledger = make_ledger()
    recorder = Thread(target=ledger.record, args=(request("/a"),))
    recorder.start()
    assert ledger.wait_for(lambda: ledger.requests, 5)
    recorder.join(5)


def test_wait_gives_up_in_time() -> None:
    assert not make_ledger().wait_for(lambda: False, 0.01)


def test_touch_lets_a_wait_look_again() -> None:
    ledger, seen = make_ledger(), []

    def change() -> None:
        seen.append(1)
        ledger.touch()

    changer = Thread(target=change)
    changer.start()
    assert ledger.wait_for(lambda: seen, 5)
    changer.join(5)


def test_figures_of_all_models() -> None:
    ledger = make_ledger()
    with ledger.generation("m", "/p"):
        assert ledger.tallies() == {"m": {"active": 1, "max_active": 1, "finished": 0}}
