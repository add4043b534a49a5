"""What the scanners said of one text or answer, put together."""

import logging
from collections.abc import Iterable
from typing import Any

from ogp.core.errors import (
    GuardBusyError,
    GuardError,
    GuardUnavailableError,
    TooLargeError,
)
from ogp.core.types import GuardState, ScannerResult, Verdict
from ogp.guard.base import Finding, Scanner, View
from ogp.guard.model import ModelUnavailableError, ScannerBusyError

LANGUAGE = "en"
"""Of the messages a refusal carries."""


class Tally:
    """Asks scanners and keeps what they say. For one request and one thread.

    A scanner that raises is not asked again; the others are. Its result is an error.
    """

    def __init__(self) -> None:
        self._results: dict[str, ScannerResult] = {}
        self._failures: list[Exception] = []
        self._unasked: list[str] = []  # scanners that could not be loaded, and need not be
        self.is_blocked = False

    @property
    def has_errors(self) -> bool:
        """Whether any scanner failed."""
        return any(result.error for result in self._results.values())

    def ask(self, scanner: Scanner, views: Iterable[View]) -> None:
        """Show a scanner the views it reads, until it blocks; equal neighbours once."""
        before = self._results.setdefault(scanner.name, ScannerResult(scanner.name, passed=True))
        if before.error:
            return
        shown: tuple[str, int] | None = None
        for view in views:
            if view.kind not in scanner.reads or (view.text, view.start) == shown:
                continue
            shown = (view.text, view.start)
            try:
                finding = scanner.scan(view)
            except TooLargeError:
                raise  # the text is refused for its size; no scanner failed
            except ModelUnavailableError as error:
                if getattr(scanner, "required", True):
                    self._note_error(scanner.name, error)
                else:
                    self._results.pop(scanner.name)
                    self._unasked.append(scanner.name)
                return
            except Exception as error:  # noqa: BLE001 - any failure of a scanner is a verdict
                self._note_error(scanner.name, error)
                return
            if finding is not None:
                self.note(scanner.name, finding)
                if finding.blocks:
                    return

    def note(self, name: str, finding: Finding) -> None:
        """Keep a hit, or the highest score of texts that passed."""
        before = self._results.get(name)
        if (
            not finding.hit
            and before is not None
            and (before.reason or before.score >= finding.score)
        ):
            return
        self._results[name] = ScannerResult(
            name, passed=not finding.blocks, score=finding.score, reason=finding.reason
        )
        self.is_blocked = self.is_blocked or finding.blocks

    def verdict(self, unscanned: tuple[str, ...] = ()) -> Verdict:
        """A block counts more than an error, an error more than a clean rest."""
        if self.is_blocked:
            state = GuardState.BLOCKED
        elif self.has_errors:
            state = GuardState.ERROR
        else:
            state = GuardState.CLEAN
        unasked = tuple(dict.fromkeys(self._unasked))
        return Verdict(state, tuple(self._results.values()), (*unasked, *unscanned))

    def failure(self, what: str) -> GuardError:
        """The refusal for scanners that failed.

        Args:
            what: what was not done about it, e.g. `the prompt was not accepted`.
        """
        verdict = self.verdict()
        kinds = {type(error) for error in self._failures}
        if ScannerBusyError in kinds:
            return GuardBusyError(f"The guard is busy, so {what}; try again.", verdict)
        if ModelUnavailableError in kinds:
            return GuardUnavailableError(f"A scanner is not available, so {what}.", verdict)
        return GuardError(f"The guard failed, so {what}.", verdict)

    def _note_error(self, name: str, error: Exception) -> None:
        kind = type(error).__name__  # the message could hold the text
        self._failures.append(error)
        self._results[name] = ScannerResult(name, passed=False, reason=kind, error=True)
        logging.getLogger(__name__).error("guard scanner failed: scanner=%s error=%s", name, kind)


def blocking_names(verdict: Verdict) -> str:
    """The scanners that blocked, for people."""
    return ", ".join(result.scanner for result in verdict.failed if not result.error)


def refusal_facts(verdict: Verdict) -> dict[str, Any]:
    """Further fields of a refusal's body: names and scores, never text."""
    return {
        "language": LANGUAGE,
        "details": {
            "allowed": False,
            "sanitized": False,
            "scanners": {
                result.scanner: {
                    "passed": result.passed,
                    "risk_score": result.score,
                    "sanitized": False,
                }
                for result in verdict.results
            },
            "scanner_count": len(verdict.results),
        },
    }
