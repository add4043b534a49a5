"""Reading the configuration again: a bad file keeps the last good one."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ogp.settings.load import Loaded, load_content, load_settings
from ogp.settings.problems import SettingsError
from ogp.settings.schema import Settings
from ogp.settings.yaml_file import read_file


class Log(Protocol):
    """The part of a structlog logger that is used here."""

    def error(self, event: str, **fields: Any) -> Any:
        """Something needs hands."""
        ...


Accept = Callable[[Settings], None]


def everything(_settings: Settings) -> None:
    """Accept all settings."""


def effective_config(
    path: Path | None,
    snapshot: Path,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, Any],
    log: Log,
    accept: Accept = everything,
) -> Loaded:
    """The configuration to run with from now on; the master calls this at every (re)load.

    A good file is copied byte for byte to `snapshot`, from which workers load: they then agree with
    the master even if the file is edited meanwhile. A bad one is reported, and the snapshot counts.

    Args:
        path: the operator's file; None where there is none (the snapshot is then empty).
        snapshot: where the last good file is kept. Remove it before the first load of a service:
            a start, other than a reload, must not come up with a configuration from before.
        environ: the environment.
        flags: dotted key -> value.
        log: told about every problem, and that the last good configuration stays.
        accept: raises `SettingsError` for settings that are well formed but cannot be used.

    Raises:
        SettingsError: the configuration is bad and there is no usable snapshot.
    """
    try:
        content = b"" if path is None else read_file(path)
        loaded = load_content(content, str(path), environ=environ, flags=flags)
        accept(loaded.settings)
    except SettingsError as error:
        return _last_good(error, snapshot, environ=environ, flags=flags, log=log)
    _replace(snapshot, content)
    return loaded


def _last_good(
    refused: SettingsError,
    snapshot: Path,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, Any],
    log: Log,
) -> Loaded:
    for problem in refused.problems:
        log.error(
            "configuration refused",
            key=problem.key,
            value=problem.value,
            source=problem.source,
            problem=problem.message,
        )
    try:
        loaded = load_settings(snapshot, environ=environ, flags=flags)
    except SettingsError:
        raise refused from None
    log.error("last good configuration stays in use", problems=len(refused.problems))
    return loaded


def _replace(snapshot: Path, content: bytes) -> None:
    """Write with mode 0600 beside the target, then rename: readers see the old or the new file."""
    snapshot.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=snapshot.parent, prefix=f".{snapshot.name}.")
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(snapshot)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
