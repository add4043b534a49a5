"""Expiry as people write it."""

from datetime import UTC, datetime, timedelta

import pytest

from ogp.auth.accounts import UserError
from ogp.auth.expiry import parse_expiry

NOW = datetime(2026, 11, 20, 18, 47, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "lasts"),
    [
        ("30d", timedelta(days=30)),
        ("1d", timedelta(days=1)),
        ("12h", timedelta(hours=12)),
        ("99999d", timedelta(days=99999)),
    ],
)
def test_duration_counts_from_now(text: str, lasts: timedelta) -> None:
    assert parse_expiry(text, NOW) == NOW + lasts


def test_date_is_the_last_day_of_use() -> None:
    assert parse_expiry("2027-01-31", NOW) == datetime(2027, 2, 1, tzinfo=UTC)


def test_today_lasts_until_midnight() -> None:
    assert parse_expiry("2026-11-20", NOW) == datetime(2026, 11, 21, tzinfo=UTC)


def test_never_is_no_expiry() -> None:
    assert parse_expiry("never", NOW) is None


@pytest.mark.parametrize("text", ["0d", "0h", "2026-11-19", "1999-01-01"])
def test_past_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="past"):
        parse_expiry(text, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "d",
        "-1d",
        "1.5d",
        "30D",
        "30 d",
        "30d\n",
        "٣٠d",
        "999999d",
        "2027-02-30",
        "2027-1-31",
        "20270131",
        "31.01.2027",
        "2027-01-31T00:00",
        "9999-12-31",
        "tomorrow",
    ],
)
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UserError, match="30d or 12h, a date such as 2027-01-31, or never"):
        parse_expiry(text, NOW)


def test_duration_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(UserError, match="is no expiry"):
        parse_expiry("99999d", datetime(9990, 1, 1, tzinfo=UTC))
