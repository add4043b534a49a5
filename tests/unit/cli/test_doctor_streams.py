"""Streams as they should be come from the look-alike of Ollama; what spoils them stands between."""

import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import pytest
import requests

from ogp.cli import doctor_streams
from ogp.cli.doctor_site import Result
from ogp.cli.doctor_streams import (
    STREAMS,
    active,
    disconnect,
    holding_scanners,
    http_1_0,
    stream,
)
from ogp.demo.server import DemoServer
from tests.support.little_server import WAIT_S, Answer, Asked, always, answer, chunked, site_of

MODEL = "demo-tokens-30-10ms"


@pytest.fixture(scope="module")
def upstream() -> Iterator[DemoServer]:
    with DemoServer() as server:
        yield server


def behind(upstream: DemoServer, asked: Asked) -> Iterator[bytes]:
    """What the server behind says: its content type, then each piece as it comes."""
    url = upstream.url + asked.path
    with requests.post(url, data=asked.body, stream=True, timeout=WAIT_S) as response:
        yield response.headers["Content-Type"].encode()
        yield from response.raw.stream()


def health(**scanners: str) -> bytes:
    shown = {name: {"state": state} for name, state in scanners.items()}
    return answer(200, {"guards": {"scanners": {"output": shown}}})


def passing(upstream: DemoServer, asked: Asked) -> Iterator[bytes]:
    """A server in front that passes each piece at once."""
    pieces = behind(upstream, asked)
    yield chunked(kind=next(pieces).decode())[0]
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def buffering(upstream: DemoServer, asked: Asked, **scanners: str) -> bytes | Iterable[bytes]:
    """A server in front that gathers the answer and passes it on at its end."""
    if asked.path == "/health":
        return health(**scanners)
    kind, *pieces = behind(upstream, asked)
    return chunked(b"".join(pieces), kind=kind.decode())


@pytest.mark.parametrize("dialect", STREAMS)
def test_a_stream_that_comes_piece_by_piece_is_right(upstream: DemoServer, dialect: str) -> None:
    with site_of(partial(passing, upstream), model=MODEL) as site:
        found = stream(dialect, site)
    assert (found.result, found.hint) == (Result.OK, "")
    assert "events in" in found.evidence


@pytest.mark.parametrize("dialect", STREAMS)
def test_a_server_in_front_that_buffers_is_found_out(upstream: DemoServer, dialect: str) -> None:
    with site_of(partial(buffering, upstream, invisible_text="on"), model=MODEL) as site:
        found = stream(dialect, site)
    assert found.result is Result.FAIL
    assert "proxy_buffering off" in found.hint


def test_scanners_that_hold_text_back_may_be_the_reason(upstream: DemoServer) -> None:
    with site_of(partial(buffering, upstream, secrets="on", regex="off"), model=MODEL) as site:
        found = stream("ollama", site)
    assert found.result is Result.WARN
    assert "until it is scanned: secrets; or else" in found.hint


def test_a_model_that_is_too_fast_tells_nothing(upstream: DemoServer) -> None:
    with site_of(partial(buffering, upstream), model="demo:fast") as site:
        found = stream("ollama", site)
    assert found.result is Result.SKIPPED
    assert "--model" in found.hint


LAST = b'{"done":true}\n'


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (answer(500, {"code": "internal_error"}), "500 internal_error"),
        (chunked(LAST, kind="application/json"), "content type application/json"),
        (chunked(LAST, kind=""), "content type none"),
        (chunked(LAST, end=False), "closed before the last chunk"),
        (answer(200, LAST, Content_Type="application/x-ndjson"), "with a Content-Length"),
        (chunked(b'{"done":false}\n'), "none that ends an answer"),
        (chunked(), "0 events"),
    ],
)
def test_a_stream_of_another_form_is_told(said: Any, told: str) -> None:
    with site_of(always(said)) as site:
        found = stream("ollama", site)
    assert found.result is Result.FAIL
    assert told in found.evidence


def test_a_stream_without_chunks_is_warned_of() -> None:
    said = answer(200, LAST, length=False, Content_Type="application/x-ndjson")
    with site_of(always([said])) as site:
        assert stream("ollama", site).result is Result.WARN


def test_a_route_that_the_server_behind_lacks_is_left() -> None:
    with site_of(always(answer(404, "404 page not found"))) as site:
        assert stream("responses", site).result is Result.SKIPPED


