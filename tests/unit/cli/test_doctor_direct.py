from functools import partial
from typing import Any

import pytest

from ogp.cli import doctor_direct
from ogp.cli.doctor_direct import answers, direct_of, models, overhead, streams
from ogp.cli.doctor_site import Finding, Result, Site
from ogp.cli.doctor_wire import Wire, parse_url
from tests.support.little_server import (
    WAIT_S,
    Answer,
    Asked,
    always,
    answer,
    chunked,
    little_server,
    site_of,
)


def compared(look: Any, theirs: Answer, ours: Answer) -> Finding:
    with (
        little_server(theirs) as server,
        site_of(ours, direct=Wire(parse_url(server.url), WAIT_S)) as site,
    ):
        found: Finding = look(site)
        assert all(asked.token == "" for asked in server.asked)
    return found


def listing(asked: Asked, *, tags: tuple[str, ...], data: tuple[str, ...]) -> bytes:
    if asked.path == "/api/tags":
        return answer(200, {"models": [{"name": name} for name in tags]})
    return answer(200, {"data": [{"id": name} for name in data]})


BOTH = partial(listing, tags=("a", "b"), data=("a", "b"))


def test_equal_lists_are_right() -> None:
    ours = partial(listing, tags=("b", "a"), data=("a", "b"))
    found = compared(models, BOTH, ours)
    assert (found.result, found.evidence) == (Result.OK, "2 models, the same in both lists")


@pytest.mark.parametrize(
    ("tags", "data", "told"),
    [
        (("a",), ("a", "b"), "/api/tags: 1 missing, 0 more"),
        (("a", "b"), ("a", "b", "c"), "/v1/models: 0 missing, 1 more"),
    ],
)
def test_lists_that_differ_are_told(
    tags: tuple[str, ...], data: tuple[str, ...], told: str
) -> None:
    found = compared(models, BOTH, partial(listing, tags=tags, data=data))
    assert found.result is Result.FAIL
    assert told in found.evidence


def test_no_list_at_all_is_told() -> None:
    assert compared(models, BOTH, always(answer(502))).result is Result.FAIL


@pytest.mark.parametrize("said", [answer(401), answer(200, {"models": 5}), answer(200, "x")])
def test_a_direct_server_without_list_is_none(said: bytes) -> None:
    assert compared(models, always(said), BOTH).result is Result.SKIPPED


SAID = {"message": {"role": "assistant", "content": "yes"}, "items": [{"a": 1}], "eval_count": 3}


def test_equal_fields_are_right_whatever_they_say() -> None:
    other = {"message": {"content": "no", "role": "x"}, "items": [{"a": 2}, {"a": 3}]}
    found = compared(answers, always(answer(200, SAID)), always(answer(200, other)))
    assert found.result is Result.OK
    assert "/api/chat, /v1/chat/completions, /v1/messages, /v1/responses" in found.evidence


@pytest.mark.parametrize(
    ("ours", "told"),
    [
        (answer(200, {**SAID, "more": 1}), "fields differ: more"),
        (answer(200, {"message": {"role": "x"}, "items": [{"a": 1}]}), "message.content"),
        (answer(200, {**SAID, "items": [{"b": 1}]}), "items[].a, items[].b"),
        (answer(500), "200, through the proxy 500"),
        (answer(200, SAID, Content_Type="text/plain"), "content types differ"),
    ],
)
def test_answers_that_differ_are_told(ours: bytes, told: str) -> None:
    found = compared(answers, always(answer(200, SAID)), always(ours))
    assert found.result is Result.FAIL
    assert told in found.evidence


def only(path: str, said: Any) -> Answer:
    return lambda asked: said if asked.path == path else answer(404)


def test_routes_that_the_direct_server_lacks_are_left() -> None:
    one = only("/v1/responses", answer(200, SAID))
    found = compared(answers, one, one)
    assert (found.result, found.evidence) == (Result.OK, "the same fields: /v1/responses")
    assert compared(answers, only("", b""), one).result is Result.SKIPPED
    assert compared(streams, only("", b""), one).result is Result.SKIPPED


LINES = (b'{"response":"a","done":false}\n', b'{"done":true,"eval_count":2}\n')


def test_equal_streams_are_right_however_many_events_they_have() -> None:
    ours = chunked(LINES[0], *LINES)
    found = compared(streams, always(chunked(*LINES)), always(ours))
    assert found.result is Result.OK


@pytest.mark.parametrize(
    ("ours", "told"),
    [
        (chunked(*LINES, kind="application/json"), "content types differ"),
        (answer(200, b"".join(LINES), Content_Type="application/x-ndjson"), "framings differ"),
        (chunked(*LINES, b'{"extra":1}\n\n'), "kinds of events differ"),
        (chunked(LINES[1], b"\n"), "kinds of events differ"),
        (answer(403, {"code": "prompt_blocked"}), "through the proxy 403 prompt_blocked"),
    ],
)
def test_streams_that_differ_are_told(ours: Any, told: str) -> None:
    theirs = only("/api/chat", chunked(*LINES))
    found = compared(streams, theirs, always(ours))
    assert found.result is Result.FAIL
    assert told in found.evidence


def test_the_time_that_the_proxy_takes_is_told() -> None:
    found = compared(overhead, always(answer(200, {})), always(answer(200, {})))
    assert found.result is Result.OK
    assert found.evidence.startswith("p50 of 10: ")


def test_a_proxy_that_takes_long_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_direct, "SLOW_MS", -1000.0)
    found = compared(overhead, always(answer(200, {})), always(answer(200, {})))
    assert found.result is Result.WARN


@pytest.mark.parametrize(
    ("theirs", "ours", "told"), [(500, 200, "direct: 500"), (200, 500, "through the proxy: 500")]
)
def test_an_answer_that_fails_ends_the_race(theirs: int, ours: int, told: str) -> None:
    found = compared(overhead, always(answer(theirs)), always(answer(ours)))
    assert (found.result, found.evidence.partition(" (")[0]) == (Result.FAIL, told)


def test_each_text_of_the_race_is_new() -> None:
    prompts: list[str] = []

    def say(asked: Asked) -> bytes:
        prompts.append(asked.document["prompt"])
        return answer(200, {})

    compared(overhead, always(answer(200, {})), say)
    assert len(set(prompts)) == len(prompts) == doctor_direct.ROUNDS


def test_without_another_server_there_is_nothing_to_compare() -> None:
    with pytest.raises(LookupError):
        direct_of(Site(Wire(parse_url("http://a"))))
