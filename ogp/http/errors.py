"""Turns errors into answers, in the caller's dialect. The only place that does."""

from collections.abc import Mapping
from math import ceil
from types import MappingProxyType
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

_NEAR = (("/v1/messages", "anthropic"), ("/v1/", "openai"))
"""How paths begin that belong to no route -> name of the dialect whose clients would ask so."""

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

    def __init__(
        self,
        dialects: Mapping[str, Dialect],
        default: str,
        routes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Keep the dialects.

        Args:
            dialects: by name.
            default: name of the one used where no path tells which.
            routes: path of a route, with its parameters -> name of the dialect.
        """
        self._dialects, self._default, self._routes = dialects, default, routes

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
        dialect = self._dialect_of(req)
        resp.data = dialect.error_body(error, exchange.request_id)
        resp.set_headers(dict(dialect.error_headers(error)))
        if error.retry_after_s is not None:
            resp.set_header("Retry-After", str(ceil(error.retry_after_s)))
        if error.status == 401:
            resp.set_header("WWW-Authenticate", "Bearer")

    def _dialect_of(self, req: falcon.Request) -> Dialect:
        """Whoever asks for a path that does not exist, or is kept out before, has a client too."""
        name = self._routes.get(req.uri_template or req.path)
        if name is None:
            near = (name for prefix, name in _NEAR if req.path.startswith(prefix))
            name = next((name for name in near if name in self._dialects), self._default)
        return self._dialects[name]

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
