"""Which tokens were checked against their hash a moment ago."""

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock

from ogp.core.clock import Clock


@dataclass(frozen=True, slots=True)
class Proof:
    """One token compared with one stored hash. Another hash in the row is another question."""

    fingerprint: bytes
    """SHA-256 of the token; the token itself is kept nowhere."""
    secret_hash: str

    @classmethod
    def of(cls, token: str, secret_hash: str) -> "Proof":
        """The question whether `token` is the one that `secret_hash` was made from."""
        return cls(sha256(token.encode("ascii")).digest(), secret_hash)


class VerifiedCache:
    """Proofs that held, each for `ttl_s` after its last use, the least used dropped first.

    A proof cannot become false: both sides are part of it. Only the hash is saved; whether the
    row is active, expired or revoked is read for each request. So a use may renew the entry, and
    a busy client never needs a hash while somebody floods its token's id. Thread-safe.
    """

    def __init__(self, clock: Clock, *, ttl_s: float, max_entries: int) -> None:
        self._clock, self._ttl_s, self._max_entries = clock, ttl_s, max_entries
        self._lock = Lock()  # guards the one below
        self._expires: OrderedDict[Proof, float] = OrderedDict()  # least recently used first

    def __len__(self) -> int:
        return len(self._expires)

    def knows(self, proof: Proof) -> bool:
        """Whether the proof was given lately; if so, it is good for another `ttl_s`."""
        now = self._clock.monotonic()
        with self._lock:
            expires = self._expires.get(proof)
            if expires is None:
                return False
            if expires <= now:
                del self._expires[proof]
                return False
            self._expires[proof] = now + self._ttl_s
            self._expires.move_to_end(proof)
            return True

    def remember(self, proof: Proof) -> None:
        """Keep a proof that held. Never call it for one that did not."""
        expires = self._clock.monotonic() + self._ttl_s
        with self._lock:
            self._expires[proof] = expires
            self._expires.move_to_end(proof)
            if len(self._expires) > self._max_entries:
                self._expires.popitem(last=False)
