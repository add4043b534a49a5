from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from ogp.cli.doctor_flow import Flow, document_of, flow_of, is_delayed
from ogp.cli.doctor_reply import Piece, Reply

MORNING = datetime(2026, 1, 1, tzinfo=UTC)


def reply_of(*pieces: bytes) -> Reply:
    """Each piece a second after the one before; the first a second after the request."""
    times = count(1)
    return Reply(200, (), 0.0, tuple(Piece(float(next(times)), piece) for piece in pieces))


def test_an_event_is_there_when_its_end_is() -> None:
    flow = flow_of(reply_of(b'{"a"', b':1}\n{"b":2}\n{"c"', b":3}\n\n"), b"\n")
    assert flow.events == [(2.0, b'{"a":1}'), (2.0, b'{"b":2}'), (3.0, b'{"c":3}')]
    assert (flow.arrivals, flow.first_ms, flow.over_s) == (2, 2000.0, 1.0)


def test_a_last_event_without_its_end_counts() -> None:
    assert flow_of(reply_of(b"a\n\nb"), b"\n\n").events == [(1.0, b"a"), (1.0, b"b")]


def test_no_body_is_no_event() -> None:
    assert flow_of(reply_of(), b"\n").events == []


def line(made_s: float) -> bytes:
    return b'{"created_at":"%s"}' % (MORNING + timedelta(seconds=made_s)).isoformat().encode()


def timed(*times: tuple[float, float]) -> Flow:
    """Events by the second in which they were made and in which they came."""
    return Flow([(came_s, line(made_s)) for made_s, came_s in times], 0.0)


def test_events_that_come_when_they_are_made_are_not_delayed() -> None:
    delayed, how = is_delayed(timed(*((n, 1000 + n + 0.01) for n in range(10))))
    assert delayed is False
    assert how == "one was held for 0 of 9000 ms"


def test_events_that_come_together_at_the_end_were_buffered() -> None:
    delayed, how = is_delayed(timed(*((n, 1009.0) for n in range(10))))
    assert delayed is True
    assert how == "one was held for 9000 of 9000 ms"


def test_a_buffer_that_is_emptied_twice_is_one() -> None:
    assert is_delayed(timed(*((n, 6.0 if n < 6 else 9.0) for n in range(10))))[0] is True


@pytest.mark.parametrize("pause_s", [2.0, 6.0])
def test_a_pause_of_a_busy_machine_is_no_buffer(pause_s: float) -> None:
    assert is_delayed(timed(*((n, max(n, pause_s)) for n in range(20))))[0] is False


def test_events_that_are_let_go_one_after_the_other_come_at_once() -> None:
    flow = Flow([(5.0 + n / 1000, b"data: {}") for n in range(10)], 0.0)
    assert flow.arrivals == 1
    assert is_delayed(flow)[0] is True
    assert Flow([], 0.0).arrivals == 0


def test_few_events_tell_nothing() -> None:
    assert is_delayed(timed(*((n, 7.0) for n in range(7)))) == (None, "only 7 events")


def test_events_made_at_once_tell_nothing() -> None:
    delayed, how = is_delayed(timed(*((n / 1000, 5.0) for n in range(10))))
    assert delayed is None
    assert "too fast" in how


def test_without_times_of_their_making_arrivals_tell() -> None:
    one_by_one = Flow([(float(n), b"data: {}") for n in range(10)], 0.0)
    at_once = Flow([(9.0, b"data: {}") for n in range(10)], 0.0)
    soon = Flow([(0.05, b"data: {}") for n in range(10)], 0.0)
    assert is_delayed(one_by_one) == (False, "one by one")
    assert is_delayed(at_once) == (True, "several at once")
    assert is_delayed(soon)[0] is None


@pytest.mark.parametrize("made", [b"5", b'"soon"', b'"9999999-01-01"', b"null"])
def test_times_that_are_none_are_not_looked_at(made: bytes) -> None:
    flow = Flow([(float(n), b'{"created_at":%s}' % made) for n in range(10)], 0.0)
    assert flow.held_s() is None


def test_times_that_are_all_the_same_are_not_looked_at() -> None:
    assert timed(*((5.0, n) for n in range(10))).held_s() is None


def test_times_with_nanoseconds_are_read() -> None:
    raw = b'{"created_at":"2026-11-20T19:42:4%d.499913331Z"}'
    flow = Flow([(float(n), raw % n) for n in range(9)], 0.0)
    held = flow.held_s()
    assert held is not None
    assert held[1] == pytest.approx(8.0)


def test_the_flow_is_told_in_words() -> None:
    words = Flow([(1.0, b"a"), (1.0, b"b"), (1.5, b"c")], 0.5).words()
    assert words == "3 events in 2 arrivals over 500 ms, the first after 500 ms"


@pytest.mark.parametrize(
    ("raw", "document"),
    [
        (b'{"a":1}', {"a": 1}),
        (b'event: x\ndata: {"a":1}', {"a": 1}),
        (b"data: [DONE]", {}),
        (b"data: [1]", {}),
        (b": comment", {}),
        (b"", {}),
    ],
)
def test_documents_are_read_in_both_framings(raw: bytes, document: object) -> None:
    assert document_of(raw) == document
