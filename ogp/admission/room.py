"""How many requests may be inside at once, so that our own endpoints always find a thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from ogp.core.errors import QueueFullError


class RequestRoom:
    """Lets in so many requests for the upstream, whatever they do there. Thread-safe.

    A request occupies a thread from its first byte, also while body or answer drip over the line.
    The queues bound who waits for a slot; this bounds everyone else as well.
    """

    def __init__(self, places: int) -> None:
        """Keep the places.

        Args:
            places: requests inside at once; fewer than the threads of the process.
        """
        self._places = BoundedSemaphore(places)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for the body of the `with`.

        Raises:
            QueueFullError: there is none; never waits.
        """
        if not self._places.acquire(blocking=False):
            raise QueueFullError("")
        try:
            yield
        finally:
            self._places.release()
