"""Clients that hang up, with both pollers; what is not watched; nothing left behind."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest
from structlog.testing import capture_logs

from ogp.core.errors import ClientGoneError
from ogp.core.exchange import Cancellation
from ogp.upstream.hangups import EpollPoller, HangupPoller, PeekPoller
from ogp.upstream.watcher import ClientWatcher

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
