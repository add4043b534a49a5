"""Clients that hang up, with both pollers; reused connections and numbers; nothing left behind."""

import os
import random
import select
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Semaphore
from typing import ClassVar

import pytest
from structlog.testing import capture_logs

from ogp.core.errors import ClientGoneError
from ogp.core.exchange import Cancellation
from ogp.upstream.watcher import (
    ClientWatcher,
    EpollPoller,
    HangupPoller,
    PeekPoller,
    Watch,
    system_poller,
)

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


def reset(client: socket.socket) -> None:
    """Close with RST instead of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()


def half_close(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)


def is_noticed(cancellation: Cancellation, within_s: float = PATIENCE_S) -> bool:
    """Wait for the cancellation as a request's thread does."""
    cancelled = Event()
    with cancellation.interrupt(cancelled.set):
        return cancelled.wait(within_s)


@pytest.mark.parametrize("leave", [socket.socket.close, reset, half_close])
def test_a_client_that_hangs_up_cancels_its_request(
    watcher: ClientWatcher, connect: Connections, leave: Callable[[socket.socket], None]
) -> None:
    (ours, client), cancellation = connect(), Cancellation()
    with watcher.watch(ours, cancellation):
        leave(client)
        assert is_noticed(cancellation)
    assert isinstance(cancellation.error, ClientGoneError)


def test_a_client_that_left_before_the_watch_is_noticed(
    watcher: ClientWatcher, connect: Connections
) -> None:
    (ours, client), cancellation = connect(), Cancellation()
    client.close()
    with watcher.watch(ours, cancellation):
        assert is_noticed(cancellation)


def test_a_client_on_a_unix_socket_is_noticed(watcher: ClientWatcher) -> None:
    ours, client = socket.socketpair()
    cancellation = Cancellation()
    with ours, watcher.watch(ours, cancellation):
        client.close()
        assert is_noticed(cancellation)


def test_only_the_request_of_that_client_is_cancelled(
    watcher: ClientWatcher, connect: Connections
) -> None:
    (ours, client), (other, _still_there) = connect(), connect()
    cancellation, uninvolved = Cancellation(), Cancellation()
    with watcher.watch(other, uninvolved), watcher.watch(ours, cancellation):
        client.close()
        assert is_noticed(cancellation)
        assert uninvolved.error is None


def test_bytes_in_flight_are_no_hangup(watcher: ClientWatcher, connect: Connections) -> None:
    """The watcher has had its look when it has noticed a later event on another connection."""
    (ours, client), (other, leaver) = connect(), connect()
    cancellation, marker = Cancellation(), Cancellation()
    with watcher.watch(ours, cancellation), watcher.watch(other, marker):
        client.sendall(b"GET /next HTTP/1.1\r\n\r\n")
        leaver.close()
        assert is_noticed(marker)
        assert cancellation.error is None
    assert ours.recv(100) == b"GET /next HTTP/1.1\r\n\r\n"


def test_a_client_with_unread_bytes_has_not_hung_up(
    make_poller: Callable[[], HangupPoller], connect: Connections
) -> None:
    (ours, client), poller = connect(), make_poller()
    client.sendall(b"the rest of a body")
    assert select.select([ours], [], [], PATIENCE_S)[0] == [ours]
    assert not poller.has_hung_up(ours)
    poller.close()


def test_no_cancellation_comes_after_the_watch(
    watcher: ClientWatcher, connect: Connections
) -> None:
    (ours, client), (other, leaver) = connect(), connect()
    finished, marker = Cancellation(), Cancellation()
    with watcher.watch(ours, finished):
        pass
    with watcher.watch(other, marker):
        client.close()
        leaver.close()
        assert is_noticed(marker)
    assert finished.error is None


def test_a_kept_alive_connection_is_watched_again_and_again(
    watcher: ClientWatcher, connect: Connections
) -> None:
    ours, client = connect()
    for _ in range(50):
        with watcher.watch(ours, Cancellation()):
            pass
    cancellation = Cancellation()
    with watcher.watch(ours, cancellation):
        client.close()
        assert is_noticed(cancellation)


def test_the_later_of_two_watches_on_one_connection_counts(
    watcher: ClientWatcher, connect: Connections
) -> None:
    (ours, client), earlier, later = connect(), Cancellation(), Cancellation()
    with watcher.watch(ours, earlier):
        with watcher.watch(ours, later):
            client.close()
            assert is_noticed(later)
        assert earlier.error is None


def test_an_error_ends_the_watch(watcher: ClientWatcher, connect: Connections) -> None:
    ours, _client = connect()
    with pytest.raises(RuntimeError), watcher.watch(ours, Cancellation()):
        raise RuntimeError
    assert watcher._watches == {}


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


class ScriptedPoller(EpollPoller):
    """Keeps what it hears from the watcher: the test gives the hints."""

    def __init__(self) -> None:
        super().__init__()
        self.reported = Semaphore(0)

    def wait(self) -> list[int]:
        super().wait()
        self.reported.release()
        return []


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


