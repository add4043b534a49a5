"""Cross-origin requests of browsers: which pages may read our answers.

As in Ollama (`OLLAMA_ORIGINS`), with one difference: nothing is allowed unless the operator says
so. A page that is not allowed is not refused, as programs send `Origin` too; its browser keeps the
answer from it, and its preflight is.
"""

from collections.abc import Sequence
from fnmatch import translate
from re import compile as compile_pattern

from falcon import HTTP_204, Request, Response

from ogp.core.errors import ForbiddenError
from ogp.http.scope import exchange_of

ALLOWED_METHODS = "GET, HEAD, POST, DELETE, OPTIONS"
EXPOSED_HEADERS = "X-Request-ID, X-OGP-Guard, X-OGP-Route, Retry-After"
MAX_AGE_S = 43_200
"""How long a browser may remember a preflight's answer; Ollama's figure, twelve hours."""


class CorsMiddleware:
    """Answers preflights, and marks answers that a page may read.

    Comes before the token check: a browser sends no token with a preflight.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        """Keep who is allowed.

        Args:
            origins: `https://chat.example.org`, with `*` for any text; `*` alone for everybody.
        """
        self._patterns = [compile_pattern(translate(origin.casefold())) for origin in origins]

    def process_request(self, req: Request, resp: Response) -> None:
        """Run before the route is known.

        Raises:
            ForbiddenError: the preflight of a page that is not allowed.
        """
        if req.method != "OPTIONS" or not req.get_header("Access-Control-Request-Method"):
            return
        exchange_of(req).audited = False
        origin = req.get_header("Origin") or ""
        if not self._allows(origin):
            raise ForbiddenError(
                "Pages of this origin may not call this service (access.cors_allow_origins)."
            )
        wanted = req.get_header("Access-Control-Request-Headers")
        resp.set_header("Access-Control-Allow-Methods", ALLOWED_METHODS)
        if wanted:
            resp.set_header("Access-Control-Allow-Headers", wanted)
        resp.set_header("Access-Control-Max-Age", str(MAX_AGE_S))
        resp.status = HTTP_204
        resp.complete = True

    def process_response(
        self, req: Request, resp: Response, _resource: object, _succeeded: bool
    ) -> None:
        """Run after the resource or the error handler: pages read refusals, too."""
        origin = req.get_header("Origin")
        if not self._patterns or not origin:
            return
        resp.append_header("Vary", "Origin")
        if self._allows(origin):
            resp.set_header("Access-Control-Allow-Origin", origin)
            resp.set_header("Access-Control-Expose-Headers", EXPOSED_HEADERS)

    def _allows(self, origin: str) -> bool:
        folded = origin.casefold()
        return any(pattern.match(folded) for pattern in self._patterns)
