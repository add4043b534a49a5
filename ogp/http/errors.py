"""Turns errors into answers, in the caller's dialect. The only place that does."""

from collections.abc import Mapping
from math import ceil
from typing import Any

import falcon
import structlog

from ogp.core.errors import (
    ClientGoneError,
    GatewayError,
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    UpstreamError,
)
from ogp.core.exchange import Exchange
from ogp.core.types import Outcome
from ogp.dialects.base import Dialect
from ogp.http.answers import JSON
from ogp.http.scope import exchange_of

log = structlog.get_logger(__name__)


def note_error(exchange: Exchange, error: GatewayError) -> None:
    """Put an error into the audit record."""
    exchange.note(error_code=error.code, error_message=error.message)
    if isinstance(error, UpstreamError):
        exchange.ended(Outcome.UPSTREAM_FAILED)
    elif isinstance(error, ClientGoneError):
        exchange.ended(Outcome.CLIENT_CLOSED)


def internal_error(error: Exception) -> GatewayError:
    """A bug on our side: the log has its place, the client only its existence."""
    log.error("unexpected error", exc_info=error)
    return GatewayError("Internal server error")


def from_falcon(error: falcon.HTTPError) -> GatewayError:
    """Falcon's own refusals (no route, wrong method, broken header) in our form."""
    if error.status_code == 404:
        return NotFoundError("There is no such endpoint here.")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "") if isinstance(error.headers, dict) else ""
        return MethodNotAllowedError(f"This endpoint takes {allowed or 'other methods'}.")
    return InvalidRequestError(error.description or error.title or "The request is malformed.")


class ErrorRenderer:
    """Answers every exception a request can end in."""

    def __init__(self, dialects: Mapping[str, Dialect], default: str) -> None:
        """Keep the dialects.

        Args:
            dialects: by name.
            default: name of the one used before the route, hence the dialect, is known.
        """
        self._dialects, self._default = dialects, default

    def install(self, app: "falcon.App[Any, Any]") -> None:
        """Take over from Falcon's own handlers."""
        app.add_error_handler(Exception, self.on_exception)
        app.add_error_handler(falcon.HTTPError, self.on_falcon)
        app.add_error_handler(GatewayError, self.on_gateway)

    def on_gateway(
        self, req: falcon.Request, resp: falcon.Response, error: GatewayError, _params: Any
    ) -> None:
        """Answer a refusal."""
        exchange = exchange_of(req)
        note_error(exchange, error)
        exchange.audited = True
        resp.status = error.status
        resp.content_type = JSON
        resp.stream = None
        resp.data = self._dialects[exchange.record.dialect or self._default].error_body(error)
        if error.retry_after_s is not None:
            resp.set_header("Retry-After", str(ceil(error.retry_after_s)))
        if error.status == 401:
            resp.set_header("WWW-Authenticate", "Bearer")

    def on_falcon(
        self, req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: Any
    ) -> None:
        """Answer one of Falcon's refusals; its headers (`Allow`) are kept."""
        if error.headers:
            resp.set_headers(error.headers)
        self.on_gateway(req, resp, from_falcon(error), params)

    def on_exception(
        self, req: falcon.Request, resp: falcon.Response, error: Exception, params: Any
    ) -> None:
        """Answer a bug."""
        self.on_gateway(req, resp, internal_error(error), params)
