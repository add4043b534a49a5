"""The order of a line, apart from any table: turns, forgetting, copies."""

import pytest

from ogp.core.slots import Claim
from ogp.core.types import Priority
from ogp.state.turns import SWEEP_FLOOR, Turns, Waiting

NOW = 100.0
PATIENCE_S = 60.0


class Line:
    """Turns, and numbers for those who come."""

    def __init__(self) -> None:
        self.turns: Turns[str] = Turns(PATIENCE_S)
        self.arrivals = 0

    def add(
        self, user: str, priority: Priority = Priority.INTERACTIVE, since: float = NOW
    ) -> Waiting[str]:
        self.arrivals += 1
        claim = Claim(user, priority=priority)
        waiting = Waiting(f"{user}{self.arrivals}", claim, since, self.arrivals)
        self.turns.add(waiting)
        return waiting


def drained(turns: Turns[str], now: float = NOW) -> list[str]:
    return [turns.take(now).ticket for _ in range(len(turns))]


def test_users_take_turns() -> None:
    line = Line()
    for user in "aaabbc":
        line.add(user)
    assert drained(line.turns) == ["a1", "b4", "c6", "a2", "b5", "a3"]


def test_a_request_leaves_from_the_middle() -> None:
    line = Line()
    _, middle, _ = (line.add("a") for _ in range(3))
    line.turns.discard(middle, NOW)
    assert drained(line.turns) == ["a1", "a3"]


def test_a_user_whose_last_request_left_has_no_turn() -> None:
    line = Line()
    only = line.add("a")
    line.add("b")
    line.turns.discard(only, NOW)
    assert (line.turns.waiting_of("a"), drained(line.turns)) == (0, ["b2"])


def test_how_many_of_a_user_wait_counts_both_classes() -> None:
    line = Line()
    line.add("a")
    line.add("a", Priority.BATCH)
    assert [line.turns.waiting_of(user) for user in "ab"] == [2, 0]


def test_taking_from_an_empty_line_is_an_error() -> None:
    with pytest.raises(IndexError):
        Turns[str](PATIENCE_S).take(NOW)


def test_a_user_who_did_not_have_to_wait_has_used_a_turn() -> None:
    line = Line()
    line.turns.serve(Claim("a"))
    line.add("a")
    line.add("b")
    assert drained(line.turns) == ["b2", "a1"]


def test_a_copy_goes_its_own_way() -> None:
    line = Line()
    for user in "aab":
        line.add(user, Priority.BATCH)
    copy = line.turns.copy()
    assert drained(copy, NOW + PATIENCE_S) == drained(line.turns, NOW + PATIENCE_S)


def test_old_batch_comes_by_age_when_it_ripens() -> None:
    line = Line()
    line.add("x")
    line.add("b", Priority.BATCH, since=NOW - PATIENCE_S + 1)
    line.add("a", Priority.BATCH, since=NOW - PATIENCE_S)
    assert drained(line.turns, NOW + 1) == ["x1", "a3", "b2"]


def test_a_restored_line_is_the_same() -> None:
    waiting = [Waiting(name, Claim(name[0]), NOW, int(name[1])) for name in ("a1", "a2", "b3")]
    users = [("a", 4.0, 7, 0), ("b", 3.5, 6, 0), ("gone", 9.0, 5, None)]
    turns = Turns.restored(PATIENCE_S, 3.0, users, waiting)
    assert (len(turns), drained(turns)) == (3, ["b3", "a1", "a2"])


def test_users_who_gain_nothing_by_it_are_forgotten() -> None:
    turns: Turns[str] = Turns(PATIENCE_S)
    for number in range(50 * SWEEP_FLOOR):
        turns.serve(Claim(f"user-{number}"))
        turns.serve(Claim("steady"))
    assert len(turns._users) <= 2 * SWEEP_FLOOR


def test_users_who_are_ahead_of_their_turn_are_not_forgotten() -> None:
    turns: Turns[str] = Turns(PATIENCE_S)
    turns.serve(Claim("a", weight=0.01))
    for number in range(10 * SWEEP_FLOOR):
        turns.serve(Claim(f"user-{number}", weight=100.0))
    turns.add(Waiting("a", Claim("a"), NOW, 1))
    turns.add(Waiting("b", Claim("b"), NOW, 2))
    assert drained(turns) == ["b", "a"]
