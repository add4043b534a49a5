"""What the user commands print, as people and programs read it."""

from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest

from ogp.auth.accounts import Account, StoredToken, User
from ogp.cli.tables import (
    ACCOUNT_HEADS,
    TOKEN_HEADS,
    account_facts,
    account_row,
    print_json,
    print_table,
    time_text,
    token_facts,
    token_row,
)
from ogp.core.types import Priority, Role

NOW = datetime(2026, 11, 20, 18, 47, 5, 123000, tzinfo=UTC)
TOKEN = StoredToken(
    id="AbCd1234",
    created_at=NOW,
    expires_at=NOW + timedelta(days=1),
    revoked_at=None,
    last_used_at=None,
)


def make_account(*tokens: StoredToken) -> Account:
    user = User(id=1, name="alice", role=Role.ADMIN, active=True, created_at=NOW)
    return Account(user=user, tokens=tokens, requests=7)


def test_time_is_shown_to_the_minute_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    assert time_text(NOW.astimezone(berlin)) == "2026-11-20 18:47 UTC"


def test_no_time_is_never() -> None:
    assert time_text(None) == "never"


def test_account_row_has_the_columns_of_its_heads() -> None:
    assert dict(zip(ACCOUNT_HEADS, account_row(make_account(TOKEN), NOW), strict=True)) == {
        "Name": "alice",
        "Role": "admin",
        "Status": "active",
        "Requests": "7",
        "Token preview": "ogp_AbCd1234_...",
        "Priority": "-",
        "Created": "2026-11-20 18:47 UTC",
        "Last used": "never",
    }


def test_account_without_a_token_says_so() -> None:
    assert account_row(make_account(), NOW)[4] == "none"


def test_token_row_has_the_columns_of_its_heads() -> None:
    assert dict(zip(TOKEN_HEADS, token_row(TOKEN), strict=True)) == {
        "Token preview": "ogp_AbCd1234_...",
        "Priority": "-",
        "Created": "2026-11-20 18:47 UTC",
        "Expires": "2026-11-21 18:47 UTC",
        "Revoked": "no",
        "Last used": "never",
    }


def test_class_of_a_token_is_shown() -> None:
    token = StoredToken("AbCd1234", NOW, None, None, None, Priority.BATCH)
    assert token_row(token)[1] == "batch"
    assert account_row(make_account(token), NOW)[5] == "batch"
    assert token_facts(token)["priority"] == "batch"


def test_revoked_token_tells_when() -> None:
    token = StoredToken("AbCd1234", NOW, None, NOW, NOW)
    assert token_row(token)[3:] == ("never", "2026-11-20 18:47 UTC", "2026-11-20 18:47 UTC")


def test_facts_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({**account_facts(make_account(TOKEN), NOW), "tokens": [token_facts(TOKEN)]})
    assert orjson.loads(capsys.readouterr().out) == {
        "name": "alice",
        "role": "admin",
        "status": "active",
        "requests": 7,
        "token_preview": "ogp_AbCd1234_...",
        "priority": None,
        "created_at": "2026-11-20T18:47:05.123000Z",
        "last_used_at": None,
        "expires_at": "2026-11-21T18:47:05.123000Z",
        "tokens": [
            {
                "id": "AbCd1234",
                "priority": None,
                "created_at": "2026-11-20T18:47:05.123000Z",
                "expires_at": "2026-11-21T18:47:05.123000Z",
                "revoked_at": None,
                "last_used_at": None,
            }
        ],
    }


def test_facts_of_an_account_without_a_token_are_null() -> None:
    facts = account_facts(make_account(), NOW)
    assert (facts["token_preview"], facts["expires_at"]) == (None, None)


def test_cells_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["Head"], [["[bold]x[/bold]"]])
    assert "[bold]x[/bold]" in capsys.readouterr().out


def test_long_cell_is_whole_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["Head"], [["x" * 150]])
    assert "x" * 150 in capsys.readouterr().out


def test_narrow_terminal_folds_and_cuts_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    print_table(["Head"], [["x" * 150]])
    assert capsys.readouterr().out.count("x") == 150
