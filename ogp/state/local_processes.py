"""Which processes live: each holds a lock on a file of its own, which the kernel frees at death."""

import fcntl
import os
import secrets
from pathlib import Path

SUFFIX = ".lock"


class SignOfLife:
    """The locked file of this process.

    The lock belongs to the open file, so it is taken after the fork, and children that outlive
    this process without an exec would keep it.
    """

    def __init__(self) -> None:
        """Choose nothing yet; `hold` does."""
        self.name = ""
        """No other process has it, before or after; empty until the first `hold`."""
        self._path = Path()
        self._handle: int | None = None

    def hold(self, directory: Path) -> None:
        """Make the file and lock it, or see that both still stand.

        Others must be kept from looking meanwhile: a file that is not locked yet looks dead.

        Raises:
            OSError: the directory is gone or not writable.
        """
        if self._stands_in(directory):
            return
        self.drop()
        self.name = self.name or f"{os.getpid()}-{secrets.token_hex(6)}"
        self._path = directory / (self.name + SUFFIX)
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def drop(self) -> None:
        """Remove the file and give the lock back: from here on this process counts as dead."""
        if self._handle is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None

    def _stands_in(self, directory: Path) -> bool:
        """Whether others find the file there and take it for ours."""
        if self._handle is None or self._path.parent != directory:
            return False
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._handle))
        except FileNotFoundError:
            return False


def lives(directory: Path, name: str) -> bool:
    """Whether the process of this name holds its file. A process never asks for itself."""
    try:
        handle = os.open(directory / (name + SUFFIX), os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def living(directory: Path) -> list[str]:
    """Names of the processes that live in the directory."""
    names = sorted(path.stem for path in directory.glob(f"*{SUFFIX}"))
    return [name for name in names if lives(directory, name)]


def bury(directory: Path, name: str) -> None:
    """Remove what a dead process left."""
    for path in directory.glob(f"{name}.*"):
        path.unlink(missing_ok=True)
