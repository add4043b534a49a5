"""What the scanners said of one text or answer, put together."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
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


Timer = Callable[[], float]
"""A monotonic time in seconds."""


@dataclass(slots=True)
class _Account:
    """What one scanner has said so far."""

    passed: bool = True
    score: float = 0.0
    reason: str = ""
    error: bool = False
    redacted: int = 0
    elapsed_s: float | None = None
    """None where it was not asked, e.g. as another tally did so."""
    weight: tuple[bool, bool, float] = (False, False, 0.0)
    """Of what is kept: it blocks, it is a hit, its score."""
    looked: bool = False
    """It was shown something of which something counts; until then nothing is known."""

    def result(self, name: str) -> ScannerResult:
        return ScannerResult(
            name,
            self.passed,
            self.score,
            self.reason,
            self.error,
            self.redacted,
            None if self.elapsed_s is None else 1e3 * self.elapsed_s,
        )


class Tally:
    """Asks scanners and keeps what they say, and how long they took. For one request and thread.

    A scanner that raises is not asked again; the others are. Its result is an error. A scanner that
    was shown no text has no result: it is not said to have found nothing.
    """

    def __init__(self, timer: Timer = perf_counter) -> None:
        """Start without results.

        Args:
            timer: asked before and after each scanner.
        """
        self._timer = timer
        self._accounts: dict[str, _Account] = {}
        self._failures: list[Exception] = []
        self._unasked: dict[str, None] = {}  # scanners that could not be loaded, and need not be
        self.is_blocked = False

    @property
    def has_errors(self) -> bool:
        """Whether any scanner failed."""
        return bool(self._failures)

    def ask(self, scanner: Scanner, views: Iterable[View]) -> None:
        """Show a scanner the views it reads, until it blocks; equal neighbours once."""
        account = self._account(scanner.name)
        if account.error:
            return
        began = self._timer()
        try:
            self._show(scanner, views, account)
        except TooLargeError:
            raise  # the text is refused for its size; no scanner failed
        except ModelUnavailableError as error:
            if getattr(scanner, "required", True):
                self._note_error(scanner.name, account, error)
            else:
                del self._accounts[scanner.name]
                self._unasked[scanner.name] = None
        except Exception as error:  # noqa: BLE001 - any failure of a scanner is a verdict
            self._note_error(scanner.name, account, error)
        finally:
            account.elapsed_s = (account.elapsed_s or 0.0) + self._timer() - began

    def note(self, name: str, finding: Finding) -> None:
        """Keep what counts most: a block, else a hit that was let through, else a high score."""
        account = self._account(name)
        account.looked = True
        self.is_blocked = self.is_blocked or finding.blocks
        weight = (finding.blocks, finding.hit, finding.score)
        if weight > account.weight:
            account.weight, account.error = weight, False
            account.passed = not finding.blocks
            account.score, account.reason = finding.score, finding.reason

    def note_redaction(self, name: str, pieces: int) -> None:
        """Count what a scanner took out of a text, beside what else it said."""
        account = self._account(name)
        account.looked = True
        account.redacted += pieces

    def verdict(self, unscanned: tuple[str, ...] = (), configuration: str = "") -> Verdict:
        """A block counts more than an error, an error more than a clean rest.

        Args:
            unscanned: kinds of content that no scanner could read.
            configuration: id of the scanners, see `guard.configuration`.
        """
        if self.is_blocked:
            state = GuardState.BLOCKED
        elif self.has_errors:
            state = GuardState.ERROR
        else:
            state = GuardState.CLEAN
        results = tuple(
            account.result(name) for name, account in self._accounts.items() if account.looked
        )
        unscanned = (*self._unasked, *unscanned)
        return Verdict(state, results, unscanned, configuration=configuration)

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

    def _account(self, name: str) -> _Account:
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = _Account()
        return account

    def _show(self, scanner: Scanner, views: Iterable[View], account: _Account) -> None:
        shown: tuple[str, int] | None = None
        for view in views:
            if view.kind not in scanner.reads or (view.text, view.start) == shown:
                continue
            shown = (view.text, view.start)
            finding = scanner.scan(view)
            if finding is not None:
                self.note(scanner.name, finding)
                if finding.blocks:
                    return
            elif not account.looked:
                account.looked = _is_judged(scanner, view)

    def _note_error(self, name: str, account: _Account, error: Exception) -> None:
        kind = type(error).__name__  # the message could hold the text
        self._failures.append(error)
        account.passed, account.score, account.reason = False, 0.0, kind
        account.error = account.looked = True
        logging.getLogger(__name__).error("guard scanner failed: scanner=%s error=%s", name, kind)


def _is_judged(scanner: Scanner, view: View) -> bool:
    """Whether finding nothing says anything: there was text, and a part of it may pass now."""
    if not view.text or view.text.isspace():
        return False
    return not view.open or scanner.settled(view) > view.start


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
