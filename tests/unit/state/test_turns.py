"""The order of a line: FIFO for a user, users in turn."""

from dataclasses import dataclass

import pytest

from ogp.state.turns import Turns


@dataclass(frozen=True, eq=False)
class Place:
    user: str
    number: int = 0

    def grant(self) -> None:
        raise AssertionError("a line grants nothing")


def line_of(*users: str) -> tuple[Turns, list[Place]]:
    places = [Place(user, number) for number, user in enumerate(users)]
    turns = Turns()
    for place in places:
        turns.add(place)
    return turns, places


def drained(turns: Turns) -> str:
    return "".join(turns.take().user for _ in range(len(turns)))


def test_one_user_is_served_in_order_of_arrival() -> None:
    turns, places = line_of("a", "a", "a")
    assert [turns.take() for _ in places] == places


def test_users_take_turns() -> None:
    turns, _ = line_of("a", "a", "a", "b", "b", "c")
    assert drained(turns) == "abcaba"


def test_a_user_who_comes_back_stands_behind_those_who_wait() -> None:
    turns, _ = line_of("a", "b", "c")
    assert turns.take().user == "a"
    turns.add(Place("a"))
    assert drained(turns) == "bca"


def test_a_ticket_leaves_from_the_middle() -> None:
    turns, places = line_of("a", "a", "a")
    turns.discard(places[1])
    assert [turns.take(), turns.take()] == [places[0], places[2]]


def test_a_user_whose_last_ticket_left_has_no_turn() -> None:
    turns, places = line_of("a", "b")
    turns.discard(places[0])
    assert (len(turns), drained(turns)) == (1, "b")


@pytest.mark.parametrize("user", ["a", "stranger"])
def test_discarding_a_ticket_that_does_not_wait_changes_nothing(user: str) -> None:
    turns, _ = line_of("a")
    turns.discard(Place(user))
    assert len(turns) == 1


def test_taking_from_an_empty_line_is_an_error() -> None:
    with pytest.raises(KeyError):
        Turns().take()


def test_equal_tickets_of_one_user_are_two_places() -> None:
    turns, places = line_of("a", "a")
    turns.discard(places[0])
    assert turns.take() is places[1]
