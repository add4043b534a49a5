"""Notices clients that hang up while nobody writes to them, and cancels their requests.

Gunicorn notices a vanished client at the next write only: never while a request waits for its slot
or for the first byte. One thread per process watches the client sockets instead.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock, Thread

import structlog

from ogp.core.errors import ClientGoneError
from ogp.core.exchange import Cancellation
from ogp.upstream.hangups import HangupPoller, system_poller

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """One exchange's interest in one connection."""

    client: socket.socket
    cancellation: Cancellation


class ClientWatcher:
    """A `ClientWatch` with one daemon thread; `start` it after the process has forked.

    Before `start` and after `stop` nothing is watched: a client that leaves is then noticed at
    the next write.
    """

    def __init__(self, make_poller: Callable[[], HangupPoller] = system_poller) -> None:
        self._make_poller = make_poller
        self._lock = Lock()  # guards the two below; held while a cancellation's callbacks run
        self._poller: HangupPoller | None = None
        self._watches: dict[int, Watch] = {}
        self._thread: Thread | None = None

    def start(self) -> None:
        """Open the poller and its thread."""
        poller = self._make_poller()
        with self._lock:
            self._poller = poller
        self._thread = Thread(
            target=self._run, args=(poller,), name="ogp-client-watcher", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the poller; requests that still run go on unwatched."""
        with self._lock:
            poller, self._poller = self._poller, None
            self._watches.clear()
        if poller is not None and self._thread is not None:
            poller.wake()
            self._thread.join()
            poller.close()

    @contextmanager
    def watch(self, client: object | None, cancellation: Cancellation) -> Iterator[None]:
        """Cancel with `ClientGoneError` if the peer of socket `client` hangs up meanwhile.

        Anything but a socket is not watched. After the body no cancellation comes from here. Of
        two watches on one connection the later one counts: HTTP/1.1 serves one request at a time.
        """
        if not isinstance(client, socket.socket):
            yield
            return
        fd = client.fileno()
        if fd < 0:  # closed on our side: nobody can be answered
            cancellation.cancel(client_gone())
            yield
            return
        watch = Watch(client, cancellation)
        try:
            self._add(fd, watch)
            yield
        finally:
            self._remove(fd, watch)

    def _add(self, fd: int, watch: Watch) -> None:
        with self._lock:
            if self._poller is None:
                return
            self._watches[fd] = watch
            try:
                self._poller.add(fd)
            except OSError as error:  # closed since, or the kernel's limit: serve it unwatched
                log.warning("client not watched", error=type(error).__name__)

    def _remove(self, fd: int, watch: Watch) -> None:
        with self._lock:
            if self._poller is not None and self._watches.get(fd) is watch:
                del self._watches[fd]
                self._poller.remove(fd)

    def _run(self, poller: HangupPoller) -> None:
        while self._poller is poller:
            for fd in poller.wait():
                self._look_at(fd, poller)

    def _look_at(self, fd: int, poller: HangupPoller) -> None:
        """Cancel if whoever is watched under this number now has hung up."""
        with self._lock:
            watch = self._watches.get(fd)
            if watch is None or self._poller is not poller:
                return
            if not self._is_gone(fd, watch.client, poller):
                return
            del self._watches[fd]
            poller.remove(fd)
            try:
                watch.cancellation.cancel(client_gone())
            except Exception as error:  # noqa: BLE001 - one request must not blind us for the others
                log.error("request not cancelled", error=type(error).__name__)

    @staticmethod
    def _is_gone(fd: int, client: socket.socket, poller: HangupPoller) -> bool:
        try:
            if poller.has_hung_up(client):
                return True
            poller.add(fd)  # the hint was about an earlier connection or a passing error: arm again
        except (OSError, ValueError):  # closed on our side
            return True
        return False


def client_gone() -> ClientGoneError:
    """What the request's thread gets to see."""
    return ClientGoneError("The client closed the connection.")
