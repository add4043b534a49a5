"""Who may run, the same for every table: limits, turns, hand-over, resizing, places."""

from collections import Counter
from collections.abc import Iterator

import pytest

from ogp.core.errors import QueueFullError
from ogp.core.slots import Place, SlotCounts, SlotTable
from ogp.core.types import Priority
from ogp.state.memory import MODELS_RESIZED
from tests.support.state_tables import (
    MODEL,
    PATIENCE_S,
    TABLES,
    Asking,
    HandClock,
    admitted,
    entered,
    grants,
    limits,
)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=TABLES)
def table(request: pytest.FixtureRequest, clock: HandClock) -> Iterator[SlotTable]:
    with TABLES[request.param](clock) as table:
        yield table


def batch(user: str = "ann") -> Asking:
    return Asking(user, priority=Priority.BATCH)


def entered_all(table: SlotTable, *tickets: Asking) -> tuple[Asking, ...]:
    for ticket in tickets:
        table.enter(MODEL, ticket, limits())
    return tickets


def served(table: SlotTable, running: Asking, waiting: list[Asking]) -> list[Asking]:
    """The order in which the waiting come up, one slot for all."""
    order = []
    while waiting:
        table.leave(MODEL, running)
        (running,) = (ticket for ticket in waiting if ticket.grants)
        waiting = [ticket for ticket in waiting if ticket is not running]
        order.append(running)
    return order


def users(tickets: list[Asking]) -> str:
    return "".join(ticket.claim.user for ticket in tickets)


def test_a_free_slot_is_granted_before_enter_returns(table: SlotTable) -> None:
    (ticket,) = entered(table, 1, limits())
    assert ticket.grants == 1


def test_no_more_run_than_the_limit_says(table: SlotTable) -> None:
    tickets = entered(table, 5, limits(parallel=2))
    assert grants(tickets) == [1, 1, 0, 0, 0]
    assert table.counts(MODEL) == SlotCounts(active=2, waiting=3)


def test_five_at_once_on_two_slots_and_one_place_refuses_two(table: SlotTable) -> None:
    given = limits(parallel=2, max_queue=1)
    assert [admitted(table, Asking(), given) for _ in range(5)].count(False) == 2
    assert table.counts(MODEL) == SlotCounts(active=2, waiting=1)


def test_a_refusal_names_the_model(table: SlotTable) -> None:
    entered(table, 1, limits(max_queue=0))
    with pytest.raises(QueueFullError) as refusal:
        table.enter(MODEL, Asking(), limits(max_queue=0))
    assert refusal.value.facts == {"model": MODEL}


def test_a_refusal_leaves_nothing_behind(table: SlotTable) -> None:
    ticket = Asking()
    assert not admitted(table, ticket, limits(parallel=0, max_queue=0))
    table.leave(MODEL, ticket)
    assert table.counts(MODEL) == SlotCounts(active=0, waiting=0)


def test_a_slot_given_back_goes_to_the_longest_waiting(table: SlotTable) -> None:
    tickets = entered(table, 3, limits())
    table.leave(MODEL, tickets[0])
    assert grants(tickets) == [1, 1, 0]


def test_a_newcomer_cannot_overtake_a_waiter(table: SlotTable) -> None:
    first, waiter = entered(table, 2, limits())
    table.leave(MODEL, first)
    (newcomer,) = entered(table, 1, limits())
    assert (waiter.grants, newcomer.grants) == (1, 0)


def test_one_user_is_served_in_order_of_arrival(table: SlotTable) -> None:
    running, *waiting = entered(table, 6, limits())
    assert served(table, running, waiting) == waiting


def test_users_take_turns(table: SlotTable) -> None:
    running, *busy = entered(table, 4, limits(), user="a")
    waiting = busy + entered(table, 2, limits(), user="b") + entered(table, 1, limits(), user="c")
    assert users(served(table, running, waiting)) == "bcabaa"


