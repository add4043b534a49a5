"""From an `Authorization` header to a principal.

The order is by cost, so that a refusal is cheap: grammar and checksum (microseconds, no database),
the token's row (one look-up by primary key), its state, and last the hash, which a cache spares
tokens that were checked a moment ago.

What timing tells: whether an id exists and is in force, as only then a hash is computed. An id is
no secret; it stands in listings and in the audit log. The secret is compared by bcrypt in constant
time, and as SHA-256 in the cache, where an equal prefix cannot be aimed at.
"""

from typing import Any

import structlog
from sqlalchemy import Row, bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from ogp.auth.accounts import read_priority
from ogp.auth.gate import HashGate
from ogp.auth.hasher import BcryptHasher, SecretHasher
from ogp.auth.lastuse import LastUse
from ogp.auth.tokens import ParsedToken, parse
from ogp.auth.verified import Proof, VerifiedCache
from ogp.core.clock import Clock
from ogp.core.errors import AuthUnavailableError, UnauthorizedError
from ogp.core.types import Principal, Role
from ogp.settings.schema import AuthSettings
from ogp.storage.engine import Database
from ogp.storage.tables import TokenTable, UserTable
from ogp.storage.writer import GroupCommitWriter

log = structlog.get_logger(__name__)

REFUSAL = (
    "A valid token is needed: send exactly one header 'Authorization: Bearer ogp_...' with a token "
    "that is complete, not expired and not revoked."
)
"""One text for every reason, so that nobody learns which part was right."""
HASHES_AT_ONCE = 2
"""Comparisons per process; the rest of the machine is for those who are let in."""
MAX_HASHES_PER_ID = 8
"""Different secrets for one token id that may be under way; an honest client has one."""
MAX_VERIFIED = 4096
"""Tokens remembered as checked, about 0.3 KB each. Only valid ones get there."""
LAST_USE_EVERY_S = 60.0
"""Shortest time between two writes of one token's last use, in seconds."""
MAX_LAST_USES = 4096
"""Tokens whose last write is remembered."""


class TokenVerifier:
    """Tells who sends a request. Thread-safe; database and writer are started by their owner."""

    def __init__(
        self,
        database: Database,
        writer: GroupCommitWriter,
        settings: AuthSettings,
        clock: Clock,
        *,
        hasher: SecretHasher | None = None,
    ) -> None:
        """Store the parts.

        Args:
            database: read for each request, so that a revocation counts at once everywhere.
            writer: takes the times of last use.
            settings: `cache_s` and `bcrypt_cost`.
            clock: expiry by wall time, cache by monotonic time.
            hasher: bcrypt unless a test counts hashes.
        """
        self._database, self._clock = database, clock
        self._hasher = hasher or BcryptHasher(settings.bcrypt_cost)
        self._verified = VerifiedCache(clock, ttl_s=settings.cache_s, max_entries=MAX_VERIFIED)
        self._gate = HashGate(at_once=HASHES_AT_ONCE, max_per_id=MAX_HASHES_PER_ID)
        self._last_use = LastUse(writer, clock, every_s=LAST_USE_EVERY_S, max_tokens=MAX_LAST_USES)
        self._statement = (
            select(
                TokenTable.secret_hash,
                TokenTable.expires_at,
                TokenTable.revoked_at,
                TokenTable.last_used_at,
                TokenTable.priority,
                UserTable.id.label("user_id"),
                UserTable.name,
                UserTable.role,
                UserTable.active,
            )
            .join(UserTable, UserTable.id == TokenTable.user_id)
            .where(TokenTable.id == bindparam("token_id"))
        )

    def verify(self, authorization_header: str | None) -> Principal:
        """Check one request's header.

        Args:
            authorization_header: its value, None where the request has none. Two headers, which a
                server joins by a comma, fit no token.

        Raises:
            UnauthorizedError: for whatever reason, always with the same message.
            RateLimitError: many different secrets for this token's id are being checked.
            AuthUnavailableError: the row could not be read.
        """
        scheme, _, credential = (authorization_header or "").partition(" ")
        token = parse(credential)
        if token is None or scheme.lower() != "bearer":
            raise UnauthorizedError(REFUSAL)
        row = self._look_up(token.id)
        if row is None or not self._is_in_force(row):
            raise UnauthorizedError(REFUSAL)
        proof = Proof.of(credential, row.secret_hash)
        if not self._verified.knows(proof) and not self._gate.ask(
            token.id, proof, lambda: self._compare(token, proof)
        ):
            raise UnauthorizedError(REFUSAL)
        self._last_use.note(token.id, row.last_used_at)
        return Principal(
            username=row.name,
            role=Role(row.role),
            user_id=row.user_id,
            token_id=token.id,
            priority=read_priority(row.priority),
        )

    def _look_up(self, token_id: str) -> Row[*tuple[Any, ...]] | None:
        try:
            with self._database.read() as connection:
                return connection.execute(self._statement, {"token_id": token_id}).one_or_none()
        except (SQLAlchemyError, ValueError) as error:  # ValueError: a damaged time in the row
            log.error("token cannot be looked up", error=type(error).__name__)
            raise AuthUnavailableError(
                "Tokens cannot be checked at the moment; try again later."
            ) from error

    def _is_in_force(self, row: Row[*tuple[Any, ...]]) -> bool:
        expired = row.expires_at is not None and row.expires_at <= self._clock.now()
        return row.active and row.revoked_at is None and not expired

    def _compare(self, token: ParsedToken, proof: Proof) -> bool:
        # Another thread may have given the proof between this one's look and its turn.
        if self._verified.knows(proof):
            return True
        try:
            matches = self._hasher.matches(token.secret, proof.secret_hash)
        except ValueError:
            log.error("stored hash of a token is damaged; make a new one", token_id=token.id)
            return False
        if matches:
            self._verified.remember(proof)
        return matches
