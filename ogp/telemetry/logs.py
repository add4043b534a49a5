"""JSON log lines: one event, one line, to standard output and to the log file.

Lines carry facts as fields and never the text of prompts, answers or tokens. Exceptions appear as
their type and the places they passed, since their messages may quote what was being handled.
"""

import logging
import os
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from traceback import extract_tb
from typing import Any, Protocol

import orjson
import structlog

from ogp.settings.schema import LoggingSettings

STDLIB_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class Sink(Protocol):
    """Where finished lines go."""

    def write(self, line: bytes) -> object:
        """Take one or more whole lines."""
        ...

    def flush(self) -> object:
        """Nothing is kept back after this."""
        ...


class TeeSink:
    """Writes each line to several file descriptors with one `write` each.

    The file is opened for appending, so lines of several workers never mix (POSIX `O_APPEND`).
    """

    def __init__(self, descriptors: Sequence[int], *, file: int | None = None) -> None:
        """Keep where to write.

        Args:
            descriptors: stay open, e.g. standard output.
            file: closed by `close`.
        """
        self._descriptors = (*descriptors, *(() if file is None else (file,)))
        self._file = file

    def write(self, line: bytes) -> int:
        """Write the line everywhere; a full disk or a closed pipe must not end a request."""
        for descriptor in self._descriptors:
            try:
                os.write(descriptor, line)
            except OSError:
                continue
        return len(line)

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        """Close the file; a second call changes nothing."""
        file, self._file = self._file, None
        if file is not None:
            self._descriptors = tuple(fd for fd in self._descriptors if fd != file)
            os.close(file)


class Loggers(structlog.BytesLoggerFactory):
    """Makes structlog's loggers, and knows what they write to."""

    def __init__(self, sink: Sink) -> None:
        super().__init__(file=sink)  # type: ignore[arg-type]  # it asks for a whole BinaryIO
        self.sink = sink


def drop_exception_text(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace `exc_info` by the exception's type and the places it passed, innermost last."""
    raised = event.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()[1]
    elif isinstance(raised, tuple):
        raised = raised[1]
    if isinstance(raised, BaseException):
        event["exception"] = type(raised).__name__
        event["frames"] = [
            f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
            for frame in extract_tb(raised.__traceback__)
        ]
    return event


def render(_logger: Any, _method: str, event: Mapping[str, Any]) -> bytes:
    """One JSON object; control characters and line separators inside values are escaped."""
    return orjson.dumps(dict(event), default=str).replace(b"\xe2\x80\xa8", b"\\u2028")


class StandardLibraryHandler(logging.Handler):
    """Carries lines of gunicorn, urllib3 and others over to our format."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; its arguments are formatted as its author meant."""
        logger = structlog.get_logger(record.name)
        logger.log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
        )


def open_log(path: Path) -> int:
    """Open the log file for appending, readable by its owner only; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def configure_logging(settings: LoggingSettings, *, sink: Sink | None = None) -> None:
    """Set up structlog and the standard library's logging for this process.

    Args:
        settings: level and file.
        sink: takes the lines instead of standard output and file; for tests.
    """
    if sink is None:
        file = None if settings.file is None else open_log(settings.file)
        sink = TeeSink([sys.stdout.fileno()], file=file)
    before = structlog.get_config()["logger_factory"]
    level = STDLIB_LEVELS[settings.level]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            drop_exception_text,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=Loggers(sink),
        cache_logger_on_first_use=False,
    )
    if isinstance(before, Loggers) and isinstance(before.sink, TeeSink):
        before.sink.close()
    root = logging.getLogger()
    root.handlers = [StandardLibraryHandler()]
    root.setLevel(max(level, logging.INFO))
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings quote paths and hosts