def test_adding_a_connection_again_arms_it(connect: Connections) -> None:
    (ours, client), poller = connect(), EpollPoller()
    client.close()
    poller.add(ours.fileno())
    assert poller.wait() == [ours.fileno()]
    poller.add(ours.fileno())
    assert poller.wait() == [ours.fileno()]
    poller.close()


def test_a_removed_connection_is_not_reported(
    make_poller: Callable[[], HangupPoller], connect: Connections
) -> None:
    (ours, client), poller = connect(), make_poller()
    poller.add(ours.fileno())
    poller.remove(ours.fileno())
    client.close()
    poller.wake()
    assert poller.wait() == []
    poller.close()


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


def test_a_connection_closed_before_the_watch_is_cancelled_at_once(
    watcher: ClientWatcher, connect: Connections
) -> None:
    (ours, _client), cancellation = connect(), Cancellation()
    ours.close()
    with watcher.watch(ours, cancellation):
        assert isinstance(cancellation.error, ClientGoneError)


def test_a_connection_that_cannot_be_watched_is_served(connect: Connections) -> None:
    class FullPoller(EpollPoller):
        def add(self, fd: int) -> None:
            raise OSError(28, "too many watches")

    (ours, _client), cancellation, watcher = connect(), Cancellation(), ClientWatcher(FullPoller)
    watcher.start()
    with capture_logs() as logs, watcher.watch(ours, cancellation):
        assert cancellation.error is None
    assert [(line["event"], line["error"]) for line in logs] == [("client not watched", "OSError")]
    watcher.stop()


@pytest.mark.parametrize("client", [None, object()])
def test_what_is_no_socket_is_not_watched(watcher: ClientWatcher, client: object | None) -> None:
    with watcher.watch(client, Cancellation()):
        assert watcher._watches == {}


@pytest.mark.parametrize("stopped", [False, True], ids=["before start", "after stop"])
def test_nothing_is_watched_while_the_watcher_does_not_run(
    connect: Connections, stopped: bool
) -> None:
    (ours, client), cancellation, watcher = connect(), Cancellation(), ClientWatcher()
    if stopped:
        watcher.start()
        watcher.stop()
    with watcher.watch(ours, cancellation):
        client.close()
        assert watcher._watches == {}
    watcher.stop()
    assert cancellation.error is None


def test_a_watch_may_outlive_the_watcher(
    make_poller: Callable[[], HangupPoller], connect: Connections
) -> None:
    (ours, _client), watcher = connect(), ClientWatcher(make_poller)
    watcher.start()
    with watcher.watch(ours, Cancellation()):
        watcher.stop()
    assert watcher._watches == {}


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


def test_stopping_ends_the_thread_and_gives_back_its_files(
    make_poller: Callable[[], HangupPoller],
) -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    watcher = ClientWatcher(make_poller)
    watcher.start()
    thread = watcher._thread
    watcher.stop()
    assert thread is not None
    assert not thread.is_alive()
    assert len(sorted(Path("/proc/self/fd").iterdir())) == len(before)


def test_one_failing_callback_does_not_end_the_watch_for_others(
    watcher: ClientWatcher, connect: Connections
) -> None:
    (ours, client), (other, leaver) = connect(), connect()
    broken, marker, reached = Cancellation(), Cancellation(), Event()

    def fail() -> None:
        reached.set()
        raise OSError("private words")

    with capture_logs() as logs, watcher.watch(ours, broken), watcher.watch(other, marker):
        with broken.interrupt(fail):
            client.close()
            assert reached.wait(PATIENCE_S)
        leaver.close()
        assert is_noticed(marker)
    assert logs == [{"event": "request not cancelled", "error": "OSError", "log_level": "error"}]


def test_peeking_does_not_wait_for_a_socket_with_a_timeout(connect: Connections) -> None:
    ours, _client = connect()
    ours.settimeout(PATIENCE_S)
    assert not PeekPoller().has_hung_up(ours)
    assert ours.fileno() >= 0


def test_a_duplicate_left_open_elsewhere_reports_once_only(connect: Connections) -> None:
    """Otherwise the thread would spin: the number can no longer be removed from epoll."""
    ours, client = connect()
    poller, number = EpollPoller(), ours.fileno()
    poller.add(number)
    with ours.dup():
        ours.close()
        client.close()
        assert poller.wait() == [number]
        poller.remove(number)
        poller.wake()
        assert poller.wait() == []
    poller.close()


def test_adding_a_connection_twice_is_fine(
    make_poller: Callable[[], HangupPoller], connect: Connections
) -> None:
    (ours, client), poller = connect(), make_poller()
    poller.add(ours.fileno())
    poller.add(ours.fileno())
    client.close()
    assert poller.wait() == [ours.fileno()]
    poller.close()


def test_removing_an_unknown_connection_is_fine(
    make_poller: Callable[[], HangupPoller], connect: Connections
) -> None:
    (ours, _client), poller = connect(), make_poller()
    poller.remove(ours.fileno())
    poller.wake()
    assert poller.wait() == []
    poller.close()


def test_linux_uses_epoll() -> None:
    poller = system_poller()
    assert isinstance(poller, EpollPoller)
    poller.close()


def test_without_epoll_clients_are_peeked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("select.epoll")
    assert isinstance(system_poller(), PeekPoller)


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
