"""A verdict as JSON for the audit log: bounded, numbers and names only, never text."""

from collections.abc import Mapping
from typing import Any

import orjson

from ogp.core.types import GuardState, ScannerResult, Verdict

MAX_DETAILS_CHARS = 4_000
"""Longest text; about 60 scanners fit."""
ROOM_FOR_NOTES = 100
"""Characters for what is left out, and for the brackets of the lists."""


def details_of(verdict: Verdict) -> str | None:
    """What each scanner said, at most 4,000 characters; None if no scanner looked.

    `{"configuration": ID, "cached": false, "scanners": {NAME: {"passed": true, "score": 0.013,
    "ms": 1.2}}, "unscanned": ["images"]}`. Of a scanner also `flagged: true` or the number of
    pieces `redacted`; of one that failed `error`, its kind, and no score. What a scanner was not
    shown is no entry. Where the room is not enough, `left_out` counts missing entries.
    """
    if verdict.state in (GuardState.NOT_SCANNED, GuardState.OFF):
        return None
    text = _dumps(_heading(verdict) | _lists(verdict.results, verdict.unscanned))
    return text if len(text) <= MAX_DETAILS_CHARS else _cut(verdict)


def _heading(verdict: Verdict) -> dict[str, Any]:
    return {"configuration": verdict.configuration, "cached": verdict.cached}


def _lists(results: tuple[ScannerResult, ...], unscanned: tuple[str, ...]) -> dict[str, Any]:
    lists: dict[str, Any] = {"scanners": {result.scanner: _facts(result) for result in results}}
    if unscanned:
        lists["unscanned"] = unscanned
    return lists


def _facts(result: ScannerResult) -> Mapping[str, Any]:
    if result.error:
        facts: dict[str, Any] = {"passed": False, "error": result.reason}
    else:
        facts = {"passed": result.passed, "score": round(result.score, 6)}
        if result.redacted:
            facts["redacted"] = result.redacted
        elif result.passed and result.reason:
            facts["flagged"] = True
    if result.elapsed_ms is not None:
        facts["ms"] = round(result.elapsed_ms, 3)
    return facts


def _cut(verdict: Verdict) -> str:
    """As much as fits, by whole entries: what did not pass first, then what was noted."""
    heading = _heading(verdict)
    room = MAX_DETAILS_CHARS - len(_dumps(heading)) - ROOM_FOR_NOTES
    results: list[ScannerResult] = []
    for result in sorted(verdict.results, key=lambda result: (result.passed, not result.reason)):
        needed = len(_dumps({result.scanner: _facts(result)}))
        if needed <= room:
            results.append(result)
            room -= needed
    unscanned: list[str] = []
    for name in verdict.unscanned:
        needed = len(_dumps([name]))
        if needed <= room:
            unscanned.append(name)
            room -= needed
    left_out = len(verdict.results) + len(verdict.unscanned) - len(results) - len(unscanned)
    return _dumps(heading | {"left_out": left_out} | _lists(tuple(results), tuple(unscanned)))


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()
