"""Points in time as text: `2026-11-20T18:47:00.123Z`, UTC, milliseconds.

It sorts as it reads, SQLite's date functions take it, and people can compare it by hand.
"""

from datetime import UTC, datetime

from sqlalchemy import Dialect, String
from sqlalchemy.types import TypeDecorator

LENGTH = 24


def to_text(moment: datetime) -> str:
    """The stored form of an aware datetime; anything below a millisecond is cut off.

    Raises:
        ValueError: `moment` has no time zone, so nobody knows when that was.
    """
    if moment.tzinfo is None:
        raise ValueError("a stored time needs a time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def unix_to_text(seconds: float) -> str:
    """The stored form of a Unix time in seconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def from_text(text: str) -> datetime:
    """The aware datetime, in UTC, behind a stored text."""
    return datetime.fromisoformat(text)


class UtcTime(TypeDecorator[datetime]):
    """A column of aware datetimes, stored as the text above."""

    impl = String(LENGTH)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> str | None:
        """Python to database."""
        return None if value is None else to_text(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> datetime | None:
        """Database to Python."""
        return None if value is None else from_text(value)
