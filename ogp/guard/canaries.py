"""Known bad and known good samples through the real guards, again and again.

A guard that has gone blind looks like a world without attacks. So each scanner is shown a text
that it must hit and one that it must pass, as a client of each dialect would send it, or a server
answer it in a stream. Nothing of that is cached, counted as a request or written to the audit log.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Lock, Thread
from typing import Any, Literal

from ogp.core.clock import Clock
from ogp.core.errors import (
    BlockedError,
    GuardBusyError,
    GuardUnavailableError,
    TooLargeError,
)
from ogp.core.types import InferenceRequest, Principal, Role, Verdict
from ogp.dialects.base import Dialect
from ogp.guard.canary_forms import FORMS
from ogp.guard.canary_plan import Canary, CanaryPlan
from ogp.guard.input import PromptGuard
from ogp.guard.normalise import Normaliser
from ogp.guard.output import AnswerGuard
from ogp.guard.samples import GOOD
from ogp.guard.wanted import Direction

NOBODY = Principal("canary", Role.USER)
PIECE_CHARS = 7
"""Of an answer in one event; words are cut."""
CHUNK_BYTES = 61
"""Of an answer as it comes from a server; events are cut."""
STOP_S = 2.0
"""Longest time that `stop` waits for a round, in seconds."""

Seen = Literal["hit", "clean", "failed", "busy"]
"""`busy`: it was not there, had no time, or the sample is beyond limits; nothing is said of it."""


@dataclass(frozen=True, slots=True)
class _Key:
    direction: Direction
    scanner: str
    dialect: str

    def __str__(self) -> str:
        return f"{self.scanner} ({self.direction}, {self.dialect})"


class Canaries:
    """Runs the rounds on a thread of its own, one sample after the other. Thread-safe."""

    def __init__(
        self,
        plan: CanaryPlan,
        dialects: Sequence[Dialect],
        *,
        window_chars: int,
        interval_s: float,
        clock: Clock,
    ) -> None:
        """Keep the parts; nothing runs yet.

        Args:
            plan: which scanners are shown what.
            dialects: every one is tried with every scanner.
            window_chars: of streamed answers, as the guard of answers has it.
            interval_s: between two rounds; 0: one round at the start.
            clock: tells when the last round was.
        """
        self._plan, self._clock = plan, clock
        self._dialects = [dialect for dialect in dialects if dialect.name in FORMS]
        unknown = {dialect.name for dialect in dialects}.difference(FORMS)
        self._skipped = dict(plan.skipped) | dict.fromkeys(sorted(unknown), "no samples yet")
        self._window_chars, self._interval_s = window_chars, interval_s
        self._normaliser = Normaliser()
        self._ready, self._stopped = Event(), Event()
        self._thread: Thread | None = None
        self._lock = Lock()  # guards the four below; never held while a sample is scanned
        self._missed: dict[_Key, str] = {}
        self._runs = self._misses = 0
        self._last_run: datetime | None = None

    def start(self) -> None:
        """Start the thread; it waits for `release`. After a fork, never before."""
        if self._plan.canaries and self._dialects:
            self._thread = Thread(target=self._rounds, name="guard-canaries", daemon=True)
            self._thread.start()

    def release(self) -> None:
        """The scanners are there, or known not to be: the first round may begin."""
        self._ready.set()

    def stop(self) -> None:
        """End after the sample that is being scanned."""
        self._stopped.set()
        self._ready.set()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def run_once(self) -> Sequence[str]:
        """One round, in the calling thread; what was missed, for people."""
        missed: dict[_Key, str] = {}
        for dialect in self._dialects:
            for canary in self._plan.canaries:
                if self._stopped.is_set():
                    return self.missed()
                key = _Key(canary.direction, canary.scanner.name, dialect.name)
                found = self._complaint(canary, dialect)
                if found is None:  # nothing is known anew
                    with self._lock:
                        found = self._missed.get(key, "")
                if found:
                    missed[key] = found
        self._note(missed)
        return self.missed()

    def missed(self) -> list[str]:
        """What the last round missed, for people; empty if nothing."""
        with self._lock:
            return [f"{key}: {found}" for key, found in self._missed.items()]

    def describe(self) -> dict[str, Any]:
        """For `/health`."""
        last_missed = self.missed()
        with self._lock:
            last_run = self._last_run
            return {
                "runs": self._runs,
                "misses": self._misses,
                "last_run": last_run.isoformat(timespec="seconds") if last_run else None,
                "last_missed": last_missed,
                "samples": len(self._plan.canaries) * len(self._dialects),
                "skipped": self._skipped,
            }

    def _rounds(self) -> None:
        self._ready.wait()
        while not self._stopped.is_set():
            self.run_once()
            if not self._interval_s or self._stopped.wait(self._interval_s):
                return

    def _note(self, missed: dict[_Key, str]) -> None:
        log = logging.getLogger(__name__)
        with self._lock:
            before, self._missed = self._missed, missed
            self._runs += 1
            self._misses += len(missed)
            self._last_run = self._clock.now()
        for key, found in missed.items():
            if key not in before:
                log.error("guard canary missed: canary=%s what=%s", key, found)
        for key in before.keys() - missed.keys():
            log.info("guard canary sees again: canary=%s", key)

    def _complaint(self, canary: Canary, dialect: Dialect) -> str | None:
        """What is wrong with a scanner; empty if nothing, None if that cannot be told now."""
        bad = self._look(canary, dialect, canary.sample.bad)
        if bad == "busy":
            return None
        if bad != "hit":
            return "a known bad sample passed" if bad == "clean" else "it failed"
        if canary.sample.good is None:
            return ""
        good = self._look(canary, dialect, canary.sample.good)
        if good == "busy":
            return None
        return {"hit": "a harmless sample was hit", "failed": "it failed"}.get(good, "")

    def _look(self, canary: Canary, dialect: Dialect, text: str) -> Seen:
        """What the guard, with this scanner alone, makes of a text."""
        verdicts: list[Verdict] = []
        try:
            passed = self._pass(canary, dialect, text, verdicts)
        except BlockedError:
            passed = True
        except (GuardBusyError, GuardUnavailableError, TooLargeError):
            return "busy"
        except Exception as error:  # noqa: BLE001 - whatever fails would fail requests as well
            kind = type(error).__name__
            logging.getLogger(__name__).error("guard canary failed: error=%s", kind)
            return "failed"
        name = canary.scanner.name
        found = [result for each in verdicts for result in each.results if result.scanner == name]
        if any(name in each.unscanned for each in verdicts):
            return "busy"
        if any(result.error for result in found) or not passed or len(verdicts) != 1:
            return "failed"
        is_hit = any(not each.passed or each.reason or each.redacted for each in found)
        return "hit" if is_hit else "clean"

    def _pass(self, canary: Canary, dialect: Dialect, text: str, verdicts: list[Verdict]) -> bool:
        """Show a text to the guard; whether what came through is what went in, or was redacted."""
        scanners = (canary.scanner,)
        if canary.direction == "input":
            request = _asked(dialect, text)
            PromptGuard(scanners, self._normaliser, block_on_error=True).scan(
                request, NOBODY, dialect, verdicts.append
            )
            return True
        request = _asked(dialect, GOOD)
        guard = AnswerGuard(
            scanners, self._normaliser, block_on_error=True, window_chars=self._window_chars
        )
        answer = _answered(dialect, text)
        events = dialect.events(request, _cut(answer), texts=guard.reads(request, NOBODY))
        sent = b"".join(
            event.raw for event in guard.filter(request, NOBODY, dialect, events, verdicts.append)
        )
        return sent == answer or any(verdict.redacted for verdict in verdicts)


def _asked(dialect: Dialect, text: str) -> InferenceRequest:
    form = FORMS[dialect.name]
    parse = next(each.parse for each in dialect.operations if each.name == form.operation)
    return parse(form.question(text))


def _answered(dialect: Dialect, text: str) -> bytes:
    pieces = [text[at : at + PIECE_CHARS] for at in range(0, len(text), PIECE_CHARS)]
    return FORMS[dialect.name].answer(pieces)


def _cut(answer: bytes) -> Iterator[bytes]:
    return (answer[at : at + CHUNK_BYTES] for at in range(0, len(answer), CHUNK_BYTES))
