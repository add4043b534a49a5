"""Remembered verdicts: when they count, when they do not, and what they cost."""

import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import TooLargeError
from ogp.core.types import GuardState, ScannerResult, Verdict
from ogp.guard.cache import (
    VerdictCache,
    build_cache,
    describe_cache,
    is_lasting,
    remembered,
)
from ogp.settings.schema import CacheSettings

CLEAN = Verdict(GuardState.CLEAN, (ScannerResult("secrets", passed=True),))
BLOCKED = Verdict(
    GuardState.BLOCKED,
    (ScannerResult("ban_substrings", passed=False, score=1.0, reason="phrase no. 1"),),
)


class Hand(SystemClock):
    """A clock that is set by hand."""

    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


def make_cache(clock: Hand | None = None, **settings: Any) -> VerdictCache:
    return VerdictCache(CacheSettings(**settings), clock or Hand())


def key(number: int) -> bytes:
    return sha256(str(number).encode()).digest()


def figures(cache: VerdictCache, *names: str) -> tuple[Any, ...]:
    shown = cache.describe()
    return tuple(shown[name] for name in names)


@pytest.mark.parametrize("verdict", [CLEAN, BLOCKED])
def test_what_was_kept_is_found_and_marked(verdict: Verdict) -> None:
    cache = make_cache()
    assert cache.get(key(1)) is None
    cache.put(key(1), verdict)
    assert cache.get(key(1)) == replace(verdict, cached=True)
    assert cache.get(key(2)) is None


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(GuardState.ERROR, (ScannerResult("secrets", passed=False, error=True),)),
        Verdict(GuardState.ERROR),
        Verdict(GuardState.OFF),
        Verdict(GuardState.NOT_SCANNED),
        replace(CLEAN, unscanned=("prompt_injection",)),
        replace(CLEAN, results=(ScannerResult("toxicity", passed=True, error=True),)),
        replace(BLOCKED, results=(*BLOCKED.results, ScannerResult("x", passed=False, error=True))),
    ],
)
def test_what_may_turn_out_otherwise_next_time_is_never_kept(verdict: Verdict) -> None:
    cache = make_cache()
    cache.put(key(1), verdict)
    assert not is_lasting(verdict)
    assert cache.get(key(1)) is None
    assert figures(cache, "entries", "bytes") == (0, 0)


def test_a_verdict_counts_for_its_time_from_the_scan_on() -> None:
    clock = Hand()
    cache = make_cache(clock, ttl_s=10)
    cache.put(key(1), CLEAN)
    clock.now_s = 9.9
    assert cache.get(key(1)) is not None
    clock.now_s = 10.0
    assert cache.get(key(1)) is None
    assert figures(cache, "entries", "bytes", "expired") == (0, 0, 1)


def test_a_second_scan_starts_its_time_anew_and_takes_no_more_room() -> None:
    clock = Hand()
    cache = make_cache(clock, ttl_s=10)
    cache.put(key(1), CLEAN)
    before = figures(cache, "entries", "bytes")
    clock.now_s = 6.0
    cache.put(key(1), CLEAN)
    assert figures(cache, "entries", "bytes") == before
    clock.now_s = 15.0
    assert cache.get(key(1)) is not None


def test_the_verdict_unused_for_longest_makes_room() -> None:
    cache = make_cache(max_entries=2)
    cache.put(key(1), CLEAN)
    cache.put(key(2), CLEAN)
    cache.get(key(1))
    cache.put(key(3), CLEAN)
    assert cache.get(key(2)) is None
    assert cache.get(key(1)) is not None
    assert cache.get(key(3)) is not None
    assert figures(cache, "entries", "evictions") == (2, 1)


def test_the_bytes_are_bounded() -> None:
    cache = make_cache()
    cache.put(key(0), BLOCKED)
    (one,) = figures(cache, "bytes")
    cache = make_cache(max_bytes=3 * one)
    for number in range(5):
        cache.put(key(number), BLOCKED)
    assert figures(cache, "entries", "bytes", "evictions") == (3, 3 * one, 2)


def test_a_verdict_larger_than_all_room_displaces_nothing() -> None:
    cache = make_cache(max_bytes=1000)
    cache.put(key(1), CLEAN)
    cache.put(key(2), replace(BLOCKED, results=BLOCKED.results * 100))
    assert cache.get(key(2)) is None
    assert cache.get(key(1)) is not None


def test_clear_forgets_all_and_keeps_the_counters() -> None:
    cache = make_cache()
    cache.put(key(1), CLEAN)
    cache.get(key(1))
    assert cache.clear() == 1
    assert cache.get(key(1)) is None
    assert figures(cache, "entries", "bytes", "hits", "evictions") == (0, 0, 1, 0)
    assert cache.clear() == 0


