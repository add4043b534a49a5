"""Late reports, reused connections and numbers, restarts: no request is mistaken for another."""

import os
import random
import select
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event, Semaphore
from typing import ClassVar

import pytest

from ogp.core.errors import ClientGoneError
from ogp.core.exchange import Cancellation
from ogp.upstream.hangups import EpollPoller, HangupPoller, PeekPoller
from ogp.upstream.watcher import ClientWatcher, Watch

PATIENCE_S = 10.0
FAST_S = 0.002

Connections = Callable[[], tuple[socket.socket, socket.socket]]


def fast_peek_poller() -> PeekPoller:
    return PeekPoller(FAST_S)


@pytest.fixture(params=[EpollPoller, fast_peek_poller], ids=["epoll", "peek"])
def make_poller(request: pytest.FixtureRequest) -> Callable[[], HangupPoller]:
    factory: Callable[[], HangupPoller] = request.param
    return factory


@pytest.fixture
def watcher(make_poller: Callable[[], HangupPoller]) -> Iterator[ClientWatcher]:
    watcher = ClientWatcher(make_poller)
    watcher.start()
    yield watcher
    assert watcher._watches == {}
    watcher.stop()


@pytest.fixture
def connect() -> Iterator[Connections]:
    """Opens TCP connections on loopback: (our end, the client's end)."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def connection() -> tuple[socket.socket, socket.socket]:
            client = stack.enter_context(socket.create_connection(listener.getsockname()))
            ours = stack.enter_context(listener.accept()[0])
            return ours, client

        yield connection


def is_noticed(cancellation: Cancellation, within_s: float = PATIENCE_S) -> bool:
    """Wait for the cancellation as a request's thread does."""
    cancelled = Event()
    with cancellation.interrupt(cancelled.set):
        return cancelled.wait(within_s)


class ScriptedPoller(EpollPoller):
    """Keeps what it hears from the watcher: the test gives the hints."""

    def __init__(self) -> None:
        super().__init__()
        self.reported = Semaphore(0)

    def wait(self) -> list[int]:
        super().wait()
        self.reported.release()
        return []


def test_a_reused_number_does_not_cancel_the_new_request(
    watcher: ClientWatcher, connect: Connections
) -> None:
    """Our end is closed under its request; its number goes to the next connection."""
    (old, old_client), (other, leaver) = connect(), connect()
    (donor, new_client), new_request, marker = connect(), Cancellation(), Cancellation()
    number = old.fileno()
    with watcher.watch(old, Cancellation()):
        old.close()
        os.dup2(donor.fileno(), number, inheritable=False)
        with (
            socket.socket(fileno=number) as new,
            watcher.watch(new, new_request),
            watcher.watch(other, marker),
        ):
            old_client.close()
            leaver.close()
            assert is_noticed(marker)
            assert new_request.error is None
            new_client.close()
            assert is_noticed(new_request)


def test_a_late_hint_does_not_cancel_the_next_request(connect: Connections) -> None:
    """The kernel's report of an earlier hang-up is read after the number has a new owner."""
    watcher = ClientWatcher(ScriptedPoller)
    watcher.start()
    (ours, client), cancellation = connect(), Cancellation()
    poller = watcher._poller
    assert isinstance(poller, ScriptedPoller)
    with watcher.watch(ours, cancellation):
        watcher._look_at(ours.fileno(), poller)
        assert cancellation.error is None
        client.close()
        watcher._look_at(ours.fileno(), poller)
        assert is_noticed(cancellation)
    watcher.stop()


def test_a_hint_without_a_hangup_arms_the_watch_again(connect: Connections) -> None:
    (ours, client), watcher = connect(), ClientWatcher(ScriptedPoller)
    watcher.start()
    poller = watcher._poller
    assert isinstance(poller, ScriptedPoller)
    with watcher.watch(ours, Cancellation()):
        poller._epoll.modify(ours.fileno(), select.EPOLLOUT | select.EPOLLONESHOT)
        assert poller.reported.acquire(timeout=PATIENCE_S)  # its one shot is spent
        watcher._look_at(ours.fileno(), poller)
        client.close()
        assert poller.reported.acquire(timeout=PATIENCE_S)
    watcher.stop()


