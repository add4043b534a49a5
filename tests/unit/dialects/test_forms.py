import pytest

from ogp.dialects.forms import Body, Caller, Form, Framing, Streams


def make_form(**options: object) -> Form:
    return Form("chat", "POST", "/a", "/b", **options)  # type: ignore[arg-type]  # any of its fields


@pytest.mark.parametrize(
    ("streams", "asked", "is_stream"),
    [
        (Streams.NEVER, {"stream": True}, False),
        (Streams.IF_TRUE, {"stream": True}, True),
        (Streams.IF_TRUE, {"stream": False}, False),
        (Streams.IF_TRUE, {"stream": None}, False),
        (Streams.IF_TRUE, {}, False),
        (Streams.UNLESS_FALSE, {"stream": False}, False),
        (Streams.UNLESS_FALSE, {"stream": None}, True),
        (Streams.UNLESS_FALSE, {}, True),
    ],
)
def test_the_body_decides_whether_the_answer_is_a_stream(
    streams: Streams, asked: dict[str, object], is_stream: bool
) -> None:
    assert make_form(streams=streams).is_stream(asked) is is_stream


@pytest.mark.parametrize(
    ("options", "queued"),
    [
        ({}, True),
        ({"reaches_model": False}, False),
        ({"costs_time": False}, False),
        ({"caller": Caller.NOBODY}, False),
        ({"caller": Caller.MANAGER}, True),
    ],
)
def test_what_keeps_a_model_busy_waits_for_its_turn(
    options: dict[str, object], queued: bool
) -> None:
    assert make_form(**options).queued is queued


def test_by_default_a_route_is_for_users_scanned_and_one_document() -> None:
    form = make_form()
    assert (form.caller, form.body, form.framing) == (Caller.USER, Body.JSON, Framing.DOCUMENT)
    assert form.reaches_model
