from collections.abc import Iterator

import pytest

from ogp.core.errors import (
    ClientGoneError,
    GuardError,
    ResponseBlockedError,
    UpstreamError,
)
from ogp.core.exchange import Exchange
from ogp.core.types import GuardState, Outcome, Verdict
from ogp.dialects.ollama import OllamaDialect
from ogp.http.streaming import AnswerStream
from ogp.settings.schema import LimitSettings
from tests.support.stages import make_exchange

BLOCKED = Verdict(GuardState.BLOCKED)


def failing(error: Exception, *chunks: bytes) -> Iterator[bytes]:
    yield from chunks
    raise error


def make_stream(chunks: Iterator[bytes], exchange: Exchange) -> AnswerStream:
    return AnswerStream(chunks, OllamaDialect(LimitSettings()), exchange)


def test_chunks_pass_unchanged() -> None:
    assert list(make_stream(iter([b"a\n", b"b\n"]), make_exchange())) == [b"a\n", b"b\n"]


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (UpstreamError("cut"), Outcome.UPSTREAM_FAILED, b"upstream_error"),
        (ResponseBlockedError("no", BLOCKED), Outcome.BLOCKED_MID_STREAM, b"response_blocked"),
        (GuardError("broken", BLOCKED), Outcome.BLOCKED_MID_STREAM, b"guard_error"),
        (ZeroDivisionError("bug"), Outcome.UPSTREAM_FAILED, b"internal_error"),
    ],
)
def test_a_failure_ends_the_stream_in_the_dialects_way(
    error: Exception, outcome: Outcome, code: bytes
) -> None:
    exchange, given_back = make_exchange(), []
    exchange.callback(lambda: given_back.append(1))
    stream = make_stream(failing(error, b"a\n"), exchange)
    assert next(stream) == b"a\n"
    last = next(stream)
    assert last.startswith(b'{"error":')
    assert code in last
    assert last.endswith(b"\n")
    assert given_back == [1]
    assert exchange.record.outcome is outcome
    assert list(stream) == []


def test_an_open_line_is_ended_before_the_error() -> None:
    stream = make_stream(failing(UpstreamError("cut"), b'{"resp'), make_exchange())
    assert next(stream) == b'{"resp'
    assert next(stream).startswith(b'\n{"error":')


def test_a_client_that_left_gets_no_end_that_looks_clean() -> None:
    exchange = make_exchange()
    stream = make_stream(failing(ClientGoneError("gone"), b"a\n"), exchange)
    next(stream)
    with pytest.raises(ConnectionResetError):
        next(stream)
    assert exchange.record.outcome is Outcome.CLIENT_CLOSED
