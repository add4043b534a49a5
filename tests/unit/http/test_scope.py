import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from falcon.testing import create_environ

from ogp.core.clock import SystemClock
from ogp.core.errors import ClientGoneError
from ogp.core.exchange import Exchange
from ogp.core.types import Outcome
from ogp.http.scope import EXCHANGE_KEY, ExchangeScope
from tests.support.stages import NoWatch, RecordingAudit


class Inner:
    """A WSGI application that borrows something and answers what it is told."""

    def __init__(self, body: Iterable[bytes] | Exception, status: str = "200 OK") -> None:
        self._body, self._status = body, status
        self.exchange: Exchange
        self.given_back = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.exchange = environ[EXCHANGE_KEY]
        self.exchange.callback(self._give_back)
        if isinstance(self._body, Exception):
            raise self._body
        start_response(self._status, [])
        return self._body

    def _give_back(self) -> None:
        self.given_back += 1


class ClosableChunks:
    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self.closed = iter(chunks), 0

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self.closed += 1


def serve(inner: Inner, audit: RecordingAudit, access_log: bool = False, **headers: str) -> Any:
    scope = ExchangeScope(
        inner,
        watch=NoWatch(),
        audit=audit,
        clock=SystemClock(),
        timeout_s=5.0,
        access_log=access_log,
    )
    environ = create_environ("/api/chat", method="POST", headers=headers)
    return scope(environ, lambda status, headers, exc_info=None: lambda data: None)


def test_a_sized_body_is_recorded_before_its_bytes_are_handed_out() -> None:
    inner, audit = Inner([b"{}"]), RecordingAudit()
    body = serve(inner, audit)
    assert audit.finished == []
    assert next(body) == b"{}"
    ((record, waited),) = audit.finished
    assert waited
    assert record.outcome is Outcome.COMPLETE
    assert record.response_status == 200
    assert inner.given_back == 1


def test_a_stream_is_recorded_before_its_end_is_known() -> None:
    inner, audit = Inner(ClosableChunks([b"a", b"b"])), RecordingAudit()
    body = serve(inner, audit)
    assert [next(body), next(body)] == [b"a", b"b"]
    assert audit.finished == []
    with pytest.raises(StopIteration):
        next(body)
    assert audit.finished[0][1] is True
    body.close()
    assert len(audit.finished) == 1
    assert inner.given_back == 1


def test_a_stream_closed_early_was_left_by_its_client() -> None:
    chunks = ClosableChunks([b"a", b"b"])
    inner, audit = Inner(chunks), RecordingAudit()
    body = serve(inner, audit)
    next(body)
    body.close()
    ((record, waited),) = audit.finished
    assert record.outcome is Outcome.CLIENT_CLOSED
    assert not waited
    assert (chunks.closed, inner.given_back) == (1, 1)


def test_a_body_that_never_started_gives_back_what_was_borrowed() -> None:
    inner, audit = Inner(ClosableChunks([b"a"])), RecordingAudit()
    serve(inner, audit).close()
    assert inner.given_back == 1


def test_an_application_that_raises_gives_back_what_was_borrowed() -> None:
    inner, audit = Inner(RuntimeError("bug")), RecordingAudit()
    with pytest.raises(RuntimeError):
        serve(inner, audit)
    assert inner.given_back == 1
    assert len(audit.finished) == 1


def test_a_body_whose_close_raises_gives_back_what_was_borrowed() -> None:
    class Broken(ClosableChunks):
        def close(self) -> None:
            raise RuntimeError("bug")

    inner, audit = Inner(Broken([b"a"])), RecordingAudit()
    body = serve(inner, audit)
    with pytest.raises(RuntimeError):
        body.close()
    assert inner.given_back == 1


def test_an_answer_to_a_client_that_left_is_not_called_complete() -> None:
    inner, audit = Inner([b"{}"]), RecordingAudit()
    body = serve(inner, audit)
    inner.exchange.cancellation.cancel(ClientGoneError("gone"))
    next(body)
    assert audit.finished[0][0].outcome is Outcome.CLIENT_CLOSED


def test_what_is_not_audited_leaves_no_row() -> None:
    inner, audit = Inner([b"{}"]), RecordingAudit()
    body = serve(inner, audit)
    inner.exchange.audited = False
    assert list(body) == [b"{}"]
    assert audit.finished == []


def test_a_sound_request_id_is_kept() -> None:
    inner = Inner([b"{}"])
    serve(inner, RecordingAudit(), **{"X-Request-ID": "build-7.2_x"})
    assert inner.exchange.request_id == "build-7.2_x"


@pytest.mark.parametrize("offered", ["", "a b", "x" * 65, "a\x1b[2J", "a/../b"])
def test_any_other_request_id_is_replaced(offered: str) -> None:
    inner = Inner([b"{}"])
    serve(inner, RecordingAudit(), **{"X-Request-ID": offered})
    assert re.fullmatch(r"[0-9a-f]{32}", inner.exchange.request_id)


def test_the_access_log_is_a_line_per_request(capsys: pytest.CaptureFixture[str]) -> None:
    list(serve(Inner([b"{}"]), RecordingAudit(), access_log=True))
    assert "request finished" in capsys.readouterr().out