def test_a_user_with_hundreds_waiting_holds_up_another_by_one_turn(table: SlotTable) -> None:
    given = limits(max_queue=500)
    running, *_ = entered(table, 201, given, user="a")
    (other,) = entered(table, 1, given, user="b")
    table.leave(MODEL, running)
    assert other.grants == 1


def test_turns_follow_the_weights(table: SlotTable) -> None:
    given = limits(max_queue=1000)
    (running,) = entered(table, 1, given, user="other")
    heavy = [Asking("a", weight=2.0) for _ in range(300)]
    light = [Asking("b", weight=1.0) for _ in range(300)]
    for pair in zip(heavy, light, strict=True):
        for ticket in pair:
            table.enter(MODEL, ticket, given)
    order: list[str] = []
    for ticket in heavy + light:
        ticket._noted = lambda granted: order.append(granted.claim.user)
    everybody = [running, *heavy, *light]
    for _ in range(300):
        holder = next(ticket for ticket in everybody if ticket.grants)
        everybody.remove(holder)
        table.leave(MODEL, holder)
    assert Counter(order) == {"a": 200, "b": 100}


def test_absence_saves_nothing_up(table: SlotTable) -> None:
    given = limits(max_queue=50)
    running, *waiting = entered(table, 20, given, user="a")
    for _ in range(10):
        table.leave(MODEL, running)
        running = waiting.pop(0)
    waiting += entered(table, 5, given, user="b")
    assert users(served(table, running, waiting)[:6]) in ("bababa", "ababab")


def test_requests_that_leave_unserved_cost_their_user_nothing(table: SlotTable) -> None:
    running, *busy = entered(table, 4, limits(), user="a")
    for ticket in entered(table, 5, limits(), user="b"):
        table.leave(MODEL, ticket)
    busy += entered(table, 1, limits(), user="b")
    assert users(served(table, running, busy)) == "baaa"


def test_batch_comes_after_all_interactive_ones(table: SlotTable) -> None:
    running, *waiting = entered_all(table, Asking("a"), batch("a"), batch("b"))
    waiting += entered_all(table, Asking("c"), Asking("a"), Asking("c"))
    order = served(table, running, waiting)
    assert [ticket.claim.priority for ticket in order] == 3 * ["interactive"] + 2 * ["batch"]


def test_batch_users_take_turns_too(table: SlotTable) -> None:
    running, *waiting = entered_all(table, Asking("x"), *(batch(user) for user in "aaabb"))
    assert users(served(table, running, waiting)) == "ababa"


def test_batch_that_waited_long_enough_takes_turns(table: SlotTable, clock: HandClock) -> None:
    running, old = entered_all(table, Asking("a"), batch("b"))
    busy = entered(table, 5, limits(), user="a")
    clock.time += PATIENCE_S
    table.leave(MODEL, running)
    assert (old.grants, grants(busy)) == (1, [0, 0, 0, 0, 0])


def test_batch_that_has_not_waited_long_enough_goes_on_waiting(
    table: SlotTable, clock: HandClock
) -> None:
    running, old = entered_all(table, Asking("a"), batch("b"))
    entered(table, 2, limits(), user="a")
    clock.time += PATIENCE_S - 0.1
    table.leave(MODEL, running)
    assert old.grants == 0


def test_many_old_batch_requests_do_not_crowd_out_the_others(
    table: SlotTable, clock: HandClock
) -> None:
    running, *waiting = entered_all(table, Asking("a"), *(batch("b") for _ in range(4)))
    clock.time += PATIENCE_S
    waiting += entered(table, 4, limits(), user="a")
    assert users(served(table, running, waiting)) == "babababa"


def test_a_user_serves_own_batch_only_after_own_interactive(table: SlotTable) -> None:
    running, later, sooner = entered_all(table, Asking("a"), batch("a"), Asking("a"))
    assert served(table, running, [later, sooner]) == [sooner, later]


