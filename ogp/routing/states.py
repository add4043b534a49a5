"""What administrators want of each server: kept by a book that all workers share."""

from collections.abc import Mapping, Sequence
from threading import Event, Lock, Thread

import structlog

from ogp.core.errors import InvalidRequestError, StateUnavailableError
from ogp.core.ports import ServerBook
from ogp.routing.plan import ServerState
from ogp.routing.server import Server

log = structlog.get_logger(__name__)

LOOK_S = 1.0
"""Other workers follow a change within this time, in seconds."""


class ServerStates:
    """The state of every server, the configured one unless it was changed. Thread-safe.

    A changed state outlasts a reload of the configuration and ends with the service. The book is
    read in the background, so that a request never waits for it.
    """

    def __init__(self, servers: Sequence[Server], book: ServerBook) -> None:
        """Begin with what the configuration says."""
        self._configured = {
            server.name: ServerState.ENABLED if server.enabled else ServerState.DISABLED
            for server in servers
        }
        self._book = book
        self._turn = Lock()  # one access to the book at a time, or an old state would come back
        self._lock = Lock()  # guards the two below
        self._states: Mapping[str, ServerState] = self._configured
        self.version = 0
        """Grows whenever a state changes; read it without the lock."""
        self._stopping = Event()

    def start(self) -> None:
        """Read the book, now and again and again."""
        self._read()
        Thread(target=self._run, name="server-states", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()

    def states(self) -> Mapping[str, ServerState]:
        """By server, in the order of the configuration."""
        with self._lock:
            return self._states

    def change(self, name: str, state: ServerState, *, set_by: str) -> ServerState:
        """Change one, for all workers; the state before.

        Raises:
            InvalidRequestError: there is no such server.
            StateUnavailableError: the change could not be kept; nothing was changed.
        """
        before = self.states().get(name)
        if before is None:
            known = ", ".join(self._configured)
            raise InvalidRequestError(f"There is no server {name!r}; there are {known}.")
        with self._turn:
            self._book.set_server_state(name, state)
            self._keep({**self.states(), name: state})
        log.info("server state changed", server=name, state=state, before=before, set_by=set_by)
        return before

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            self._read()

    def _read(self) -> None:
        with self._turn:
            try:
                changed = self._book.server_states()
            except StateUnavailableError:
                return  # the store has logged it; the states stay as they are
            states = dict(self._configured)
            for name, word in changed.items():
                if name in states and word in set(ServerState):
                    states[name] = ServerState(word)
            for name, before in self.states().items():
                if states[name] is not before:
                    log.info("server state followed", server=name, state=states[name])
            self._keep(states)

    def _keep(self, states: Mapping[str, ServerState]) -> None:
        with self._lock:
            if states != self._states:
                self._states = states
                self.version += 1
