"""What all servers have, as they last said it."""

from collections.abc import Iterable, Mapping
from threading import Lock

from ogp.core.clock import Clock
from ogp.routing.listing import Listing


class Catalog:
    """The last listing of each server. Thread-safe.

    A server that does not answer any more keeps its listing for a while: its models are not
    unknown because it is being restarted.
    """

    def __init__(self, names: Iterable[str], clock: Clock, *, ttl_s: float) -> None:
        """Begin with nothing.

        Args:
            names: the servers.
            ttl_s: how long a listing counts that is not renewed, in seconds.
        """
        self._clock, self._ttl_s = clock, ttl_s
        self._lock = Lock()  # guards the three below
        self._listings: Mapping[str, Listing | None] = dict.fromkeys(names)
        self._renewed: dict[str, float] = {}
        self.version = 0
        """Grows whenever a listing changes; read it without the lock."""

    def put(self, name: str, listing: Listing) -> None:
        """Keep a server's new listing."""
        with self._lock:
            self._renewed[name] = self._clock.monotonic()
            if self._listings[name] != listing:
                self._change(name, listing)
            else:  # the entries may tell more than the names
                self._listings = {**self._listings, name: listing}

    def missed(self, name: str) -> None:
        """A server could not be asked: forget its listing once it is too old."""
        with self._lock:
            renewed = self._renewed.get(name)
            if renewed is not None and self._clock.monotonic() - renewed > self._ttl_s:
                del self._renewed[name]
                self._change(name, None)

    def listings(self) -> Mapping[str, Listing | None]:
        """By server, in the order of the configuration; None of one that never said anything."""
        with self._lock:
            return self._listings

    def _change(self, name: str, listing: Listing | None) -> None:
        self._listings = {**self._listings, name: listing}
        self.version += 1
