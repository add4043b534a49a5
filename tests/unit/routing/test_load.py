from ogp.core.clock import SystemClock
from ogp.routing.load import MAX_PACES, Loads
from ogp.routing.plan import Candidate
from ogp.routing.ranking import ORDERS
from ogp.routing.server import Server

A, B = Server("a", "http://a"), Server("b", "http://b", weight=2, place=1)
BOTH = [Candidate(A), Candidate(B)]
FEWEST, TURNS = ORDERS["least_loaded"], ORDERS["round_robin"]


def make_loads() -> Loads:
    return Loads(["a", "b"], SystemClock())


def test_what_is_taken_counts_until_it_is_given_back() -> None:
    loads = make_loads()
    first, was_loaded = loads.take(BOTH, "m", FEWEST)
    assert (first.server.name, was_loaded) == ("a", False)
    second, _ = loads.take(BOTH, "m", FEWEST)
    assert second.server.name == "b"
    assert loads.active() == {"a": 1, "b": 1}
    loads.give_back("a", "m")
    loads.give_back("b", "m")
    assert loads.active() == {"a": 0, "b": 0}


def test_simultaneous_requests_for_a_cold_model_go_to_one_server() -> None:
    loads = make_loads()
    rule = ORDERS["priority_with_memory"]
    taken = [loads.take(BOTH, "m", rule) for _ in range(5)]
    assert {candidate.server.name for candidate, _ in taken} == {"a"}
    assert [was_loaded for _, was_loaded in taken] == [False, True, True, True, True]
    other, _ = loads.take(BOTH, "n", rule)
    assert other.server.name == "b"


def test_turns_are_shared_by_weight() -> None:
    loads = make_loads()
    names = [loads.take(BOTH, "m", TURNS)[0].server.name for _ in range(9)]
    assert (names.count("a"), names.count("b")) == (3, 6)


def test_a_server_that_comes_late_makes_up_for_nothing() -> None:
    loads = make_loads()
    for _ in range(10):
        loads.take(BOTH[:1], "m", TURNS)
    names = [loads.take(BOTH, "m", TURNS)[0].server.name for _ in range(8)]
    late = loads.take([Candidate(B)], "m", TURNS)
    assert late[0].server.name == "b"
    assert "b" in names


def test_a_server_that_said_it_is_busy_comes_later() -> None:
    loads = make_loads()
    loads.busy("a")
    assert loads.take(BOTH, "m", FEWEST)[0].server.name == "b"


def test_one_late_byte_turns_nothing_round_but_many_do() -> None:
    loads = make_loads()
    loads.timed("a", "m", 10.0)
    loads.timed("b", "m", 12.0)
    rule = ORDERS["priority_with_memory"]
    assert loads.ranked(BOTH, "m", rule)[0][0].server.name == "a"
    for _ in range(3):
        loads.timed("a", "m", 900.0)
    assert loads.ranked(BOTH, "m", rule)[0][0].server.name == "b"


def test_times_of_endless_models_are_forgotten() -> None:
    loads = make_loads()
    for number in range(MAX_PACES + 1):
        loads.timed("a", str(number), 1.0)
    order = loads.ranked([Candidate(A)], "0", ORDERS["priority_with_memory"])[0][1]
    assert order[4] == 0


def test_ranking_counts_nothing() -> None:
    loads = make_loads()
    assert [c.server.name for c, _ in loads.ranked(BOTH, "m", FEWEST)] == ["a", "b"]
    assert loads.active() == {"a": 0, "b": 0}
