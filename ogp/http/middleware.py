"""What every request passes before its resource: address, route, token, role."""

import re
from collections.abc import Collection, Mapping
from enum import Enum, auto
from typing import Any, Protocol

from falcon import Request, Response

from ogp.admission.addresses import AddressGate
from ogp.core.errors import ForbiddenError, NotFoundError, UnauthorizedError
from ogp.core.types import Principal, Role
from ogp.http.scope import exchange_of

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-XSS-Protection": "1; mode=block",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "geolocation=(), microphone=(), camera=()",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
}
"""Sent with every answer; browsers heed the last one over TLS only."""


_CONVERTER = re.compile(r":\w+(?=\})")
"""In a route's template, e.g. that of `{model:path}`."""


class Access(Enum):
    """Who may call a resource; each class names its own."""

    PUBLIC = auto()
    USER = auto()
    ADMIN = auto()


class Verifier(Protocol):
    """Turns an `Authorization` header into a principal, or raises `UnauthorizedError`."""

    def verify(self, authorization: str | None) -> Principal:
        """Check one header."""
        ...


class AddressMiddleware:
    """Finds the client's address and refuses those kept out."""

    def __init__(self, gate: AddressGate) -> None:
        self._gate = gate

    def process_request(self, req: Request, _resp: Response) -> None:
        """Run before the route is known."""
        peer = req.env.get("REMOTE_ADDR", "")
        client = self._gate.client_address(peer, req.env.get("HTTP_X_FORWARDED_FOR"))
        exchange_of(req).note(client_ip=client)
        self._gate.check(client)


class TokenMiddleware:
    """Asks for a token wherever the resource does not say that it is public."""

    def __init__(self, verifier: Verifier, public_paths: Collection[str]) -> None:
        """Keep who verifies.

        Args:
            verifier: knows the tokens.
            public_paths: own endpoints the operator opened; never those of a dialect or of
                administrators.
        """
        self._verifier, self._public_paths = verifier, frozenset(public_paths)

    def process_resource(
        self, req: Request, _resp: Response, resource: Any, params: dict[str, Any]
    ) -> None:
        """Run once the route is known."""
        if spelled(req.uri_template or "", params) != req.path or "" in params.values():
            # The router reads `//health` as `/health`: one route, one spelling.
            raise NotFoundError("There is no such endpoint here.")
        access: Access = resource.access
        exchange = exchange_of(req)
        exchange.audited = resource.audited
        if access is Access.PUBLIC or (resource.own and req.path in self._public_paths):
            return
        principal = self._verifier.verify(_authorization(req))
        exchange.principal = principal
        exchange.note(
            user_id=principal.user_id, username=principal.username, token_id=principal.token_id
        )
        if access is Access.ADMIN and principal.role is not Role.ADMIN:
            raise ForbiddenError("This endpoint needs the token of an administrator.")


def spelled(template: str, params: Mapping[str, Any]) -> str:
    """The one path that a route with these parameters has."""
    return _CONVERTER.sub("", template).format(**params)


def _authorization(req: Request) -> str | None:
    """The `Authorization` header, or what `x-api-key` says in its words.

    Anthropic's clients send one, the other, or both with one token. Two that differ are refused:
    whichever counted, somebody would look at the other.

    Raises:
        UnauthorizedError: both are there, with different tokens.
    """
    authorization, key = req.get_header("Authorization"), req.get_header("X-Api-Key")
    if not key:
        return authorization
    if authorization:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or token != key:
            raise UnauthorizedError(
                "The headers 'Authorization' and 'x-api-key' carry different tokens: send one of "
                "them."
            )
    return f"Bearer {key}"


class HeaderMiddleware:
    """Adds what every answer carries."""

    def process_response(
        self, req: Request, resp: Response, _resource: Any, _succeeded: bool
    ) -> None:
        """Run after the resource or the error handler."""
        resp.set_headers(SECURITY_HEADERS)
        resp.set_header("X-Request-ID", exchange_of(req).request_id)