def test_of_one_user_old_batch_comes_by_order_of_arrival(
    table: SlotTable, clock: HandClock
) -> None:
    running, first, old, last = entered_all(
        table, Asking("a"), Asking("a"), batch("a"), Asking("a")
    )
    clock.time += PATIENCE_S
    assert served(table, running, [first, old, last]) == [first, old, last]


def test_a_batch_request_behind_an_old_one_is_young_again(
    table: SlotTable, clock: HandClock
) -> None:
    running, old = entered_all(table, Asking("a"), batch("b"))
    clock.time += PATIENCE_S
    waiting = [old, *entered_all(table, batch("b"), Asking("a"), Asking("a"))]
    assert users(served(table, running, waiting)) == "baab"


def test_batch_is_young_again_when_the_old_one_left(table: SlotTable, clock: HandClock) -> None:
    running, old = entered_all(table, Asking("a"), batch("b"))
    clock.time += PATIENCE_S
    young, first, second = entered_all(table, batch("b"), Asking("c"), Asking("a"))
    table.leave(MODEL, running)
    table.leave(MODEL, old)
    assert served(table, first, [young, second]) == [second, young]


def test_one_user_may_not_take_more_places_than_the_cap(table: SlotTable) -> None:
    given = limits(max_queue=10, max_per_user=2)
    entered(table, 3, given, user="a")
    assert [admitted(table, Asking(user), given) for user in "ab"] == [False, True]


def test_the_cap_counts_those_that_wait_not_those_that_run(table: SlotTable) -> None:
    given = limits(parallel=3, max_per_user=1)
    assert [admitted(table, Asking("a"), given) for _ in range(5)] == [True] * 4 + [False]


def test_the_cap_counts_both_classes_together(table: SlotTable) -> None:
    given = limits(max_per_user=2)
    for ticket in (Asking("a"), Asking("a"), batch("a")):
        table.enter(MODEL, ticket, given)
    assert [admitted(table, ticket, given) for ticket in (Asking("a"), batch("a"))] == [False] * 2


def test_a_waiter_who_leaves_frees_its_place(table: SlotTable) -> None:
    _, waiter = entered(table, 2, limits(max_queue=1))
    table.leave(MODEL, waiter)
    entered(table, 1, limits(max_queue=1))
    assert table.counts(MODEL) == SlotCounts(active=1, waiting=1)


def test_a_waiter_who_left_is_never_granted(table: SlotTable) -> None:
    first, waiter, last = entered(table, 3, limits())
    table.leave(MODEL, waiter)
    table.leave(MODEL, first)
    assert (waiter.grants, last.grants) == (0, 1)


def test_leaving_twice_gives_back_once(table: SlotTable) -> None:
    tickets = entered(table, 3, limits())
    table.leave(MODEL, tickets[0])
    table.leave(MODEL, tickets[0])
    assert grants(tickets) == [1, 1, 0]


def test_leaving_a_model_nobody_uses_changes_nothing(table: SlotTable) -> None:
    (running,) = entered(table, 1, limits())
    table.leave("mistral", running)
    table.leave("mistral", Asking())
    assert table.counts(MODEL) == SlotCounts(active=1, waiting=0)


def test_models_do_not_share_slots(table: SlotTable) -> None:
    entered(table, 1, limits())
    (ticket,) = entered(table, 1, limits(), model="mistral")
    assert ticket.grants == 1


def test_all_who_wait_are_counted_over_the_models(table: SlotTable) -> None:
    entered(table, 3, limits())
    entered(table, 2, limits(), model="mistral")
    assert table.waiting() == 3


def test_a_raised_limit_grants_waiters_at_once(table: SlotTable) -> None:
    tickets = entered(table, 4, limits())
    table.resize(MODEL, limits(parallel=3))
    assert grants(tickets) == [1, 1, 1, 0]


