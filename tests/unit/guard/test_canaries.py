"""Canaries: what the guard must see, seen by the real guards in every dialect."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from threading import Event, Thread
from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.dialects.anthropic import AnthropicDialect
from ogp.dialects.base import Dialect
from ogp.dialects.ollama import OllamaDialect
from ogp.dialects.openai import OpenAIDialect
from ogp.dialects.responses import ResponsesDialect
from ogp.guard import canaries as canaries_module
from ogp.guard.base import Finding, Scanner, View, ViewKind
from ogp.guard.canaries import Canaries
from ogp.guard.canary_forms import FORMS
from ogp.guard.canary_plan import Canary, CanaryPlan, Tried, canary_plan, tried_builtins
from ogp.guard.model import ModelUnavailableError, ScannerBusyError
from ogp.guard.normalise import Normaliser
from ogp.guard.samples import Sample
from ogp.guard.scanners import input_scanners, output_scanners
from ogp.settings.guard_schema import GuardSettings
from ogp.settings.schema import LimitSettings

LIMITS = LimitSettings()
OLLAMA = OllamaDialect(LIMITS)
DIALECTS: tuple[Dialect, ...] = (
    OLLAMA,
    OpenAIDialect(LIMITS),
    ResponsesDialect(LIMITS),
    AnthropicDialect(LIMITS),
)
SOON_S = 5.0
BAD, GOOD = "a bad sample, long enough", "a good sample, long enough"
BLOCK, FLAG = Finding("rule"), Finding("rule", blocks=False)


class Says:
    """A scanner that says of the samples what it is told to, and waits for a gate."""

    reads = (ViewKind.RAW,)
    hold_chars = 1_000

    def __init__(self, bad: Finding | Exception | None, good: Any = None) -> None:
        self.name, self.required = "odd", True
        self.bad, self.good = bad, good
        self.seen: list[str] = []
        self.entered, self.gate = Event(), Event()
        self.gate.set()

    def scan(self, view: View) -> Finding | None:
        said = {BAD: self.bad, GOOD: self.good}.get(view.text)
        if view.text in (BAD, GOOD):
            self.seen.append(view.text)
            self.entered.set()
            assert self.gate.wait(SOON_S)
        if isinstance(said, Exception):
            raise said
        return said

    def settled(self, view: View) -> int:
        return view.start if view.open else len(view.text)

    def describe(self) -> Mapping[str, int | str]:
        return {}

    def identity(self) -> str:
        return "odd"


def canaries_of(
    *scanners: Scanner,
    direction: Any = "input",
    dialects: tuple[Dialect, ...] = (OLLAMA,),
    interval_s: float = 600.0,
    good: str | None = GOOD,
) -> Canaries:
    plan = CanaryPlan(tuple(Canary(direction, each, Sample(BAD, good)) for each in scanners))
    return started_with(plan, dialects, interval_s)


def started_with(
    plan: CanaryPlan, dialects: tuple[Dialect, ...], interval_s: float = 600.0
) -> Canaries:
    clock = SystemClock()
    return Canaries(plan, dialects, window_chars=200, interval_s=interval_s, clock=clock)


def plan_for(settings: GuardSettings) -> CanaryPlan:
    tried: list[Tried] = [
        *tried_builtins(settings, "input", input_scanners(settings, Normaliser())),
        *tried_builtins(settings, "output", output_scanners(settings, Normaliser())),
    ]
    return canary_plan(tried)


@pytest.mark.parametrize("action", ["block", "flag", "redact"])
def test_all_scanners_without_models_see_their_samples_in_all_dialects(action: str) -> None:
    ban = {"substrings": ["blue heron"], "match_type": "word", "action": action}
    section = {
        "ban_substrings": ban,
        "secrets": {"enabled": True, "action": action},
        "invisible_text": {"action": action},
    }
    rules = {"injection_rules": {"action": "block" if action == "block" else "flag"}}
    settings = GuardSettings.model_validate(
        {"input_scanners": {**section, **rules}, "output_scanners": section}
    )
    canaries = started_with(plan_for(settings), DIALECTS)
    assert canaries.run_once() == []
    shown = canaries.describe()
    assert (shown["runs"], shown["misses"], shown["last_missed"]) == (1, 0, [])
    assert shown["samples"] == 7 * len(DIALECTS)
    assert shown["last_run"].endswith("+00:00")


@pytest.mark.parametrize("direction", ["input", "output"])
@pytest.mark.parametrize(
    ("bad", "good", "missed"),
    [
        (BLOCK, None, ""),
        (FLAG, None, ""),
        (BLOCK, Finding("", 0.2, blocks=False, hit=False), ""),
        (None, None, "a known bad sample passed"),
        (Finding("", 0.4, blocks=False, hit=False), None, "a known bad sample passed"),
        (BLOCK, BLOCK, "a harmless sample was hit"),
        (BLOCK, FLAG, "a harmless sample was hit"),
        (KeyError("marker"), None, "it failed"),
        (BLOCK, KeyError("marker"), "it failed"),
    ],
)
def test_a_miss_names_scanner_direction_and_dialect(
    direction: str, bad: Any, good: Any, missed: str, caplog: pytest.LogCaptureFixture
) -> None:
    canaries = canaries_of(Says(bad, good), direction=direction)
    told = canaries.run_once()
    assert told == ([f"odd ({direction}, ollama): {missed}"] if missed else [])
    assert canaries.describe()["last_missed"] == told
    assert canaries.describe()["misses"] == len(told)
    for hidden in (BAD, GOOD, "marker"):
        assert hidden not in caplog.text
    assert ("guard canary missed" in caplog.text) == bool(missed)


def test_every_dialect_is_told_apart() -> None:
    assert canaries_of(Says(None), dialects=DIALECTS).run_once() == [
        f"odd (input, {dialect.name}): a known bad sample passed" for dialect in DIALECTS
    ]


def test_where_every_text_could_be_a_hit_only_the_bad_one_is_shown() -> None:
    scanner = Says(BLOCK, BLOCK)
    assert canaries_of(scanner, good=None).run_once() == []
    assert set(scanner.seen) == {BAD}


def test_recovery_clears_the_miss_and_the_count_stays(caplog: pytest.LogCaptureFixture) -> None:
    scanner = Says(None)
    canaries = canaries_of(scanner)
    assert canaries.run_once()
    assert canaries.run_once()
    scanner.bad = BLOCK
    with caplog.at_level(logging.INFO):
        assert canaries.run_once() == []
    assert canaries.missed() == []
    assert (canaries.describe()["runs"], canaries.describe()["misses"]) == (3, 2)
    assert caplog.text.count("guard canary missed") == 1
    assert "guard canary sees again: canary=odd (input, ollama)" in caplog.text


@pytest.mark.parametrize("error", [ScannerBusyError(), ModelUnavailableError("x")])
@pytest.mark.parametrize("which", ["bad", "good"])
def test_a_scanner_without_time_or_model_says_nothing_anew(error: Exception, which: str) -> None:
    scanner = Says(None)
    canaries = canaries_of(scanner)
    before = canaries.run_once()
    scanner.bad, scanner.good = (error, None) if which == "bad" else (BLOCK, error)
    assert canaries.run_once() == before != []
    assert canaries_of(scanner).run_once() == []


def test_an_optional_scanner_that_is_not_there_is_no_miss() -> None:
    scanner = Says(ModelUnavailableError("x"))
    scanner.required = False
    assert canaries_of(scanner).run_once() == []


def test_a_dialect_that_changes_what_it_passes_on_is_a_miss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = OLLAMA.events

    def losing(*arguments: Any, **options: Any) -> Any:
        return list(real(*arguments, **options))[1:]

    monkeypatch.setattr(OLLAMA, "events", losing)
    (missed,) = canaries_of(Says(BLOCK), direction="output").run_once()
    assert missed.startswith("odd (output, ollama)")


def test_a_dialect_that_refuses_the_sample_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    form = replace(FORMS["ollama"], question=lambda _: b"{")
    monkeypatch.setattr(canaries_module, "FORMS", {"ollama": form})
    assert canaries_of(Says(BLOCK)).run_once() == ["odd (input, ollama): it failed"]


def test_limits_that_no_sample_fits_into_say_nothing() -> None:
    tiny = OllamaDialect(LimitSettings(max_prompt_chars=5, max_message_chars=5))
    assert canaries_of(Says(None), dialects=(tiny,)).run_once() == []


PHRASES = [
    "!!!",
    " x ",
    "ß",
    "İ",
    "é",
    "e\u0301",
    "ＡＢＣ",
    "i g n o r e",
    "a\tb",
    "中文",
    "🙂",
    ".",
]


@pytest.mark.parametrize("match_type", ["str", "word"])
@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_of_any_kind_is_seen(phrase: str, match_type: str) -> None:
    section = {"ban_substrings": {"substrings": [phrase], "match_type": match_type}}
    settings = GuardSettings.model_validate({"input_scanners": section, "output_scanners": section})
    assert started_with(plan_for(settings), DIALECTS).run_once() == []


def test_a_dialect_without_samples_is_told() -> None:
    class Foreign(OllamaDialect):
        name = "foreign"

    canaries = canaries_of(Says(BLOCK), dialects=(OLLAMA, Foreign(LIMITS)))
    assert canaries.run_once() == []
    assert canaries.describe()["skipped"] == {"foreign": "no samples yet"}
    assert canaries.describe()["samples"] == 1


def test_rounds_begin_when_the_scanners_are_there() -> None:
    scanner = Says(BLOCK)
    canaries = canaries_of(scanner)
    canaries.start()
    assert not scanner.entered.is_set()
    canaries.release()
    assert scanner.entered.wait(SOON_S)
    canaries.stop()
    assert scanner.seen


def test_rounds_come_again() -> None:
    scanner = Says(BLOCK)
    canaries = canaries_of(scanner, interval_s=0.001)
    canaries.start()
    canaries.release()
    for _ in range(3):
        assert scanner.entered.wait(SOON_S)
        scanner.entered.clear()
    canaries.stop()
    assert canaries.describe()["runs"] >= 1


def alive() -> list[Thread]:
    return [thread for thread in enumerate_threads() if thread.name == "guard-canaries"]


def test_without_an_interval_there_is_one_round() -> None:
    canaries = canaries_of(Says(BLOCK), interval_s=0)
    canaries.start()
    (thread,) = alive()
    canaries.release()
    thread.join(SOON_S)
    assert not thread.is_alive()
    assert canaries.describe()["runs"] == 1


def test_a_stop_ends_a_round_between_two_samples() -> None:
    first, second = Says(BLOCK), Says(BLOCK)
    canaries = canaries_of(first, second)

    def stop(view: View) -> Finding | None:
        canaries.stop()
        return BLOCK

    first.scan = stop  # type: ignore[method-assign]  # ends the round it is in
    assert canaries.run_once() == []
    assert second.seen == []
    assert canaries.describe()["runs"] == 0


def test_a_stop_before_the_first_round_ends_the_thread() -> None:
    scanner = Says(BLOCK)
    canaries = canaries_of(scanner)
    canaries.start()
    canaries.stop()
    assert scanner.seen == []
    assert canaries.run_once() == []


@pytest.mark.parametrize("scanners", [(), (Says(BLOCK),)])
def test_where_there_is_nothing_to_try_there_is_no_thread(scanners: tuple[Scanner, ...]) -> None:
    canaries = canaries_of(*scanners, dialects=() if scanners else (OLLAMA,))
    canaries.start()
    canaries.release()
    canaries.stop()
    assert canaries.describe()["runs"] == 0
