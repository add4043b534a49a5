"""Wake-ups between processes: one named pipe per process, in which a byte means "look"."""

import os
import selectors
import time
from contextlib import suppress
from pathlib import Path

SUFFIX = ".wake"


class Wakeups:
    """The pipe of this process, and those of others as far as they were written to.

    A byte says nothing but that the table changed, so a lost one costs time, a foreign one a look,
    and a full pipe is a wake-up already. Pipes are files: private like their directory, found
    under any length of path, and across containers that share no network.

    `wait` is for one thread; all else is called under the store's lock.
    """

    def __init__(self) -> None:
        """Open nothing yet; `listen` does."""
        self._path = Path()
        self._own: int | None = None
        self._retired: list[int] = []
        """Pipes that `wait` may still sleep on; it alone closes them."""
        self._others: dict[str, int] = {}

    def listen(self, directory: Path, name: str) -> None:
        """Make this process' pipe, or see that it still stands. Open for writing too: never ends.

        Raises:
            OSError: the directory is gone or not writable.
        """
        path = directory / (name + SUFFIX)
        if self._own is not None and path == self._path and path.is_fifo():
            return
        os.mkfifo(path, 0o600)
        self.nudge_self()  # `wait` looks up, and finds the new pipe the next time
        if self._own is not None:
            self._retired.append(self._own)
        self._own, self._path = os.open(path, os.O_RDWR | os.O_NONBLOCK), path
        for other in list(self._others):
            self.forget(other)

    def nudge(self, name: str) -> None:
        """Tell another process to look. Nothing happens if it is gone."""
        try:
            pipe = self._others.get(name)
            if pipe is None:
                path = self._path.with_name(name + SUFFIX)
                pipe = self._others[name] = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            os.write(pipe, b"!")
        except BlockingIOError:
            pass  # full of wake-ups that it has not read yet
        except OSError:
            self.forget(name)

    def nudge_self(self) -> None:
        """End this process' own `wait`."""
        if self._own is not None:
            with suppress(BlockingIOError):
                os.write(self._own, b"!")

    def wait(self, timeout_s: float) -> bool:
        """Sleep until somebody nudges, at most `timeout_s` seconds; whether somebody did."""
        while self._retired:
            os.close(self._retired.pop())
        own = self._own
        if own is None:
            time.sleep(timeout_s)  # without its pipe nothing can end it sooner; half a second
            return False
        with selectors.DefaultSelector() as selector:
            selector.register(own, selectors.EVENT_READ)
            if not selector.select(timeout_s):
                return False
        with suppress(BlockingIOError):
            os.read(own, 65_536)
        return True

    def forget(self, name: str) -> None:
        """Close the pipe of a process that is gone."""
        pipe = self._others.pop(name, None)
        if pipe is not None:
            os.close(pipe)

    def close(self) -> None:
        """Close all pipes and remove this process' own; nobody may be in `wait`."""
        for name in list(self._others):
            self.forget(name)
        if self._own is not None:
            self._retired.append(self._own)
            self._own = None
            self._path.unlink(missing_ok=True)
        while self._retired:
            os.close(self._retired.pop())
