"""Long work beside the requests, one piece after the other."""

import logging
from collections import deque
from collections.abc import Callable
from threading import Lock, Thread


class Background:
    """Runs functions in their order, on a thread that lives while there are any. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()  # guards the two below; never held while a function runs
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_busy = False

    def run(self, function: Callable[[], None]) -> None:
        """Run it when all earlier ones have ended. What it raises is logged by type and lost."""
        with self._lock:
            self._waiting.append(function)
            if not self._is_busy:
                Thread(target=self._work, name="guard-background", daemon=True).start()
                self._is_busy = True

    def stop(self) -> None:
        """Forget what has not begun; what runs goes on."""
        with self._lock:
            self._waiting.clear()

    def _work(self) -> None:
        while (function := self._next()) is not None:
            try:
                function()
            except BaseException as error:  # noqa: BLE001 - the next must run; Rust code panics so
                kind = type(error).__name__
                logging.getLogger(__name__).error("guard background work failed: error=%s", kind)

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            self._is_busy = bool(self._waiting)
            return self._waiting.popleft() if self._waiting else None
