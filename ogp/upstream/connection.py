"""Connections that can be hung up from another thread, in prefill and in silence too.

`urllib3` shows a socket only with the response's head, and a model may be silent for minutes before
that. These connections announce their socket before the request is sent.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError


@dataclass(frozen=True, slots=True)
class SocketUse:
    """One request's use of a socket."""

    sock: socket.socket
    hang_up: Callable[[], None]
    """Ends a blocked read or write at once; does nothing once the next request has begun."""


class StaleConnectionError(HTTPError):
    """A kept-alive connection was closed by the server before it had the whole request."""


announce: ContextVar[Callable[[SocketUse], None]] = ContextVar("announce")
"""Set by the sending thread; called with the socket before the request's first byte."""


class _Hangable(HTTPConnection):
    """Announces each use of its socket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._use_lock = Lock()  # guards the number of the current use
        self._use = 0

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.is_closed:
            self.connect()
        with self._use_lock:
            self._use += 1
            use = self._use
        # The socket is kept here: a connection drops its own once the answer's head says `close`.
        sock = self.sock
        announce.get()(SocketUse(sock, lambda: self._hang_up(sock, use)))
        try:
            super().request(*args, **kwargs)
        except (BrokenPipeError, ConnectionResetError) as error:
            if use > 1:  # on a fresh connection the server may have read it and refused
                raise StaleConnectionError from error
            raise

    def _hang_up(self, sock: socket.socket, use: int) -> None:
        with self._use_lock:
            if use != self._use:
                return
            with suppress(OSError):  # the peer was faster, or the socket is closed already
                sock.shutdown(socket.SHUT_RDWR)


class HangableHTTPConnection(_Hangable):
    """Plain HTTP."""


class HangableHTTPSConnection(_Hangable, HTTPSConnection):
    """HTTP over TLS, certificates verified."""


class HangableHTTPPool(HTTPConnectionPool):
    """Kept-alive connections to one server."""

    ConnectionCls = HangableHTTPConnection


class HangableHTTPSPool(HTTPSConnectionPool):
    """Kept-alive TLS connections to one server."""

    ConnectionCls = HangableHTTPSConnection


def open_pool(url: str, *, max_connections: int) -> HTTPConnectionPool:
    """A pool for one server; it never blocks, as the queue in front is the limit.

    Args:
        url: base URL without a path.
        max_connections: how many idle connections are kept.
    """
    parts = urlsplit(url)
    pool = HangableHTTPSPool if parts.scheme == "https" else HangableHTTPPool
    return pool(
        parts.hostname or "", parts.port, maxsize=max_connections, block=False, retries=False
    )
