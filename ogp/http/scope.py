"""The WSGI wrapper that owns one exchange, so that nothing leaks whatever happens inside.

Falcon drops `resp.stream` without closing it when later middleware raises or the status has no
body, and a generator that never started runs no `finally`. gunicorn always calls `close()` though,
on the iterable it was given: this one.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import uuid4
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog
from falcon import Request

from ogp.core.clock import Clock
from ogp.core.exchange import Exchange
from ogp.core.ports import AuditLog, ClientWatch
from ogp.core.types import Outcome

EXCHANGE_KEY = "ogp.exchange"
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger(__name__)


def exchange_of(req: Request) -> Exchange:
    """The exchange this request belongs to."""
    exchange: Exchange = req.env[EXCHANGE_KEY]
    return exchange


class ExchangeScope:
    """Opens the exchange before the application runs and ends it after the last byte."""

    def __init__(
        self,
        app: WSGIApplication,
        *,
        watch: ClientWatch,
        audit: AuditLog,
        clock: Clock,
        timeout_s: float,
        access_log: bool = False,
    ) -> None:
        """Keep what an exchange needs.

        Args:
            timeout_s: from arrival to the first byte of the answer, in seconds.
            access_log: write a line for every finished request.
        """
        self._app, self._watch, self._audit, self._clock = app, watch, audit, clock
        self._timeout_s, self._access_log = timeout_s, access_log

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        exchange = self._open(environ)
        environ[EXCHANGE_KEY] = exchange

        def noting_status(status: str, *rest: Any) -> Callable[[bytes], object]:
            exchange.note(response_status=int(status[:3]))
            return start_response(status, *rest)

        ending = Ending(exchange, self._audit, access_log=self._access_log)
        try:
            exchange.enter(self._watch.watch(environ.get("gunicorn.socket"), exchange.cancellation))
            return ScopedBody(self._app(environ, noting_status), ending)
        except BaseException:
            ending.abandon()
            raise

    def _open(self, environ: WSGIEnvironment) -> Exchange:
        offered = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = offered if REQUEST_ID.fullmatch(offered) else uuid4().hex
        structlog.contextvars.clear_contextvars()  # threads are used again
        structlog.contextvars.bind_contextvars(request_id=request_id)
        path = environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace")
        return Exchange(
            request_id=request_id,
            method=environ["REQUEST_METHOD"],
            path=path,
            clock=self._clock,
            timeout_s=self._timeout_s,
        )


class Ending:
    """Ends one exchange, once: gives everything back, then completes the record."""

    def __init__(self, exchange: Exchange, audit: AuditLog, *, access_log: bool) -> None:
        self._exchange, self._audit, self._access_log = exchange, audit, access_log
        self._done = False

    def complete(self) -> None:
        """The answer is about to end. Its record is committed before the client can know."""
        gone = self._exchange.cancellation.error is not None
        self._end(Outcome.CLIENT_CLOSED if gone else Outcome.COMPLETE, wait=True)

    def abandon(self) -> None:
        """The answer ends here without having been complete, unless `complete` was first."""
        self._end(Outcome.CLIENT_CLOSED, wait=False)

    def _end(self, outcome: Outcome, *, wait: bool) -> None:
        if self._done:
            return
        self._done = True
        exchange = self._exchange
        exchange.release()
        exchange.ended(outcome)
        record = exchange.finish_record()
        if exchange.audited:
            self._audit.finish(record, wait=wait)
        if self._access_log:
            log.info(
                "request finished",
                method=record.http_method,
                path=record.path,
                status=record.response_status,
                outcome=record.outcome,
                user=record.username,
                model=record.model,
                time_ms=record.response_time_ms,
            )


class ScopedBody:
    """What gunicorn iterates and, in any case, closes.

    A body of known size is complete with its last byte, so its record is committed first. A stream
    is complete with the terminating chunk, which gunicorn writes when the iteration ends.
    """

    def __init__(self, body: Iterable[bytes], ending: Ending) -> None:
        self._body, self._ending = body, ending
        self._chunks = iter(body)
        self._sized = isinstance(body, list)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._sized:
            self._ending.complete()
        try:
            return next(self._chunks)
        except StopIteration:
            self._ending.complete()
            raise

    def close(self) -> None:
        """End the exchange, whether or not the body was read to its end."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._ending.abandon()
