from collections.abc import Iterator
from typing import Any

import pytest

from ogp.core.errors import (
    ClientGoneError,
    GatewayError,
    GuardError,
    ResponseBlockedError,
    UpstreamError,
)
from ogp.core.exchange import Exchange
from ogp.core.types import GuardState, InferenceRequest, Outcome, Verdict
from ogp.dialects.ollama import OllamaDialect
from ogp.http.streaming import HEAD_BYTES, AnswerStream
from ogp.settings.schema import LimitSettings
from tests.support.stages import make_exchange

REQUEST = InferenceRequest("ollama", "chat", "POST", "/api/chat", model="m", stream=True)
BLOCKED = Verdict(GuardState.BLOCKED)


def failing(error: Exception, *chunks: bytes) -> Iterator[bytes]:
    yield from chunks
    raise error


def make_stream(chunks: Iterator[bytes], exchange: Exchange) -> AnswerStream:
    return AnswerStream(chunks, OllamaDialect(LimitSettings()), REQUEST, exchange)


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


class TellingDialect(OllamaDialect):
    """Keeps what it is told at the end."""

    def __init__(self) -> None:
        super().__init__(LimitSettings())
        self.told: dict[str, Any] = {}

    def error_event(self, error: GatewayError, **told: Any) -> bytes:
        self.told = told
        return b""


@pytest.mark.parametrize(
    ("chunks", "head", "mid_line"),
    [
        ([], b"", False),
        ([b"a\n", b"b"], b"a\nb", True),
        ([b"x" * (HEAD_BYTES - 1), b"yz", b"more\n"], b"x" * (HEAD_BYTES - 1) + b"yz", False),
        ([b"x" * (HEAD_BYTES + 1)], b"x" * HEAD_BYTES, True),
    ],
)
def test_the_dialect_is_told_what_was_asked_and_how_the_answer_began(
    chunks: list[bytes], head: bytes, mid_line: bool
) -> None:
    dialect = TellingDialect()
    broken = failing(UpstreamError("cut"), *chunks)
    list(AnswerStream(broken, dialect, REQUEST, make_exchange()))
    assert dialect.told == {"request": REQUEST, "mid_line": mid_line, "head": head}


def test_signs_of_life_are_no_beginning_of_an_answer() -> None:
    dialect = TellingDialect()
    sign = dialect.keepalive(REQUEST)
    broken = failing(UpstreamError("cut"), sign, sign, b"a\n")
    list(AnswerStream(broken, dialect, REQUEST, make_exchange()))
    assert dialect.told["head"] == b"a\n"