def test_a_lowered_limit_lets_run_what_runs_and_drains(table: SlotTable) -> None:
    tickets = entered(table, 4, limits(parallel=3))
    table.resize(MODEL, limits(parallel=1))
    table.leave(MODEL, tickets[0])
    table.leave(MODEL, tickets[1])
    assert table.counts(MODEL) == SlotCounts(active=1, waiting=1)
    table.leave(MODEL, tickets[2])
    assert grants(tickets) == [1, 1, 1, 1]


def test_a_shorter_queue_keeps_those_who_wait_and_refuses_the_next(table: SlotTable) -> None:
    entered(table, 3, limits())
    table.resize(MODEL, limits(max_queue=1))
    assert not admitted(table, Asking(), limits())
    assert table.counts(MODEL).waiting == 2


def test_limits_given_later_do_not_undo_a_resize(table: SlotTable) -> None:
    entered(table, 1, limits())
    table.resize(MODEL, limits(parallel=2))
    entered(table, 2, limits())
    assert table.counts(MODEL) == SlotCounts(active=2, waiting=1)


def test_limits_of_an_idle_model_are_remembered(table: SlotTable) -> None:
    table.resize(MODEL, limits(parallel=2))
    for ticket in entered(table, 3, limits()):
        table.leave(MODEL, ticket)
    entered(table, 3, limits())
    assert table.counts(MODEL) == SlotCounts(active=2, waiting=1)


def test_configured_limits_may_change_and_let_in_first_those_who_wait(table: SlotTable) -> None:
    tickets = entered(table, 3, limits(parallel=1))
    (newcomer,) = entered(table, 1, limits(parallel=3))
    assert (grants(tickets), newcomer.grants) == ([1, 1, 1], 0)


def test_limits_that_were_set_can_be_asked_for(table: SlotTable) -> None:
    given = limits(parallel=7, max_queue=3, max_per_user=2)
    table.resize(MODEL, given)
    assert (table.limits(MODEL), table.limits("mistral")) == (given, None)
    assert table.resized() == {MODEL: given}


def test_limits_of_one_model_too_many_are_refused(table: SlotTable) -> None:
    for number in range(MODELS_RESIZED):
        table.resize(f"model-{number}", limits())
    with pytest.raises(ValueError, match=str(MODELS_RESIZED)):
        table.resize(MODEL, limits())
    table.resize("model-0", limits(parallel=9))
    assert table.limits("model-0") == limits(parallel=9)


def test_a_place_counts_those_who_come_up_before(table: SlotTable, clock: HandClock) -> None:
    running, *_ = entered(table, 6, limits(), user="a")
    mine = Asking("b", request_id="r1")
    entered_all(table, Asking("b"), mine)
    clock.time += 2.5
    assert table.place("r1") == Place(MODEL, mine.claim, ahead=2, waiting=7, waited_s=2.5)
    table.leave(MODEL, running)
    place = table.place("r1")
    assert place is not None
    assert (place.ahead, place.waiting) == (1, 6)


def test_a_place_behind_batch_requests_that_wait_long(table: SlotTable, clock: HandClock) -> None:
    entered_all(table, Asking("a"), batch("b"), Asking("c", request_id="r1"))
    place = table.place("r1")
    assert place is not None
    assert place.ahead == 0
    clock.time += PATIENCE_S
    entered_all(table, Asking("c", request_id="r2"))
    place = table.place("r2")
    assert place is not None
    assert place.ahead == 2


def test_asking_for_a_place_changes_nothing(table: SlotTable) -> None:
    running, *waiting = entered_all(
        table, Asking("a"), Asking("a"), batch("b"), Asking("b", request_id="r1")
    )
    table.place("r1")
    assert users(served(table, running, waiting)) == "bab"


@pytest.mark.parametrize("request_id", ["r1", "r9", ""])
def test_who_does_not_wait_has_no_place(table: SlotTable, request_id: str) -> None:
    entered_all(table, Asking(request_id="r1"), Asking(request_id=""))
    assert table.place(request_id) is None
