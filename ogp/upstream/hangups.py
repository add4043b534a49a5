"""Finds client sockets whose peer has hung up: by epoll where there is one, else by peeking.

A client that closes its sending half only counts as gone too: TCP shows both alike until something
is written, and HTTP clients do not half-close. Bytes that arrive (the rest of a body, a pipelined
request) are no hang-up.
"""

import os
import select
import socket
from contextlib import suppress
from threading import Event
from typing import Protocol

POLL_INTERVAL_S = 0.1
"""Seconds between two looks at the clients where the kernel has no epoll."""


class HangupPoller(Protocol):
    """Finds sockets whose peer has hung up. `wait` runs in one thread, the rest in any.

    What `wait` returns are hints: by the time one is read, its number may belong to another
    connection. `has_hung_up` looks at the connection itself.
    """

    def add(self, fd: int) -> None:
        """Watch the socket; one that is watched already stays watched.

        Raises:
            OSError: it cannot be watched.
        """
        ...

    def remove(self, fd: int) -> None:
        """Stop watching; unknown and closed sockets are fine."""
        ...

    def wait(self) -> list[int]:
        """Sleep until some may have hung up, `wake` was called, or a while has passed."""
        ...

    def has_hung_up(self, client: socket.socket) -> bool:
        """Look at this connection now. Never waits, never consumes bytes.

        Raises:
            OSError, ValueError: it was closed on our side.
        """
        ...

    def wake(self) -> None:
        """End the current `wait` and those to come."""
        ...

    def close(self) -> None:
        """Give back everything; only after the last `wait`."""
        ...


class EpollPoller:
    """Linux: the kernel tells at once, however many are watched."""

    def __init__(self) -> None:
        self._gone = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
        self._epoll = select.epoll()
        self._wakeup = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wakeup, select.EPOLLIN)

    def add(self, fd: int) -> None:
        """Watch, or arm again.

        One-shot: a socket closed elsewhere that lives on in a duplicate would report for ever,
        under a number by which it can no longer be removed.
        """
        mask = self._gone | select.EPOLLONESHOT
        try:
            self._epoll.register(fd, mask)
        except FileExistsError:
            self._epoll.modify(fd, mask)

    def remove(self, fd: int) -> None:
        """Stop watching; of a closed socket the kernel has let go itself."""
        with suppress(OSError):
            self._epoll.unregister(fd)

    def wait(self) -> list[int]:
        """Sleep until a watched peer hangs up or `wake` is called."""
        return [fd for fd, _ in self._epoll.poll() if fd != self._wakeup]

    def has_hung_up(self, client: socket.socket) -> bool:
        """Ask the kernel for the state of the socket, pending bytes or not."""
        probe = select.poll()
        probe.register(client, self._gone)
        return any(events & self._gone for _, events in probe.poll(0))

    def wake(self) -> None:
        """Make the event readable; nobody reads it."""
        os.eventfd_write(self._wakeup, 1)

    def close(self) -> None:
        """Close both kernel objects."""
        self._epoll.close()
        os.close(self._wakeup)


class PeekPoller:
    """Elsewhere (macOS): looks at every watched client each `interval_s` seconds.

    A hang-up behind unread bytes stays unseen until they are read.
    """

    def __init__(self, interval_s: float = POLL_INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._stopped = Event()
        self._watched: set[int] = set()

    def add(self, fd: int) -> None:
        """Look at it from now on."""
        self._watched.add(fd)

    def remove(self, fd: int) -> None:
        """Look no more."""
        self._watched.discard(fd)

    def wait(self) -> list[int]:
        """Sleep for the interval, then suspect everybody."""
        self._stopped.wait(self._interval_s)
        return list(self._watched)  # one step for the interpreter, hence no lock

    def has_hung_up(self, client: socket.socket) -> bool:
        """Peek at the next byte: there is an end of file, a broken connection, or neither."""
        # Not through `client`: with a timeout set, its `recv` would wait despite MSG_DONTWAIT;
        # with TLS it would refuse the flags.
        peek = socket.socket(client.family, client.type, client.proto, fileno=client.fileno())
        try:
            return not peek.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            peek.detach()

    def wake(self) -> None:
        """No more sleeping."""
        self._stopped.set()

    def close(self) -> None:
        """Forget everybody."""
        self._watched.clear()


def system_poller() -> HangupPoller:
    """The best this kernel has."""
    return EpollPoller() if hasattr(select, "epoll") else PeekPoller()
