"""The gate before the hash: one computation per question, few at once, short lines."""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock

import pytest

from ogp.auth.gate import HashGate
from ogp.auth.verified import Proof
from ogp.core.errors import RateLimitError

WAIT_S = 10


class SlowCompare:
    """A comparison that lasts until it is released, and counts itself."""

    def __init__(self, *, answer: bool = True, expected: int = 1) -> None:
        self._lock = Lock()
        self._answer, self._expected = answer, expected
        self.calls = self.running = self.most_running = 0
        self.entered = Event()
        self.release = Event()

    def __call__(self) -> bool:
        with self._lock:
            self.calls += 1
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            if self.running >= self._expected:
                self.entered.set()
        assert self.release.wait(WAIT_S)
        with self._lock:
            self.running -= 1
        return self._answer


def proof(name: str) -> Proof:
    return Proof.of(name, "hash")


@pytest.mark.parametrize("answer", [True, False])
def test_answer_is_that_of_the_comparison(answer: bool) -> None:
    assert HashGate(at_once=1, max_per_id=1).ask("id", proof("a"), lambda: answer) is answer


def test_same_question_asked_at_once_is_computed_once() -> None:
    gate, compare = HashGate(at_once=2, max_per_id=8), SlowCompare()
    with ThreadPoolExecutor(32) as pool:
        answers = [pool.submit(gate.ask, "id", proof("a"), compare) for _ in range(32)]
        assert compare.entered.wait(WAIT_S)
        compare.release.set()
        assert all(answer.result(WAIT_S) for answer in answers)


def test_followers_do_not_compute_while_the_first_does() -> None:
    gate, compare = HashGate(at_once=2, max_per_id=8), SlowCompare()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(gate.ask, "id", proof("a"), compare)
        assert compare.entered.wait(WAIT_S)
        follower = pool.submit(gate.ask, "id", proof("a"), lambda: pytest.fail("computed twice"))
        assert not follower.done()
        compare.release.set()
        assert first.result(WAIT_S)
        assert follower.result(WAIT_S)


def test_no_more_comparisons_run_at_once_than_lanes() -> None:
    gate, compare = HashGate(at_once=2, max_per_id=8), SlowCompare(expected=2)
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(gate.ask, f"id{n}", proof(str(n)), compare) for n in range(6)]
        assert compare.entered.wait(WAIT_S)
        compare.release.set()
        assert all(answer.result(WAIT_S) for answer in answers)
    assert compare.calls == 6
    assert compare.most_running == 2


def test_further_questions_about_one_id_are_turned_away() -> None:
    gate, compare = HashGate(at_once=2, max_per_id=2), SlowCompare(expected=2)
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(gate.ask, "id", proof(str(n)), compare) for n in range(2)]
        assert compare.entered.wait(WAIT_S)
        with pytest.raises(RateLimitError) as refused:
            gate.ask("id", proof("third"), compare)
        assert refused.value.retry_after_s == 1.0
        compare.release.set()
        assert all(answer.result(WAIT_S) for answer in running)


def test_question_about_another_id_is_still_answered_meanwhile() -> None:
    gate, compare = HashGate(at_once=2, max_per_id=1), SlowCompare()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(gate.ask, "id", proof("a"), compare)
        assert compare.entered.wait(WAIT_S)
        assert gate.ask("other", proof("b"), lambda: True)
        compare.release.set()
        assert running.result(WAIT_S)


def test_place_is_free_again_after_the_answer() -> None:
    gate = HashGate(at_once=1, max_per_id=1)
    for number in range(3):
        assert gate.ask("id", proof(str(number)), lambda: True)


def test_nothing_is_kept_of_an_answered_question() -> None:
    gate = HashGate(at_once=1, max_per_id=1)
    gate.ask("id", proof("a"), lambda: True)
    assert not gate._flights
    assert not gate._per_id


def test_place_and_lane_are_free_again_after_an_error() -> None:
    gate = HashGate(at_once=1, max_per_id=1)
    for _ in range(2):
        with pytest.raises(OSError, match="broke"):
            gate.ask("id", proof("a"), broken)
    assert gate.ask("id", proof("a"), lambda: True)


def test_followers_get_the_error_of_the_first() -> None:
    gate, entered, release = HashGate(at_once=1, max_per_id=1), Event(), Event()

    def breaks_late() -> bool:
        entered.set()
        assert release.wait(WAIT_S)
        return broken()

    with ThreadPoolExecutor(2) as pool:
        first: Future[bool] = pool.submit(gate.ask, "id", proof("a"), breaks_late)
        assert entered.wait(WAIT_S)
        follower = pool.submit(gate.ask, "id", proof("a"), breaks_late)
        release.set()
        for answer in (first, follower):
            with pytest.raises(OSError, match="broke"):
                answer.result(WAIT_S)


def broken() -> bool:
    raise OSError("broke")
