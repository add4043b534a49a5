"""Finds personal data in prompts, by patterns and by a model for names; in the pool, in parts.

What becomes of the spans is another's work. Loading takes seconds and happens in the background; a
text that comes earlier waits, within its time.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import TIMEOUT_MAX, Event
from typing import Literal

from ogp.core.clock import Clock
from ogp.core.errors import TooLargeError
from ogp.guard.anonymize_rule import NAME, AnonymizeRule, HasPackage, rule_of, why_off
from ogp.guard.base import Span, identity_of
from ogp.guard.classifier import is_installed
from ogp.guard.device import Device
from ogp.guard.job import PoolFullError, PoolStoppedError, PoolTimeoutError
from ogp.guard.model import ModelUnavailableError, ScannerBusyError, ScannerFailedError
from ogp.guard.offline import go_offline
from ogp.guard.personal_data import Found
from ogp.guard.personal_data_patterns import PatternFinder
from ogp.guard.personal_data_spans import parts_of, spans_of
from ogp.guard.pool import ScannerPool
from ogp.guard.token_classifier import (
    OVERLAP_CHARS,
    PART_CHARS,
    TokenClassifier,
    Wanted,
    load_token_classifier,
)
from ogp.settings.guard_schema import GuardSettings

PATTERN_PART_CHARS, PATTERN_OVERLAP_CHARS = 5000, 400
"""Of a text for one thread at once; what patterns find is shorter than the overlap."""
HINT = re.compile(r"[\d@]|://|www\.", re.IGNORECASE)
"""Every pattern needs one of these; most texts of a prompt have none."""
SAMPLE = "Ann Lee, ann@example.com, +49 30 901820, (212) 555-2368, DE89 3704 0044 0532 0130 00."


@dataclass(frozen=True, slots=True)
class Finders:
    """What is loaded."""

    patterns: PatternFinder
    names: TokenClassifier | None = None

    def tasks(self, text: str) -> list[Callable[[], list[Found]]]:
        """The search in every part of a text; none where nothing can be found."""
        tasks: list[Callable[[], list[Found]]] = []
        if HINT.search(text):
            parts = parts_of(len(text), PATTERN_PART_CHARS, PATTERN_OVERLAP_CHARS)
            tasks += [partial(self.patterns.find, text, *part) for part in parts]
        if self.names is not None and text.strip():
            parts = parts_of(len(text), PART_CHARS, OVERLAP_CHARS)
            tasks += [partial(self.names.find, text, *part) for part in parts]
        return tasks

    def describe(self) -> Mapping[str, int | str]:
        """Version of presidio; hash, precision and device of the model."""
        presidio = {"presidio": self.patterns.version}
        return {**presidio, **(self.names.describe() if self.names else {})}


@dataclass(frozen=True, slots=True)
class _State:
    word: Literal["loading", "ready", "failed"]
    reason: str = ""
    finders: Finders | None = None

    def facts(self) -> Mapping[str, int | str]:
        """What the finders say of themselves."""
        return self.finders.describe() if self.finders else {}


class Anonymizer:
    """Finds personal data. Thread-safe. `begin` starts loading."""

    def __init__(
        self,
        rule: AnonymizeRule,
        pool: ScannerPool,
        clock: Clock,
        device_choice: Callable[[], Device],
    ) -> None:
        """Keep the parts; nothing is loaded yet.

        Args:
            rule: what to look for.
            pool: where the search runs.
            clock: the pool's.
            device_choice: where a model would run; may be slow.
        """
        self.name, self.required = NAME, rule.required
        self._rule, self._pool, self._clock = rule, pool, clock
        self._device_choice = device_choice
        self._decided = Event()
        self._become(_State("loading"))

    def begin(self) -> None:
        """Load in the background. Call it once."""
        self._pool.run_background(self._load)

    def obstacle(self) -> str | None:
        """What keeps texts waiting, for `/ready`; None also where loading failed: that is known."""
        return f"{self.name} is loading" if self._state.word == "loading" else None

    def find(self, text: str) -> Sequence[Span]:
        """Personal data of a text: sorted spans of whole words that do not overlap.

        Raises:
            ModelUnavailableError: loading failed.
            ScannerBusyError: the pool is full, or the time was not enough.
            ScannerFailedError: a finder failed; names the kind of error only.
            TooLargeError: the text has too many parts.
        """
        deadline = self._clock.monotonic() + self._rule.timeout_s
        tasks = self._ready(deadline).tasks(text)
        if len(tasks) > self._rule.max_parts:
            raise TooLargeError(
                f"The text is too long to be scanned: {len(tasks)} parts, "
                f"at most {self._rule.max_parts}."
            )
        if not tasks:
            return ()
        try:
            found = self._pool.submit_shared((self, text), tasks, deadline=deadline).results()
        except (PoolFullError, PoolTimeoutError, PoolStoppedError) as error:
            raise ScannerBusyError(type(error).__name__) from error
        except Exception as error:  # noqa: BLE001 - a library's message can repeat the text
            raise ScannerFailedError(type(error).__name__) from None
        return spans_of([each for part in found for each in part], text)

    def describe(self) -> Mapping[str, int | str]:
        """State, its reason, what is looked for, and what the finders say of themselves."""
        rule, state = self._rule, self._state
        shown: dict[str, int | str] = {"state": state.word}
        if state.reason:
            shown["reason"] = state.reason
        shown["action"] = "redact"
        shown["entities"] = len(rule.entities) + len(rule.names)
        shown["languages"] = ", ".join(rule.languages)
        shown["threshold"] = f"{rule.threshold:g}"
        shown["names"] = "on" if rule.names else f"off: {rule.names_off}"
        return {**shown, **state.facts()}

    def identity(self) -> str:
        """Rule, state, versions and model; changes when it is loaded."""
        return self._identity

    def _become(self, state: _State) -> None:
        rule = self._rule
        facts = tuple(sorted(state.facts().items()))
        asked = (rule.entities, rule.names, rule.languages, rule.threshold, rule.required)
        self._state = state
        self._identity = identity_of(self.name, asked, state.word, facts)
        if state.word != "loading":
            self._decided.set()

    def _load(self) -> None:
        log = logging.getLogger(__name__)
        try:
            state = _State("ready", finders=load_finders(self._rule, self._device_choice))
        except ModelUnavailableError as error:
            state = _State("failed", str(error))
        except BaseException as error:  # noqa: BLE001 - kept as the state; Rust code panics so
            state = _State("failed", f"cannot be loaded: {type(error).__name__}")
        if state.word == "failed":
            log.error("guard finder failed: scanner=%s reason=%s", self.name, state.reason)
        else:
            log.info("guard finder ready: scanner=%s", self.name)
        self._become(state)

    def _ready(self, deadline: float) -> Finders:
        left_s = max(0.0, deadline - self._clock.monotonic())
        if not self._decided.wait(min(left_s, TIMEOUT_MAX)):
            raise ScannerBusyError("still loading")
        if self._state.finders is None:
            raise ModelUnavailableError(self._state.reason)
        return self._state.finders


def load_finders(rule: AnonymizeRule, device_choice: Callable[[], Device]) -> Finders:
    """Load what a rule asks for, and try it; takes seconds.

    Args:
        rule: what to look for.
        device_choice: where a model would run.

    Raises:
        ModelUnavailableError: names the directory or package and what is missing or wrong.
    """
    go_offline(rule.models_path)
    patterns = PatternFinder(rule.entities, rule.languages, rule.threshold)
    patterns.find(SAMPLE, 0, len(SAMPLE))
    if not rule.names:
        return Finders(patterns)
    wanted = Wanted(rule.names, rule.threshold)
    return Finders(patterns, load_token_classifier(rule.directory, device_choice(), wanted))


def build_anonymizer(
    settings: GuardSettings,
    pool: ScannerPool,
    clock: Clock,
    device_choice: Callable[[], Device],
    has_package: HasPackage = is_installed,
) -> Anonymizer | None:
    """The finder that the settings ask for; None if it is off, see `why_off`. Loads nothing.

    Raises:
        ValueError: a setting of `guard.input_scanners.anonymize` cannot be used; names it.
    """
    if why_off(settings, has_package):
        return None
    return Anonymizer(rule_of(settings, has_package), pool, clock, device_choice)
