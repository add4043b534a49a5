"""What `ogp users` prints: tables for people, JSON for programs, times in one form."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ogp.auth.accounts import Account, StoredToken

WIDTH_WITHOUT_TERMINAL = 200
"""Columns where output goes to a file or pipe, so that no line is broken there."""
ACCOUNT_HEADS = (
    "Name",
    "Role",
    "Status",
    "Requests",
    "Token preview",
    "Priority",
    "Created",
    "Last used",
)
"""Heads of the list of users."""
TOKEN_HEADS = ("Token preview", "Priority", "Created", "Expires", "Revoked", "Last used")
"""Heads of one user's tokens."""


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print to standard output; cells are shown as they are, and folded rather than cut."""
    table = Table()
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: brackets in a value are no markup
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_WITHOUT_TERMINAL)
    console.print(table)


def print_json(value: Any) -> None:
    """Print one JSON document to standard output; times as RFC 3339 in UTC."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())


def time_text(moment: datetime | None) -> str:
    """`2026-11-20 18:47 UTC`, or `never`."""
    return "never" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def priority_text(token: StoredToken | None) -> str:
    """Class of the token's requests in the queue, `-` where it has none."""
    return "-" if token is None or token.priority is None else token.priority


def account_row(account: Account, now: datetime) -> tuple[str, ...]:
    """One line of the list of users, in the order of `ACCOUNT_HEADS`."""
    user, token = account.user, account.token
    return (
        user.name,
        user.role,
        account.status(now),
        str(account.requests),
        "none" if token is None else token.preview,
        priority_text(token),
        time_text(user.created_at),
        time_text(account.last_used_at),
    )


def account_facts(account: Account, now: datetime) -> dict[str, Any]:
    """The same for programs."""
    user, token = account.user, account.token
    return {
        "name": user.name,
        "role": user.role,
        "status": account.status(now),
        "requests": account.requests,
        "token_preview": None if token is None else token.preview,
        "priority": None if token is None else token.priority,
        "created_at": user.created_at,
        "last_used_at": account.last_used_at,
        "expires_at": None if token is None else token.expires_at,
    }


def token_row(token: StoredToken) -> tuple[str, ...]:
    """One line of a user's list of tokens, in the order of `TOKEN_HEADS`."""
    revoked = "no" if token.revoked_at is None else time_text(token.revoked_at)
    return (
        token.preview,
        priority_text(token),
        time_text(token.created_at),
        time_text(token.expires_at),
        revoked,
        time_text(token.last_used_at),
    )


def token_facts(token: StoredToken) -> dict[str, Any]:
    """The same for programs."""
    return {
        "id": token.id,
        "priority": token.priority,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "last_used_at": token.last_used_at,
    }
