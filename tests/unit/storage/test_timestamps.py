import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ogp.storage.timestamps import LENGTH, from_text, to_text, unix_to_text

MOMENT = datetime(2026, 11, 20, 18, 47, 0, 123_900, tzinfo=UTC)
TEXT = "2026-11-20T18:47:00.123Z"


def test_a_moment_is_utc_text_with_milliseconds() -> None:
    assert to_text(MOMENT) == TEXT
    assert len(TEXT) == LENGTH


def test_another_time_zone_is_converted() -> None:
    assert to_text(MOMENT.astimezone(timezone(timedelta(hours=-5)))) == TEXT


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        to_text(MOMENT.replace(tzinfo=None))


def test_unix_seconds_have_the_same_form() -> None:
    assert unix_to_text(MOMENT.timestamp()) == TEXT


def test_whole_seconds_keep_their_milliseconds() -> None:
    assert unix_to_text(0) == "1970-01-01T00:00:00.000Z"


def test_text_comes_back_as_an_aware_moment() -> None:
    assert from_text(TEXT) == MOMENT.replace(microsecond=123_000)


def test_sqlite_date_functions_take_the_text() -> None:
    seconds = sqlite3.connect(":memory:").execute("SELECT unixepoch(?)", (TEXT,)).fetchone()[0]
    assert seconds == int(MOMENT.timestamp())
