from typing import Any

import pytest

from ogp.routing.plan import Known, Need, Plan, ServerState, Wish, make_plan
from ogp.routing.sizes import SizeRules
from ogp.settings.routing_schema import RoutingSettings
from tests.support.fleet import known

SIZES = SizeRules(RoutingSettings())


def plan(*servers: Known, **wish: Any) -> Plan:
    wish.setdefault("model", "m")
    return make_plan(Wish(**wish), servers, SIZES)


def names(plan: Plan) -> list[str]:
    return [candidate.server.name for candidate in plan.candidates]


def test_those_that_have_the_model_can_take_it() -> None:
    found = plan(known("a", {"m": 1}), known("b", {"n": 1}), known("c", {"m": 1}))
    assert names(found) == ["a", "c"]
    assert found.refused == (("b", "does not have the model"),)


def test_a_server_that_is_too_small_is_left_out_with_the_numbers() -> None:
    found = plan(known("a", {"m": 9}, max_memory_gb=8), known("b", {"m": 9}, max_memory_gb=9))
    assert names(found) == ["b"]
    assert found.refused == (("a", "the model needs 9 GB (listed), it takes up to 8 GB"),)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"state": ServerState.DISABLED}, "disabled"),
        ({"state": ServerState.DRAINING}, "draining"),
        ({"is_up": False, "error": "timeout"}, "down (timeout)"),
        ({"is_up": False}, "down"),
    ],
)
def test_absent_servers_are_left_out(facts: dict[str, Any], reason: str) -> None:
    found = plan(known("a", {"m": 1}, **facts), known("b", {"m": 1}))
    assert names(found) == ["b"]
    assert found.refused == (("a", reason),)


def test_a_server_that_never_said_what_it_has_is_the_last_hope() -> None:
    assert names(plan(known("a"), known("b", {"m": 1}))) == ["b"]
    found = plan(known("a"), known("b", {}))
    assert names(found) == ["a"]
    assert found.refused == (("b", "does not have the model"),)


def test_a_silent_server_is_refused_with_its_reason_where_another_has_the_model() -> None:
    assert plan(known("a"), known("b", {"m": 1})).refused == (
        ("a", "has not said yet what it has"),
    )


def test_a_model_that_nobody_has_is_told_from_one_that_nobody_can_serve_now() -> None:
    assert not plan(known("a", {}), known("b", {})).is_installed
    assert plan(known("a", {"m": 1}, is_up=False), known("b", {})).is_installed
    assert plan(known("a", is_up=False), known("b", {})).is_installed
    silent = known("a", state=ServerState.DISABLED)
    assert not plan(silent, known("b", {}), known("c", {})).is_installed


def test_the_only_server_takes_everything_but_what_is_too_large() -> None:
    assert names(plan(known("a", {"n": 1}, is_up=False))) == ["a"]
    assert names(plan(known("a", {"m": 9}, max_memory_gb=8))) == []
    assert names(plan(known("a", {"m": 1}, state=ServerState.DRAINING))) == []


def test_an_assignment_comes_before_sizes_and_listings() -> None:
    small = known("small", {}, max_memory_gb=0.5)
    found = plan(known("big", {"m": 1}), small, assigned="small")
    assert (names(found), found.rule) == (["small"], "assigned")


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (known("small", {"m": 1}, is_up=False), "assigned, but down"),
        (known("small", state=ServerState.DISABLED), "assigned, but disabled"),
        (known("other", {"m": 1}), "assigned, but there is no such server"),
    ],
)
def test_an_assigned_server_that_cannot_is_named(server: Known, reason: str) -> None:
    found = plan(known("big", {"m": 1}), server, assigned="small")
    assert names(found) == []
    assert found.refused == (("small", reason),)


def test_by_choice_the_other_rules_decide_instead() -> None:
    away = known("small", {"m": 1}, is_up=False)
    found = plan(known("big", {"m": 1}), away, assigned="small", has_fallback=True)
    assert (names(found), found.rule) == (["big"], None)
    assert found.refused == (("small", "assigned, but down"),)


def test_who_asks_for_a_server_gets_it_in_any_state() -> None:
    away = known("small", {}, is_up=False, state=ServerState.DISABLED, max_memory_gb=0.1)
    found = plan(known("big", {"m": 1}), away, asked="small", assigned="big")
    assert (names(found), found.rule) == (["small"], "asked")


def test_what_only_reads_a_model_looks_at_no_limit() -> None:
    servers = known("a", {"m": 9}, max_memory_gb=8), known("b", {})
    assert names(plan(*servers, need=Need.HOLDER)) == ["a"]
    assert not plan(known("a", {}), known("b", {}), need=Need.HOLDER).candidates


def test_a_model_is_installed_where_it_is_or_where_there_is_room() -> None:
    sized = known("a", {"m": 9}), known("b", {}, max_memory_gb=8), known("c", {})
    assert names(plan(*sized, need=Need.INSTALL)) == ["a"]
    assert names(plan(*sized[1:], model="new", need=Need.INSTALL)) == ["b", "c"]


def test_files_and_what_is_made_of_them_go_to_the_same_server() -> None:
    servers = known("a", priority=2), known("b", priority=1, place=1), known("c", {"m": 1}, place=2)
    assert names(plan(*servers, need=Need.BASE)) == ["b"]
    assert names(plan(*servers, model="", need=Need.BASE)) == ["b"]
    assert names(plan(*(known("a", is_up=False), known("b", is_up=False)), need=Need.BASE)) == []


def test_what_names_no_model_goes_anywhere() -> None:
    assert names(plan(known("a", {}), known("b"), model="", need=Need.ANY)) == ["a", "b"]


def test_what_is_in_memory_and_what_would_be_pushed_out_is_seen() -> None:
    servers = (
        known("a", {"m": 5, "n": 5}, "m", max_memory_gb=8),
        known("b", {"m": 5, "n": 5}, "n", max_memory_gb=8),
        known("c", {"m": 5, "n": 3}, "n", max_memory_gb=8),
        known("d", {"m": 5, "n": 5}, "n"),
    )
    found = plan(*servers).candidates
    assert [c.is_resident for c in found] == [True, False, False, False]
    assert [c.is_crowded for c in found] == [False, True, False, False]


def test_the_size_is_that_of_the_largest_listing() -> None:
    found = plan(known("a", {"m": 1}), known("b", {"m": 2}), known("c", {"m": None}))
    assert (found.size.gb, found.size.source) == (2, "listed")
