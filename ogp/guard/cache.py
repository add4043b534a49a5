"""Verdicts of texts that were scanned before: bounded, in memory, without any text."""

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from threading import Lock
from unicodedata import unidata_version

from ogp import __version__
from ogp.core.clock import Clock
from ogp.core.types import GuardState, Verdict
from ogp.guard.base import Scanner
from ogp.settings.schema import CacheSettings

CODE = (__version__, sys.version, unidata_version)
"""What rules and normaliser are made of, beside the facts in `Scanner.identity`."""
ENTRY_BYTES = 384
"""A verdict without results, its key and its place; 316 were measured on CPython 3.11."""
RESULT_BYTES = 144
"""One result without its reason; 126 were measured."""
CACHED_STATES = (GuardState.CLEAN, GuardState.BLOCKED)


class Direction(StrEnum):
    """Which way a text goes; the same text is judged by other scanners on its way back."""

    INPUT = "input"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class _Entry:
    verdict: Verdict
    expires: float
    """On the monotonic clock, in seconds."""
    size_bytes: int


class VerdictCache:
    """Remembers what the scanners said of a text. Thread-safe.

    Only clean texts and blocks are kept, never anything that an error, a timeout or a missing
    model had a part in. The verdict unused for longest makes room.
    """

    def __init__(self, settings: CacheSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._lock = Lock()  # guards all below
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()  # least recently used first
        self._size_bytes = 0
        self._hits = self._misses = self._evictions = self._expired = 0

    def get(self, key: bytes) -> Verdict | None:
        """The verdict kept under this key, marked as `cached`; None if there is none any more."""
        now = self._clock.monotonic()
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and now >= entry.expires:
                self._remove(key)
                self._expired += 1
                entry = None
            if entry is None:
                self._misses += 1
                return None
            self._entries.move_to_end(key)
            self._hits += 1
            return entry.verdict

    def put(self, key: bytes, verdict: Verdict) -> None:
        """Keep a verdict, unless it must not be kept or is larger than all there is room for."""
        if not is_lasting(verdict):
            return
        size_bytes = _size_of(verdict)
        if size_bytes > self._settings.max_bytes:
            return
        expires = self._clock.monotonic() + self._settings.ttl_s
        entry = _Entry(_kept(verdict), expires, size_bytes)
        with self._lock:
            if key in self._entries:
                self._remove(key)
            self._entries[key] = entry
            self._size_bytes += size_bytes
            while (
                len(self._entries) > self._settings.max_entries
                or self._size_bytes > self._settings.max_bytes
            ):
                self._remove(next(iter(self._entries)))
                self._evictions += 1

    def clear(self) -> int:
        """Forget every verdict; the counters go on. How many there were."""
        with self._lock:
            forgotten, self._entries = self._entries, OrderedDict()
            self._size_bytes = 0
        return len(forgotten)

    def cleanup(self) -> int:
        """Remove what has expired; how many that were. Looks at every entry."""
        now = self._clock.monotonic()
        with self._lock:
            old = [key for key, entry in self._entries.items() if now >= entry.expires]
            for key in old:
                self._remove(key)
            self._expired += len(old)
            return len(old)

    def describe(self) -> Mapping[str, bool | str | int | float]:
        """For `/health`: limits, and what was counted since the start."""
        with self._lock:
            asked = self._hits + self._misses
            return {
                "enabled": True,
                "backend": "memory",
                "entries": len(self._entries),
                "max_entries": self._settings.max_entries,
                "bytes": self._size_bytes,
                "max_bytes": self._settings.max_bytes,
                "ttl_s": self._settings.ttl_s,
                "hits": self._hits,
                "misses": self._misses,
                "hit_rate": round(self._hits / asked, 4) if asked else 0.0,
                "evictions": self._evictions,
                "expired": self._expired,
            }

    def _remove(self, key: bytes) -> None:
        self._size_bytes -= self._entries.pop(key).size_bytes


def build_cache(settings: CacheSettings, clock: Clock) -> VerdictCache | None:
    """The cache, or None where it is switched off."""
    return VerdictCache(settings, clock) if settings.enabled else None


def describe_cache(cache: VerdictCache | None) -> Mapping[str, bool | str | int | float]:
    """What `/health` says, with or without a cache."""
    return {"enabled": False} if cache is None else cache.describe()


def remembered(
    cache: VerdictCache | None, key: Callable[[], bytes], judge: Callable[[], Verdict]
) -> Verdict:
    """The verdict from the cache, or a new one, which is kept if it may be.

    Args:
        cache: None asks anew each time.
        key: makes the key. It is asked again after the scan: if scanners changed meanwhile (a model
            was loaded), nobody can say under which of them the text was judged.
        judge: scans.
    """
    if cache is None:
        return judge()
    before = key()
    verdict = cache.get(before)
    if verdict is None:
        verdict = judge()
        if key() == before:
            cache.put(before, verdict)
    return verdict


def is_lasting(verdict: Verdict) -> bool:
    """Whether the same text would get the same verdict again."""
    return (
        verdict.state in CACHED_STATES
        and not verdict.unscanned
        and not any(result.error for result in verdict.results)
    )


def verdict_key(direction: Direction, scanners: Sequence[Scanner], texts: Iterable[str]) -> bytes:
    """What decides a verdict, as one hash.

    Args:
        direction: which way the text goes.
        scanners: in the order they are asked.
        texts: everything they are shown, with what tells its pieces apart (kinds, channels).
    """
    identities = [scanner.identity() for scanner in scanners]
    pieces = (*CODE, direction, str(len(identities)), *identities, *texts)
    # Each piece stands behind its length, so two lists of pieces never look alike. Half of a
    # surrogate pair is no character, but JSON can spell it.
    hashed = sha256()
    for piece in pieces:
        encoded = piece.encode("utf-8", "surrogatepass")
        hashed.update(len(encoded).to_bytes(8, "big") + encoded)
    return hashed.digest()


def _kept(verdict: Verdict) -> Verdict:
    """Scores as they were; times are no property of the text."""
    results = tuple(replace(result, elapsed_ms=None) for result in verdict.results)
    return replace(verdict, results=results, cached=True)


def _size_of(verdict: Verdict) -> int:
    reasons = sum(sys.getsizeof(result.reason) for result in verdict.results if result.reason)
    return ENTRY_BYTES + len(verdict.results) * RESULT_BYTES + reasons