def test_every_watch_leaves_the_poller(connect: Connections) -> None:
    class CountingPoller(EpollPoller):
        registered: ClassVar[set[int]] = set()

        def add(self, fd: int) -> None:
            super().add(fd)
            self.registered.add(fd)

        def remove(self, fd: int) -> None:
            super().remove(fd)
            self.registered.discard(fd)

    (ours, _client), (other, leaver) = connect(), connect()
    watcher, cancellation = ClientWatcher(CountingPoller), Cancellation()
    watcher.start()
    with watcher.watch(ours, Cancellation()):
        assert CountingPoller.registered == {ours.fileno()}
    with watcher.watch(other, cancellation):
        leaver.close()
        assert is_noticed(cancellation)
    assert CountingPoller.registered == set()
    watcher.stop()


def test_a_connection_closed_on_our_side_meanwhile_counts_as_gone(
    make_poller: Callable[[], HangupPoller], connect: Connections
) -> None:
    (ours, _client), cancellation = connect(), Cancellation()
    watcher, number = ClientWatcher(make_poller), ours.fileno()
    watcher.start()
    poller = watcher._poller
    assert poller is not None
    with watcher.watch(ours, cancellation):
        ours.close()
        watcher._look_at(number, poller)
        assert is_noticed(cancellation)
    watcher.stop()


def test_a_late_hint_after_the_watch_or_the_stop_does_nothing(connect: Connections) -> None:
    (ours, client), watcher = connect(), ClientWatcher(EpollPoller)
    client.close()
    watcher.start()
    poller = watcher._poller
    assert poller is not None
    watcher._look_at(ours.fileno(), poller)
    watcher.stop()
    watcher._look_at(ours.fileno(), poller)
    assert watcher._watches == {}


@pytest.mark.parametrize("error", [OSError, ValueError])
def test_a_connection_closed_on_our_side_while_looking_counts_as_gone(
    connect: Connections, error: type[Exception]
) -> None:
    class BrokenPoller(ScriptedPoller):
        def has_hung_up(self, client: socket.socket) -> bool:
            raise error

    (ours, _client), cancellation = connect(), Cancellation()
    watcher = ClientWatcher(BrokenPoller)
    watcher.start()
    poller = watcher._poller
    assert poller is not None
    with watcher.watch(ours, cancellation):
        watcher._look_at(ours.fileno(), poller)
        assert isinstance(cancellation.error, ClientGoneError)
    watcher.stop()


def test_a_watch_begun_before_and_ended_after_a_restart_changes_nothing(
    make_poller: Callable[[], HangupPoller], connect: Connections
) -> None:
    (ours, client), watcher, cancellation = connect(), ClientWatcher(make_poller), Cancellation()
    watcher.start()
    outliving = watcher.watch(ours, Cancellation())
    outliving.__enter__()
    watcher.stop()
    watcher.start()
    with watcher.watch(ours, cancellation):
        outliving.__exit__(None, None, None)
        client.close()
        assert is_noticed(cancellation)
    watcher.stop()


def test_two_watches_of_one_request_are_two() -> None:
    with socket.socket() as client:
        cancellation = Cancellation()
        assert Watch(client, cancellation) != Watch(client, cancellation)


def test_500_random_hangups_are_noticed_and_leave_nothing(
    watcher: ClientWatcher, connect: Connections
) -> None:
    """Keep-alive, aborts and reused numbers mixed over 8 threads; no request is mistaken."""

    def client_of_many_requests(seed: int) -> int:
        chance, aborts = random.Random(seed), 0
        while aborts < 63:
            ours, client = socket.socketpair()
            with ours, client:
                for _ in range(chance.randrange(3)):
                    finished = Cancellation()
                    with watcher.watch(ours, finished):
                        client.sendall(b"x")
                        assert ours.recv(1) == b"x"
                    assert finished.error is None
                aborted = Cancellation()
                with watcher.watch(ours, aborted):
                    client.close()
                    assert is_noticed(aborted)
                    aborts += 1
        return aborts

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(client_of_many_requests, range(8))) >= 500