def test_cleanup_forgets_only_what_is_too_old() -> None:
    clock = Hand()
    cache = make_cache(clock, ttl_s=10)
    cache.put(key(1), CLEAN)
    clock.now_s = 5.0
    cache.put(key(2), CLEAN)
    (one,) = {size // 2 for size in figures(cache, "bytes")}
    clock.now_s = 10.0
    cache.get(key(2))
    assert cache.cleanup() == 1
    assert figures(cache, "entries", "bytes", "expired") == (1, one, 1)
    assert cache.get(key(2)) is not None


def test_describe_counts_hits_and_misses() -> None:
    cache = make_cache(ttl_s=60, max_entries=7, max_bytes=9000)
    assert cache.describe()["hit_rate"] == 0.0
    cache.put(key(1), CLEAN)
    for number in (1, 1, 2):
        cache.get(key(number))
    shown = dict(cache.describe())
    assert shown.pop("bytes") > 0
    assert shown == {
        "enabled": True,
        "backend": "memory",
        "entries": 1,
        "max_entries": 7,
        "max_bytes": 9000,
        "ttl_s": 60.0,
        "hits": 2,
        "misses": 1,
        "hit_rate": 0.6667,
        "evictions": 0,
        "expired": 0,
    }


def test_a_cache_that_is_switched_off_is_none() -> None:
    assert build_cache(CacheSettings(enabled=False), Hand()) is None
    assert describe_cache(None) == {"enabled": False}
    cache = build_cache(CacheSettings(), Hand())
    assert cache is not None
    assert describe_cache(cache) == cache.describe()


def test_the_estimate_of_its_memory_is_neither_half_nor_double() -> None:
    results = tuple(ScannerResult(name, passed=True) for name in ("a", "b", "c", "d"))
    cache = make_cache(max_entries=100_000)
    tracemalloc.start()
    try:
        for number in range(2000):
            scored = tuple(replace(result, score=number / 3e3) for result in results)
            cache.put(key(number), Verdict(GuardState.CLEAN, scored))
        real_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    (estimated,) = figures(cache, "bytes")
    assert real_bytes / 2 < estimated < real_bytes * 2


def test_scores_are_kept_and_times_are_not() -> None:
    results = (ScannerResult("toxicity", passed=True, score=0.25, elapsed_ms=31.5),)
    cache = make_cache()
    cache.put(key(1), Verdict(GuardState.CLEAN, results, configuration="ab12"))
    found = cache.get(key(1))
    assert found is not None
    assert [(each.score, each.elapsed_ms) for each in found.results] == [(0.25, None)]
    assert found.configuration == "ab12"


class Judge:
    """A scan that is counted."""

    def __init__(self, verdict: Verdict = CLEAN, then: Callable[[], None] | None = None) -> None:
        self.scans = 0
        self._verdict, self._then = verdict, then

    def __call__(self) -> Verdict:
        self.scans += 1
        if self._then:
            self._then()
        return self._verdict


def test_the_same_key_is_scanned_once() -> None:
    cache, judge = make_cache(), Judge()
    first = remembered(cache, lambda: key(1), judge)
    second = remembered(cache, lambda: key(1), judge)
    assert (judge.scans, first.cached, second.cached) == (1, False, True)


def test_without_a_cache_every_text_is_scanned_and_no_key_is_made() -> None:
    judge = Judge()
    for _ in range(2):
        assert remembered(None, lambda: pytest.fail("a key was made"), judge) == CLEAN
    assert judge.scans == 2


def test_a_failure_is_scanned_again() -> None:
    cache, judge = make_cache(), Judge(Verdict(GuardState.ERROR))
    for _ in range(2):
        assert remembered(cache, lambda: key(1), judge).state is GuardState.ERROR
    assert judge.scans == 2


def test_an_exception_passes_and_leaves_nothing() -> None:
    def fail() -> None:
        raise TooLargeError("too many windows")

    cache = make_cache()
    with pytest.raises(TooLargeError):
        remembered(cache, lambda: key(1), Judge(then=fail))
    assert figures(cache, "entries") == (0,)


def test_a_verdict_is_not_kept_when_the_scanners_changed_during_the_scan() -> None:
    cache, number = make_cache(), [1]
    judge = Judge(then=lambda: number.__setitem__(0, 2))
    assert remembered(cache, lambda: key(number[0]), judge) == CLEAN
    assert cache.get(key(1)) is None
    assert cache.get(key(2)) is None


def test_many_threads_leave_figures_that_agree() -> None:
    clock = Hand()
    cache = make_cache(clock, max_entries=50, ttl_s=5)

    def use(number: int) -> None:
        clock.now_s += 0.01
        found = cache.get(key(number % 80))
        assert found is None or found.cached
        cache.put(key(number % 80), CLEAN if number % 3 else BLOCKED)
        if number % 500 == 0:
            cache.cleanup()
        if number % 1500 == 0:
            cache.clear()

    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(use, range(6000)))
    finally:
        sys.setswitchinterval(before)
    hits, misses, entries = figures(cache, "hits", "misses", "entries")
    assert hits + misses == 6000
    assert 0 < entries <= 50
    clock.now_s += 5.0
    assert cache.cleanup() == entries
    assert figures(cache, "entries", "bytes") == (0, 0)
