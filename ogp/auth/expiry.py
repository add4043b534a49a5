"""How long a token lives, as people write it."""

import re
from datetime import UTC, date, datetime, time, timedelta

from ogp.auth.accounts import UserError

HINT = "say a duration such as 30d or 12h, a date such as 2027-01-31, or never"

_DURATION = re.compile(r"(?P<count>[0-9]{1,5})(?P<unit>[hd])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_expiry(text: str, now: datetime) -> datetime | None:
    """The moment from which a token is refused, or None for `never`.

    Args:
        text: `30d` and `12h` count from `now`; a date is the last day of use, in UTC.
        now: an aware datetime.

    Raises:
        UserError: `text` is none of these, or lies in the past.
    """
    if text == "never":
        return None
    try:
        moment = _moment(text, now)
    except (ValueError, OverflowError) as error:  # no such day; beyond the year 9999
        raise UserError(f"{text!r} is no expiry: {HINT}") from error
    if moment <= now:
        raise UserError(f"the expiry {text!r} lies in the past: {HINT}")
    return moment


def _moment(text: str, now: datetime) -> datetime:
    duration = _DURATION.fullmatch(text)
    if duration is not None:
        hours = int(duration["count"]) * (24 if duration["unit"] == "d" else 1)
        return now + timedelta(hours=hours)
    if _DATE.fullmatch(text) is None:
        raise ValueError(text)
    last_day = date.fromisoformat(text)
    return datetime.combine(last_day + timedelta(days=1), time.min, UTC)
