from threading import Event

import pytest

from ogp.core.errors import InvalidRequestError, StateUnavailableError
from ogp.routing import states
from ogp.routing.plan import ServerState
from ogp.routing.server import Server
from ogp.routing.states import ServerStates
from ogp.state.server_states import MemoryServerBook

SERVERS = [Server("a", "http://a"), Server("b", "http://b", enabled=False)]
WAIT_S = 5.0


class BrokenBook(MemoryServerBook):
    def server_states(self) -> dict[str, str]:
        raise StateUnavailableError

    def set_server_state(self, name: str, state: str) -> None:
        raise StateUnavailableError


def test_at_first_the_configuration_counts() -> None:
    found = ServerStates(SERVERS, MemoryServerBook())
    assert found.states() == {"a": ServerState.ENABLED, "b": ServerState.DISABLED}


def test_a_change_counts_at_once_and_makes_a_version() -> None:
    found = ServerStates(SERVERS, MemoryServerBook())
    before = found.change("a", ServerState.DRAINING, set_by="root")
    assert before is ServerState.ENABLED
    assert found.states()["a"] is ServerState.DRAINING
    assert found.version == 1
    found.change("a", ServerState.DRAINING, set_by="root")
    assert found.version == 1


def test_another_worker_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "LOOK_S", 0.01)
    seen, book = Event(), MemoryServerBook()

    class Telling(ServerStates):
        def _keep(self, found: dict[str, ServerState]) -> None:
            super()._keep(found)
            if found["b"] is ServerState.ENABLED:
                seen.set()

    other = Telling(SERVERS, book)
    other.start()
    ServerStates(SERVERS, book).change("b", ServerState.ENABLED, set_by="root")
    assert seen.wait(WAIT_S)
    other.stop()
    assert other.states()["b"] is ServerState.ENABLED


def test_words_and_servers_of_another_version_are_passed_over() -> None:
    book = MemoryServerBook()
    book.set_server_state("a", "asleep")
    book.set_server_state("gone", "disabled")
    found = ServerStates(SERVERS, book)
    found.start()
    found.stop()
    assert found.states() == {"a": ServerState.ENABLED, "b": ServerState.DISABLED}


def test_a_server_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InvalidRequestError, match="there are a, b"):
        ServerStates(SERVERS, MemoryServerBook()).change("c", ServerState.ENABLED, set_by="root")


def test_without_its_book_nothing_changes() -> None:
    found = ServerStates(SERVERS, BrokenBook())
    found.start()
    found.stop()
    with pytest.raises(StateUnavailableError):
        found.change("a", ServerState.DISABLED, set_by="root")
    assert found.states()["a"] is ServerState.ENABLED
