"""What listings show of a user, and which names there can be."""

from datetime import UTC, datetime, timedelta

import pytest

from ogp.auth.accounts import (
    Account,
    Status,
    StoredToken,
    User,
    UserError,
    check_name,
    read_priority,
)
from ogp.core.types import Priority, Role

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def make_account(*tokens: StoredToken, active: bool = True) -> Account:
    user = User(id=1, name="alice", role=Role.USER, active=active, created_at=NOW)
    return Account(user=user, tokens=tokens, requests=0)


def make_token(
    token_id: str = "first000",
    *,
    expires_at: datetime | None = None,
    revoked: bool = False,
    last_used_at: datetime | None = None,
) -> StoredToken:
    return StoredToken(
        id=token_id,
        created_at=NOW,
        expires_at=expires_at,
        revoked_at=NOW if revoked else None,
        last_used_at=last_used_at,
    )


def test_user_with_a_standing_token_is_active() -> None:
    assert make_account(make_token()).status(NOW) is Status.ACTIVE


def test_token_that_expires_later_is_active() -> None:
    account = make_account(make_token(expires_at=NOW + timedelta(seconds=1)))
    assert account.status(NOW) is Status.ACTIVE


def test_token_that_expires_now_is_expired() -> None:
    assert make_account(make_token(expires_at=NOW)).status(NOW) is Status.EXPIRED


def test_user_whose_tokens_are_revoked_has_none() -> None:
    assert make_account(make_token(revoked=True)).status(NOW) is Status.TOKENLESS


def test_deactivated_comes_before_every_other_status() -> None:
    assert make_account(active=False).status(NOW) is Status.DEACTIVATED


def test_token_is_the_newest_one_not_revoked() -> None:
    account = make_account(make_token("a"), make_token("b"), make_token("c", revoked=True))
    assert account.token == make_token("b")


@pytest.mark.parametrize(
    ("stored", "priority"),
    [("interactive", Priority.INTERACTIVE), ("batch", Priority.BATCH), (None, None), ("x", None)],
)
def test_stored_class_is_read_and_any_other_word_is_none(
    stored: str | None, priority: Priority | None
) -> None:
    assert read_priority(stored) is priority


def test_last_use_is_that_of_any_token() -> None:
    earlier = NOW - timedelta(days=1)
    account = make_account(
        make_token(last_used_at=NOW, revoked=True), make_token(last_used_at=earlier), make_token()
    )
    assert account.last_used_at == NOW


def test_user_who_never_came_has_no_last_use() -> None:
    assert make_account(make_token()).last_used_at is None


def test_preview_shows_the_id_only() -> None:
    assert make_token("AbCd1234").preview == "ogp_AbCd1234_..."


@pytest.mark.parametrize("name", ["a", "7", "alice", "Alice.B-c_d@example.org", "x" * 64])
def test_name_within_the_rule_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 65,
        ".a",
        "-a",
        "_a",
        "@a",
        "a b",
        "a\n",
        "a\x00",
        "a/b",
        "a'b",
        'a"b',
        "a;b",
        "a%b",
        "é",
        "аlice",
        "a\u202e",
        "\x1b[31m",
        "' OR 1=1 --",
        "=cmd()",
    ],
)
def test_name_outside_the_rule_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(UserError, match="1 to 64 letters") as refused:
        check_name(name)
    assert str(refused.value).isprintable()


def test_refusal_of_a_long_name_stays_short() -> None:
    with pytest.raises(UserError) as refused:
        check_name("\u202e" * 10_000)
    assert len(str(refused.value)) < 700
