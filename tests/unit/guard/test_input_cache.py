"""Prompts seen before are not scanned again, and get the same verdict as the first time."""

from dataclasses import replace
from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import GuardError, PromptBlockedError
from ogp.core.types import GuardState, InferenceRequest, TextKind, TextPart, Verdict
from ogp.guard.base import Finding, View, ViewKind
from ogp.guard.cache import VerdictCache
from ogp.guard.input import PromptGuard, build_input_guard
from ogp.guard.normalise import Normaliser
from ogp.settings.guard_schema import GuardSettings
from ogp.settings.schema import CacheSettings
from tests.support.stages import ALICE, NoRewriter

NORMALISER = Normaliser()
HELLO = TextPart("messages[0].content", "hello", TextKind.CONTENT)


def request_of(*parts: TextPart, **fields: Any) -> InferenceRequest:
    return InferenceRequest("ollama", "chat", "POST", "/api/chat", texts=parts, **fields)


def make_cache() -> VerdictCache:
    return VerdictCache(CacheSettings(), SystemClock())


class Counting:
    """Counts what it is shown; hits the word `secret`, fails at the word `fail`."""

    name, reads, hold_chars = "counting", (ViewKind.RAW,), 6

    def __init__(self, identity: str = "counting:1", blocks: bool = True) -> None:
        self.shown: list[str] = []
        self.known_as = identity
        self._blocks = blocks

    def scan(self, view: View) -> Finding | None:
        self.shown.append(view.text)
        if "fail" in view.text:
            raise RuntimeError(view.text)
        return Finding("word", blocks=self._blocks) if "secret" in view.text else None

    def settled(self, view: View) -> int:
        return len(view.text)

    def describe(self) -> dict[str, int | str]:
        return {}

    def identity(self) -> str:
        return self.known_as


def make_guard(
    scanner: Counting, cache: VerdictCache | None, *, block_on_error: bool = True
) -> PromptGuard:
    return PromptGuard((scanner,), NORMALISER, block_on_error=block_on_error, cache=cache)


def verdict_of(guard: PromptGuard, *parts: TextPart, **fields: Any) -> Verdict:
    reports: list[Verdict] = []
    guard.scan(request_of(*(parts or (HELLO,)), **fields), ALICE, NoRewriter(), reports.append)
    (verdict,) = reports
    return verdict


def test_a_clean_prompt_is_scanned_once_and_says_when_it_was_not() -> None:
    scanner = Counting()
    guard = make_guard(scanner, make_cache())
    assert [verdict_of(guard).summary() for _ in range(3)] == [
        "clean",
        "clean;cached",
        "clean;cached",
    ]
    assert scanner.shown == ["hello"]


def test_without_a_cache_it_is_scanned_each_time() -> None:
    scanner = Counting()
    guard = make_guard(scanner, None)
    assert [verdict_of(guard).summary() for _ in range(2)] == ["clean", "clean"]
    assert scanner.shown == ["hello", "hello"]


def test_a_remembered_block_is_the_same_refusal() -> None:
    scanner = Counting()
    guard = make_guard(scanner, make_cache())
    refusals = []
    for _ in range(2):
        with pytest.raises(PromptBlockedError) as caught:
            guard.scan(
                request_of(replace(HELLO, text="the secret")), ALICE, NoRewriter(), lambda _: None
            )
        failed = [replace(result, elapsed_ms=None) for result in caught.value.verdict.failed]
        refusals.append((caught.value.message, caught.value.facts, failed))
    assert refusals[0] == refusals[1]
    assert caught.value.verdict.summary() == "blocked:counting;cached"
    assert scanner.shown == ["the secret"]


def test_a_remembered_flag_is_recorded_again() -> None:
    guard = make_guard(Counting(blocks=False), make_cache())
    part = replace(HELLO, text="the secret")
    verdict_of(guard, part)
    assert verdict_of(guard, part).summary() == "clean;cached;flagged:counting"


@pytest.mark.parametrize("block_on_error", [True, False])
def test_a_failure_is_never_remembered(block_on_error: bool) -> None:
    scanner = Counting()
    guard = make_guard(scanner, make_cache(), block_on_error=block_on_error)
    reports: list[Verdict] = []
    for _ in range(2):
        try:
            guard.scan(request_of(replace(HELLO, text="fail")), ALICE, NoRewriter(), reports.append)
        except GuardError:
            assert block_on_error
    assert [report.summary() for report in reports] == ["error:counting"] * 2
    assert scanner.shown == ["fail"] * 2


def test_what_cannot_be_scanned_is_told_of_each_request_and_not_remembered() -> None:
    guard = make_guard(Counting(), make_cache())
    assert verdict_of(guard, unscanned=("images",)).summary() == "clean;unscanned:images"
    assert verdict_of(guard).summary() == "clean;cached"
    assert verdict_of(guard, unscanned=("audio",)).summary() == "clean;cached;unscanned:audio"


@pytest.mark.parametrize(
    "parts",
    [
        (replace(HELLO, text="hello "),),
        (replace(HELLO, kind=TextKind.FIELD),),
        (HELLO, HELLO),
        (replace(HELLO, text="hel"), replace(HELLO, text="lo")),
    ],
)
def test_another_prompt_is_scanned(parts: tuple[TextPart, ...]) -> None:
    guard = make_guard(Counting(), make_cache())
    verdict_of(guard)
    assert not verdict_of(guard, *parts).cached


def test_where_a_text_stood_does_not_matter() -> None:
    guard = make_guard(Counting(), make_cache())
    verdict_of(guard)
    assert verdict_of(guard, replace(HELLO, where="prompt")).cached


def test_a_guard_of_other_scanners_does_not_take_the_verdict() -> None:
    cache = make_cache()
    verdict_of(make_guard(Counting("counting:1"), cache))
    assert not verdict_of(make_guard(Counting("counting:2"), cache)).cached
    assert verdict_of(make_guard(Counting("counting:1"), cache)).cached


def test_a_phrase_that_was_added_is_found_in_a_prompt_that_was_clean_before() -> None:
    cache = make_cache()

    def guard_with(*phrases: str) -> PromptGuard:
        section = {"input_scanners": {"ban_substrings": {"substrings": phrases}}}
        return build_input_guard(GuardSettings.model_validate(section), cache)

    assert verdict_of(guard_with("heron")).state is GuardState.CLEAN
    with pytest.raises(PromptBlockedError):
        verdict_of(guard_with("heron", "hello"))
    assert verdict_of(guard_with("heron")).cached


def test_a_model_that_came_meanwhile_scans_the_prompt_again() -> None:
    scanner = Counting("counting:absent")
    guard = make_guard(scanner, make_cache())
    verdict_of(guard)
    scanner.known_as = "counting:sha256"
    assert not verdict_of(guard).cached
    assert verdict_of(guard).cached


def test_off_and_not_scanned_stay_what_they_are() -> None:
    cache = make_cache()
    off = PromptGuard((), NORMALISER, block_on_error=True, cache=cache)
    for _ in range(2):
        assert verdict_of(off).summary() == "off"
        assert verdict_of(make_guard(Counting(), cache), scanned=False).summary() == "not_scanned"
    assert cache.describe()["entries"] == 0
