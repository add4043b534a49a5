"""The choice of a server for one request."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock

from ogp.core.errors import NoUpstreamError
from ogp.core.types import Route


class UpstreamRouter:
    """Offers the configured servers in their order and counts what is in flight. Thread-safe."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = tuple(routes)
        self._lock = Lock()  # guards the counts
        self._active = {route.name: 0 for route in routes}

    def candidates(self, model: str) -> Sequence[Route]:
        """Servers that could take the request, best first.

        A server that its last probe found down stays a candidate while it is the only one: the
        attempt costs one refused connection and its error names the server.

        Raises:
            NoUpstreamError: none is configured.
        """
        if not self._routes:
            raise NoUpstreamError("No upstream server is configured.", model=model)
        return self._routes

    @contextmanager
    def lease(self, candidates: Sequence[Route]) -> Iterator[Route]:
        """Take the best one and count the request there for the body of the `with`."""
        route = candidates[0]
        with self._lock:
            self._active[route.name] += 1
        try:
            yield route
        finally:
            with self._lock:
                self._active[route.name] -= 1

    def active(self) -> dict[str, int]:
        """Requests in flight, by server."""
        with self._lock:
            return dict(self._active)
