"""Where the shared state of one host lies: one directory per layout and boot, private to us."""

import hashlib
import os
import re
import shutil
from pathlib import Path

import structlog

from ogp.state.local_processes import living

LAYOUT = 2
"""Changes with the tables or with the meaning of any file: other layouts get other directories."""

NAME = re.compile(r"slots-v[0-9]+-[0-9a-f]+")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

log = structlog.get_logger(__name__)


def boot_name(source: Path = BOOT_ID) -> str:
    """A short name of this boot of the host; the same for every boot where none can be told.

    Without one, files may be left from before the last start of the host. Nobody who wrote them
    lives, so they are not continued either (`LocalStore`).
    """
    try:
        boot_id = source.read_text("ascii").strip()
    except OSError:
        return "0"
    return hashlib.sha256(boot_id.encode()).hexdigest()[:12]


def service_run() -> str:
    """Names this run of the service: the process that started the workers, and when it started.

    Numbers of processes come again, in containers at every start, so the time counts where the
    kernel tells it (Linux).
    """
    parent = os.getppid()
    try:
        fields = Path(f"/proc/{parent}/stat").read_text("utf-8", "replace")
        started = fields.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        started = ""
    return f"{parent}-{started}"


def own_directory(base: Path, boot: str) -> Path:
    """The directory of this layout and boot, made if need be, private to us.

    Raises:
        OSError: it cannot be made, or it is somebody else's.
    """
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = base / f"slots-v{LAYOUT}-{boot}"
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if directory.is_symlink() or found.st_uid != os.geteuid():
        raise PermissionError(f"{directory} is not ours")
    if found.st_mode & 0o077:
        directory.chmod(0o700)
    return directory


def remove_strangers(own: Path) -> None:
    """Remove directories of other layouts and boots in which nobody lives; report the others."""
    for directory in sorted(own.parent.iterdir()):
        if directory == own or not NAME.fullmatch(directory.name) or directory.is_symlink():
            continue
        try:
            processes = living(directory)
        except OSError as error:
            log.warning("cannot look into", directory=str(directory), reason=str(error))
            continue
        if processes:
            log.warning(
                "processes of another version are running; limits are not shared with them",
                directory=str(directory),
                processes=len(processes),
            )
            continue
        shutil.rmtree(directory, ignore_errors=True)
        log.info("removed the state of an older run", directory=str(directory))
