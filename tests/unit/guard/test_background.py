"""Long work beside the requests."""

import logging
from threading import Event

import pytest

from ogp.guard.background import Background

SOON_S = 5.0


def test_functions_run_one_after_the_other_in_their_order() -> None:
    background, gate, done = Background(), Event(), Event()
    ran: list[str] = []

    def first() -> None:
        assert gate.wait(SOON_S)
        ran.append("first")

    background.run(first)
    background.run(lambda: ran.append("second"))
    background.run(done.set)
    assert ran == []
    gate.set()
    assert done.wait(SOON_S)
    assert ran == ["first", "second"]


@pytest.mark.parametrize("error", [ValueError("marker"), SystemExit("marker")])
def test_the_next_runs_although_one_raised(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    background, done = Background(), Event()

    def fails() -> None:
        raise error

    with caplog.at_level(logging.DEBUG):
        background.run(fails)
        background.run(done.set)
        assert done.wait(SOON_S)
    assert caplog.messages == [f"guard background work failed: error={type(error).__name__}"]
    assert "marker" not in caplog.text


def test_it_works_again_after_it_was_idle() -> None:
    background = Background()
    for _ in range(20):
        done = Event()
        background.run(done.set)
        assert done.wait(SOON_S)


def test_what_has_not_begun_is_forgotten_at_the_stop() -> None:
    background, gate, running, after = Background(), Event(), Event(), Event()
    ran: list[str] = []

    def first() -> None:
        running.set()
        assert gate.wait(SOON_S)

    background.run(first)
    assert running.wait(SOON_S)
    background.run(lambda: ran.append("never"))
    background.stop()
    background.run(after.set)
    gate.set()
    assert after.wait(SOON_S)
    assert ran == []
