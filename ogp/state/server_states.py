"""What administrators want of servers: of this process alone, or of all workers of this host."""

from collections.abc import Mapping
from threading import Lock

from ogp.state.local_store import LocalStore


class MemoryServerBook:
    """A `ServerBook` of one process. Thread-safe."""

    def __init__(self) -> None:
        """Begin with no change."""
        self._lock = Lock()  # guards the states
        self._states: dict[str, str] = {}

    def server_states(self) -> Mapping[str, str]:
        """State by server, of those whose state was changed."""
        with self._lock:
            return dict(self._states)

    def set_server_state(self, name: str, state: str) -> None:
        """Change one."""
        with self._lock:
            self._states[name] = state


class LocalServerBook:
    """A `ServerBook` for all processes of one host that share a store. Thread-safe."""

    def __init__(self, store: LocalStore) -> None:
        """Keep the store."""
        self._store = store

    def server_states(self) -> Mapping[str, str]:
        """State by server, of those whose state was changed.

        Raises:
            StateUnavailableError: the shared files cannot be used now.
        """
        with self._store.lock, self._store.transaction() as db:
            return dict(db.execute("SELECT name, state FROM server").fetchall())

    def set_server_state(self, name: str, state: str) -> None:
        """Change one; errors as above."""
        with self._store.lock, self._store.transaction() as db:
            db.execute("INSERT OR REPLACE INTO server (name, state) VALUES (?, ?)", (name, state))