@pytest.mark.parametrize(
    ("dialect", "last"),
    [
        ("openai", b"data: [DONE]\n\n"),
        ("responses", b'event: response.completed\ndata: {"type":"response.completed"}\n\n'),
        ("responses", b'event: response.incomplete\ndata: {"type":"response.incomplete"}\n\n'),
        ("anthropic", b'event: message_stop\ndata: {"type":"message_stop"}\n\n'),
    ],
)
def test_each_dialect_ends_in_its_own_way(dialect: str, last: bytes) -> None:
    kind = "text/event-stream"
    with site_of(always(chunked(last, kind=kind))) as site:
        assert stream(dialect, site).result is Result.SKIPPED  # one event only
    other = b"data: {}\n\n" if dialect == "openai" else b"data: [DONE]\n\n"
    with site_of(always(chunked(last, other, kind=kind))) as site:
        assert stream(dialect, site).result is Result.FAIL


NDJSON = "application/x-ndjson"


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ([answer(200, LAST, length=False, Content_Type=NDJSON)], Result.OK),
        (chunked(LAST), Result.FAIL),
        ([answer(200, b'{"done":false}', length=False)], Result.FAIL),
        ([answer(200, b"", length=False)], Result.FAIL),
        (answer(505), Result.FAIL),
    ],
)
def test_an_old_client_needs_a_stream_without_chunks(said: Any, result: Result) -> None:
    with site_of(always(said)) as site:
        assert http_1_0(site).result is result


def serving(*counts: int | None) -> Answer:
    """A model that serves so many requests, each time one asks; its answers do not end."""
    left = list(counts)

    def say(asked: Asked) -> bytes | Iterable[bytes]:
        if asked.path == "/queue/stats?model=llama2":
            number = left.pop(0) if len(left) > 1 else left[0]
            models = {} if number is None else {"llama2": {"active_requests": number}}
            return answer(200, {"models": models})
        assert json.loads(asked.body)["options"]["num_predict"] > 100
        return chunked(b'{"done":false}\n', end=False)

    return say


def test_a_slot_that_is_free_again_at_once_is_right() -> None:
    with site_of(serving(0, 1, 1, 0)) as site:
        found = disconnect(site)
    assert found.result is Result.OK
    assert "after the client had left" in found.evidence


def test_a_slot_that_stays_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_streams, "FREE_LATE_S", 0.05)
    with site_of(serving(0, 1)) as site:
        found = disconnect(site)
    assert found.result is Result.FAIL
    assert "still taken" in found.evidence


def test_a_slot_that_is_not_there_yet_is_waited_for() -> None:
    with site_of(serving(0, 0, None, 1, 1, 0)) as site:
        assert disconnect(site).result is Result.OK


def test_a_slot_that_is_free_late_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_streams, "FREE_SOON_S", 0.0)
    with site_of(serving(0, 1, 0)) as site:
        assert disconnect(site).result is Result.FAIL


@pytest.mark.parametrize(
    ("counts", "told"), [((2,), "serves 2 others"), ((0, 0), "over before"), ((0, None), "over")]
)
def test_what_cannot_be_seen_is_left(
    counts: tuple[int | None, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_streams, "SERVED_S", 0.05)
    with site_of(serving(*counts)) as site:
        found = disconnect(site)
    assert found.result is Result.SKIPPED
    assert told in found.evidence


@pytest.mark.parametrize(
    ("said", "number"),
    [
        (answer(404, {"available_models": []}), 0),
        (answer(404, {"code": "not_found"}), None),
        (answer(200, {"models": []}), None),
        (answer(401, "no"), None),
        (answer(200, {"models": {"a": {"active_requests": 2}, "b": 5, "c": {}}}), 2),
    ],
)
def test_the_statistics_tell_how_many_run(said: bytes, number: int | None) -> None:
    with site_of(always(said)) as site:
        assert active(site) == number


def test_without_statistics_nothing_is_asked_of_the_model() -> None:
    with site_of(always(answer(404))) as site:
        assert disconnect(site).result is Result.SKIPPED


def test_a_model_that_cannot_chat_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_streams, "SERVED_S", 0.05)

    def say(asked: Asked) -> bytes:
        return answer(200, {"models": {}}) if asked.method == "GET" else answer(400, {"error": "x"})

    with site_of(say) as site:
        found = disconnect(site)
    assert (found.result, found.evidence) == (Result.FAIL, "/api/chat: 400")


@pytest.mark.parametrize("document", [{}, {"guards": 5}, {"guards": {"scanners": {"output": []}}}])
def test_a_health_that_tells_nothing_names_no_scanners(document: dict[str, Any]) -> None:
    assert holding_scanners(document) == []
