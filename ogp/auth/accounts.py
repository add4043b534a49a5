"""Users and their tokens as listings show them, and what may go wrong with them."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ogp.auth.tokens import token_preview
from ogp.core.types import Priority, Role

NAME_RULE = (
    "a user name has 1 to 64 letters, digits and . _ @ - of ASCII, and starts with a letter or "
    "digit"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class UserError(Exception):
    """What was asked of users cannot be done; the message is one sentence for an operator."""


class UsersUnavailableError(UserError):
    """The database cannot be read or written, or holds what nobody can read."""


class UserNotFoundError(UserError):
    """No user has this name."""


class UserExistsError(UserError):
    """The name is taken."""


class LastAdminError(UserError):
    """Nobody would be left who may administer the service."""


class Status(StrEnum):
    """Whether a user's requests are let in right now, and if not, why."""

    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    TOKENLESS = "no token"


@dataclass(frozen=True, slots=True)
class User:
    """One row of `users`."""

    id: int
    name: str
    role: Role
    active: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredToken:
    """One row of `tokens`, without its hash. The token itself is stored nowhere."""

    id: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    priority: Priority | None = None
    """Class of its requests in the queue; None leaves it to settings and request."""

    @property
    def preview(self) -> str:
        """`ogp_<id>_...`."""
        return token_preview(self.id)


@dataclass(frozen=True, slots=True)
class Account:
    """A user with everything a listing shows."""

    user: User
    tokens: tuple[StoredToken, ...]
    """All of them, revoked ones too, oldest first."""
    requests: int
    """Rows in the request log."""

    @property
    def token(self) -> StoredToken | None:
        """The newest token that is not revoked."""
        standing = [token for token in self.tokens if token.revoked_at is None]
        return standing[-1] if standing else None

    @property
    def last_used_at(self) -> datetime | None:
        """When any of the tokens was last used, to the minute."""
        times = [token.last_used_at for token in self.tokens if token.last_used_at is not None]
        return max(times, default=None)

    def status(self, now: datetime) -> Status:
        """What a request with the user's token would meet."""
        if not self.user.active:
            return Status.DEACTIVATED
        if self.token is None:
            return Status.TOKENLESS
        if self.token.expires_at is not None and self.token.expires_at <= now:
            return Status.EXPIRED
        return Status.ACTIVE


def read_priority(stored: str | None) -> Priority | None:
    """The class in the column of a token; a word that is none counts as none."""
    return Priority(stored) if stored in list(Priority) else None


def is_name(name: str) -> bool:
    """Whether a user can have this name.

    The alphabet leaves nothing that could mean something else in a terminal, a log line, a
    spreadsheet or a pattern.
    """
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """The name itself, if a user can have it.

    Raises:
        UserError: it breaks the rule; the message repeats at most 80 characters of it, escaped.
    """
    if not is_name(name):
        raise UserError(f"{name[:80]!a} cannot be a user name: {NAME_RULE}")
    return name
