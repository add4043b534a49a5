from ogp.routing.explain import explained
from ogp.routing.plan import Candidate, Need, Plan, Wish
from ogp.routing.ranking import ORDERS, Load
from ogp.routing.server import Server
from ogp.routing.sizes import Size

A = Server("a", "http://secret:1", priority=2)
B = Server("b", "http://secret:2", max_memory_gb=8, place=1)
SIZE = Size(4.25, "listed")


def ranked(
    strategy: str, *pairs: tuple[Candidate, Load]
) -> list[tuple[Candidate, tuple[float, ...]]]:
    order = ORDERS[strategy]
    found = [(candidate, order(candidate, load, "m", 0.0)) for candidate, load in pairs]
    return sorted(found, key=lambda pair: pair[1])


def test_each_candidate_is_told_what_decided() -> None:
    first, second = Candidate(A), Candidate(B, is_crowded=True)
    plan = Plan(Wish("m"), SIZE, (first, second), (("c", "disabled"),))
    strategy = "priority_with_memory"
    pairs = ranked(strategy, (first, Load()), (second, Load(active=1, paces={"m": 5})))
    document = explained(plan, pairs, strategy)
    assert (document["server"], document["size_gb"], document["rule"]) == ("b", 4.25, None)
    won, lost, excluded = document["candidates"]
    assert (won["server"], won["result"], won["why"]) == ("b", "won", "priority, against a")
    assert won["memory"] == "to be loaded, pushing out a model in use"
    assert (won["load"], won["first_byte_ms_below"]) == (1.0, 32)
    assert (lost["server"], lost["result"], lost["why"]) == ("a", "lost", "priority, against b")
    assert excluded == {"server": "c", "result": "excluded", "why": "disabled"}
    assert "secret" not in str(document)


def test_the_only_candidate_has_nothing_to_win_against() -> None:
    only = Candidate(A, is_trial=True)
    pairs = ranked("round_robin", (only, Load(active=1, turn=2.5)))
    document = explained(Plan(Wish("m"), SIZE, (only,)), pairs, "round_robin")
    (entry,) = document["candidates"]
    assert entry["why"] == "nobody else can take it"
    assert (entry["available"], entry["turn"]) == ("on trial, and in use", 2.5)


def test_a_rule_that_left_no_choice_is_named() -> None:
    only = Candidate(A)
    plan = Plan(Wish("m", Need.MODEL, assigned="a"), SIZE, (only,), rule="assigned")
    document = explained(plan, ranked("least_loaded", (only, Load())), "least_loaded")
    assert document["candidates"][0]["why"] == "assigned"


def test_without_candidates_nobody_wins() -> None:
    document = explained(Plan(Wish("m"), SIZE, (), (("a", "draining"),)), [], "least_loaded")
    assert document["server"] is None
    assert document["candidates"] == [{"server": "a", "result": "excluded", "why": "draining"}]
