from ogp.routing.breaker import FAILURES, LONGEST_PAUSE_S, Breaker, BreakerState


def test_a_refused_connection_opens_at_once() -> None:
    assert Breaker().failed(is_certain=True).state is BreakerState.OPEN


def test_answers_that_break_off_open_after_some_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker = breaker.failed(is_certain=False)
        assert breaker.state is BreakerState.CLOSED
    assert breaker.failed(is_certain=False).state is BreakerState.OPEN
    assert breaker.answered().failed(is_certain=False).state is BreakerState.CLOSED


def test_a_good_probe_between_does_not_hide_failures() -> None:
    breaker = Breaker().failed(is_certain=False).probed(is_well=True).failed(is_certain=False)
    assert breaker.failed(is_certain=False).state is BreakerState.OPEN


def test_a_good_probe_lets_one_request_try_and_the_second_lets_all() -> None:
    trial = Breaker().probed(is_well=False).probed(is_well=True)
    assert trial.state is BreakerState.HALF_OPEN
    assert trial.probed(is_well=True) == Breaker()
    assert trial.answered() == Breaker()
    assert trial.failed(is_certain=False).state is BreakerState.OPEN


def test_pauses_grow_while_a_server_is_away_and_stay_below_the_usual_one() -> None:
    breaker, pauses = Breaker(), []
    assert breaker.pause_s(60) == 60
    for _ in range(20):
        breaker = breaker.probed(is_well=False)
        pauses.append(breaker.pause_s(60))
    assert pauses == sorted(pauses)
    assert pauses[0] == 1.0
    assert pauses[-1] == LONGEST_PAUSE_S
    assert breaker.pause_s(2) == 2
