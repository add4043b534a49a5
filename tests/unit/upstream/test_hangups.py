"""Both pollers: hints, arming, and what is no hang-up."""

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ogp.upstream.hangups import EpollPoller, HangupPoller, PeekPoller, system_poller

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
def connect() -> Iterator[Connections]:
    """Opens TCP connections on loopback: (our end, the client's end)."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def connection() -> tuple[socket.socket, socket.socket]:
            client = stack.enter_context(socket.create_connection(listener.getsockname()))
            ours = stack.enter_context(listener.accept()[0])
            return ours, client

        yield connection


def test_a_client_with_unread_bytes_has_not_hung_up(
    make_poller: Callable[[], HangupPoller], connect: Connections
) -> None:
    (ours, client), poller = connect(), make_poller()
    client.sendall(b"the rest of a body")
    assert select.select([ours], [], [], PATIENCE_S)[0] == [ours]
    assert not poller.has_hung_up(ours)
    poller.close()


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
