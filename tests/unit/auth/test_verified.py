"""The cache of proofs is bounded, forgets in time, and tells hashes apart."""

from datetime import UTC, datetime
from hashlib import sha256

from ogp.auth.verified import Proof, VerifiedCache


class ManualClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)


def make_cache(*, ttl_s: float = 60, max_entries: int = 3) -> tuple[VerifiedCache, ManualClock]:
    clock = ManualClock()
    return VerifiedCache(clock, ttl_s=ttl_s, max_entries=max_entries), clock


def proof(name: str) -> Proof:
    return Proof.of(name, "hash")


def test_nothing_is_known_at_first() -> None:
    cache, _ = make_cache()
    assert not cache.knows(proof("a"))


def test_remembered_proof_is_known() -> None:
    cache, _ = make_cache()
    cache.remember(proof("a"))
    assert cache.knows(proof("a"))


def test_same_token_with_another_stored_hash_is_another_question() -> None:
    cache, _ = make_cache()
    cache.remember(Proof.of("a", "old hash"))
    assert not cache.knows(Proof.of("a", "new hash"))


def test_proof_is_forgotten_after_its_time() -> None:
    cache, clock = make_cache(ttl_s=60)
    cache.remember(proof("a"))
    clock.seconds += 60
    assert not cache.knows(proof("a"))
    assert len(cache) == 0


def test_use_renews_the_time() -> None:
    cache, clock = make_cache(ttl_s=60)
    cache.remember(proof("a"))
    for _ in range(3):
        clock.seconds += 59
        assert cache.knows(proof("a"))


def test_number_of_proofs_is_bounded() -> None:
    cache, _ = make_cache(max_entries=3)
    for number in range(50):
        cache.remember(proof(str(number)))
    assert len(cache) == 3


def test_least_used_proof_is_dropped_first() -> None:
    cache, _ = make_cache(max_entries=2)
    cache.remember(proof("a"))
    cache.remember(proof("b"))
    assert cache.knows(proof("a"))
    cache.remember(proof("c"))
    assert cache.knows(proof("a"))
    assert not cache.knows(proof("b"))


def test_same_proof_twice_is_one_entry() -> None:
    cache, _ = make_cache()
    cache.remember(proof("a"))
    cache.remember(proof("a"))
    assert len(cache) == 1


def test_proof_keeps_a_fingerprint_and_not_the_token() -> None:
    assert "a token" not in repr(proof("a token"))
    assert proof("a token").fingerprint == sha256(b"a token").digest()
