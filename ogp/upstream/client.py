"""Sends a request to a server and hands back its answer as an iterator of bytes."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

import urllib3
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from ogp.core.errors import GatewayError, Refused, RequestTimeoutError, UpstreamError
from ogp.core.exchange import Exchange
from ogp.core.types import InferenceRequest, Route, UpstreamResponse
from ogp.settings.schema import UpstreamSettings
from ogp.upstream.connection import SocketUse, StaleConnectionError, announce, open_pool

PASSED_HEADERS = ("content-type", "retry-after")
"""Upstream headers a client may see; everything else stays here."""

STREAM_TYPES = ("application/x-ndjson", "text/event-stream")
"""Content types of answers that come event by event."""


BUSY_STATUS = 503
"""Ollama's, when too many requests wait for a model to be loaded: nothing has begun."""


class UpstreamClient:
    """One pool of kept-alive connections per server. Thread-safe.

    No retries and no redirects: a generation that may have started is never replayed, and a server
    cannot send us elsewhere.
    """

    def __init__(self, settings: UpstreamSettings, *, max_connections: int) -> None:
        self._settings, self._max_connections = settings, max_connections
        self._lock = Lock()  # guards the pools' dictionary
        self._pools: dict[str, HTTPConnectionPool] = {}

    def stop(self) -> None:
        """Close idle connections."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()

    @contextmanager
    def send(
        self,
        request: InferenceRequest,
        route: Route,
        exchange: Exchange,
        *,
        has_spare: bool = False,
    ) -> Iterator[UpstreamResponse]:
        """Send, and wait for the first byte of the answer; the connection is given back at exit.

        Args:
            has_spare: raise for a 503 rather than hand it on: another server may say better.

        Raises:
            UpstreamError: no connection, or it broke before the first byte; `refused` tells
                whether another server may take the request.
            RequestTimeoutError: no first byte before the exchange's deadline.
            ClientGoneError: the client left meanwhile.
        """
        with ExitStack() as stack:
            call = _Call(route, exchange, self._settings)
            stack.callback(call.give_back)

            def connected(use: SocketUse) -> None:
                call.sock = use.sock
                stack.enter_context(exchange.cancellation.interrupt(use.hang_up))

            token = announce.set(connected)
            try:
                response = call.begin(self._pool(route), request)
            finally:
                announce.reset(token)
            if has_spare and response.status == BUSY_STATUS:
                raise UpstreamError(
                    f"The upstream server {route.name!r} has too much to do.",
                    refused=Refused.BUSY,
                    server=route.name,
                )
            yield response

    def _pool(self, route: Route) -> HTTPConnectionPool:
        with self._lock:
            pool = self._pools.get(route.url)
            if pool is None:
                pool = open_pool(route.url, max_connections=self._max_connections)
                self._pools[route.url] = pool
            return pool


class _Call:
    """One request on one connection, from its first byte to the answer's last; one thread."""

    def __init__(self, route: Route, exchange: Exchange, settings: UpstreamSettings) -> None:
        self._route, self._exchange, self._settings = route, exchange, settings
        self._response: BaseHTTPResponse | None = None
        self.sock: socket.socket | None = None

    def begin(self, pool: HTTPConnectionPool, request: InferenceRequest) -> UpstreamResponse:
        """Send and wait for the head and the first byte."""
        remaining_s = self._exchange.remaining_s()
        if remaining_s <= 0:
            raise RequestTimeoutError(request.model)
        self._exchange.cancellation.check()
        try:
            response = self._response = self._open(pool, request, remaining_s)
            first = response.read1(decode_content=False)
        except ReadTimeoutError as error:
            raise self._exchange.cancellation.error or RequestTimeoutError(request.model) from error
        except HTTPError as error:
            raise self._broken(error) from error
        if self.sock is not None and not request.managed:  # those may be silent for hours
            self.sock.settimeout(self._settings.idle_timeout_s)
        return UpstreamResponse(
            status=response.status,
            headers={k: response.headers[k] for k in PASSED_HEADERS if k in response.headers},
            chunks=self._chunks(response, first),
            streamed=response.headers.get("content-type", "").startswith(STREAM_TYPES),
        )

    def _open(
        self, pool: HTTPConnectionPool, request: InferenceRequest, remaining_s: float
    ) -> BaseHTTPResponse:
        headers = {
            "Accept-Encoding": "identity",
            "User-Agent": "ollama-guard-proxy",
            "X-Request-ID": self._exchange.request_id,
        }
        body: bytes | Iterator[bytes] | None = request.body or None
        if request.body:
            headers["Content-Type"] = "application/json"
        if request.upload is not None:
            body = self._unhurried(request.upload.chunks)
            headers["Content-Type"] = "application/octet-stream"
            if request.upload.length is not None:  # else it goes on in chunks
                headers["Content-Length"] = str(request.upload.length)
        response = pool.urlopen(
            request.method,
            request.upstream_path,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(
                connect=min(self._settings.connect_timeout_s, remaining_s), read=remaining_s
            ),
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )
        if 300 <= response.status < 400:
            raise self._unusable("answered with a redirect, which is not followed")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise self._unusable("compressed its answer although it was asked not to")
        return response

    def _unhurried(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The pieces of a file, each with the time of a gap in an answer.

        urllib3 would give it the time for connecting, and servers write files to disk.
        """
        if self.sock is not None:
            self.sock.settimeout(self._settings.idle_timeout_s)
        yield from pieces

    def _chunks(self, response: BaseHTTPResponse, first: bytes) -> Iterator[bytes]:
        chunk = first
        while chunk:
            yield chunk
            try:
                chunk = response.read1(decode_content=False)
            except ReadTimeoutError as error:
                idle_s = self._settings.idle_timeout_s
                raise self._broken(error, f"sent nothing for {idle_s:g} s") from error
            except HTTPError as error:
                raise self._broken(error) from error
        # An answer cut by our own hang-up, or shorter than its Content-Length, ends silently.
        self._exchange.cancellation.check()
        if getattr(response, "length_remaining", None):
            raise self._unusable("broke off in the middle of its answer")

    def _broken(self, error: HTTPError, what: str | None = None) -> GatewayError:
        """Say what happened, unless we hung up ourselves."""
        if self._exchange.cancellation.error is not None:
            return self._exchange.cancellation.error
        if isinstance(error, NewConnectionError | ConnectTimeoutError | StaleConnectionError):
            return self._unusable("cannot be reached", Refused.AWAY)
        return self._unusable(what or "broke off the connection")

    def _unusable(self, what: str, refused: Refused | None = None) -> UpstreamError:
        name = self._route.name
        message = f"The upstream server {name!r} {what}."
        return UpstreamError(message, refused=refused, server=name)

    def give_back(self) -> None:
        """Return the connection to its pool if the answer was read to its end, else close it."""
        response = self._response
        if response is not None and not response.closed:
            response.close()
            response.release_conn()
