"""Which worker processes live: each holds a file lock for life, and the kernel frees it at death.

No clock is asked. A lock that can be taken belongs to nobody, however its owner died, and a
process that merely hangs keeps its own.
"""

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUFFIX = ".lock"
PROCESS_NAME = re.compile(r"[0-9]+-[0-9a-f]{8}")


class ProcessLock:
    """The sign of life of one process, a locked file in the run directory.

    The lock belongs to the open file: take it after a fork, and fork no children that outlive the
    process without an exec.
    """

    def __init__(self, directory: Path) -> None:
        """Store the directory; nothing is made."""
        self._directory = directory
        self._handle: int | None = None
        self.name = ""
        """Chosen by `acquire`: no other process has it, before or after a fork or a reboot."""

    @property
    def _path(self) -> Path:
        return self._directory / (self.name + SUFFIX)

    def acquire(self) -> None:
        """Make the file and lock it, or see that both still stand; to be done before a row."""
        self.name = self.name or f"{os.getpid()}-{secrets.token_hex(4)}"
        while not self._is_held():
            self._close()
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            # Somebody who found the file before this line removes it while holding the lock; then
            # the lock just taken is on a file without a name, and the loop makes a new one.
            fcntl.flock(self._handle, fcntl.LOCK_EX)

    def release(self) -> None:
        """Remove the file and give the lock back: this process counts as dead from here on."""
        if self._is_held():
            self._path.unlink()
        self._close()

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _is_held(self) -> bool:
        if self._handle is None:
            return False
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(self._handle))


def known_processes(directory: Path) -> set[str]:
    """Names of the processes that have a lock file, alive or dead."""
    return {path.stem for path in directory.glob(f"*{SUFFIX}") if PROCESS_NAME.fullmatch(path.stem)}


@contextmanager
def burial(directory: Path, process: str) -> Iterator[bool]:
    """Whether the process is dead. If so its file is held for the body, and removed after it.

    A missing file counts as dead: files go only with their process. An error in the body leaves
    the file where it is, for the next attempt.
    """
    if not PROCESS_NAME.fullmatch(process):
        yield True  # written by no process of ours, and no name for a file
        return
    path = directory / (process + SUFFIX)
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield True
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        yield False
        return
    try:
        yield True
        path.unlink(missing_ok=True)
    finally:
        os.close(handle)
