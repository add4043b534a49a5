"""What another threshold would have changed, from groups of scores in the request log."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ogp.audit.scores import BINS, Question, ScoreGroup, ScoreQueries, Standing, is_key

BAR_CHARS = 40
Documents = Mapping[str, Mapping[str, Any]]


class Change(StrEnum):
    """What becomes of a request's verdict."""

    BLOCKS = "pass_to_block"
    FREES = "block_to_pass"
    FLAGS = "pass_to_flag"
    CLEARS = "flag_to_pass"


class Lacking(StrEnum):
    """Why a request has no score."""

    NOT_SCANNED = "not_scanned"
    """Refused or ended before this direction was scanned, no text for the guard, or it is off."""
    WITHOUT_IT = "scanned_without_it"
    """A scanner before it had blocked, it was off or not there, it had no text to look at, or the
    row is of a version that kept no scores."""
    FAILED = "failed"
    """It raised, or had no time."""


HEADS = ("User", "Scored", "Pass to block", "Block to pass", "Pass to flag", "Flag to pass")
CONFIGURATION_HEADS = ("Configuration", "Threshold", "Action", "Scored")


@dataclass(frozen=True, slots=True)
class Configuration:
    """How the scanner was set in some of the requests."""

    id: str
    threshold: float | None
    """None where it is not known any more, or there is none."""
    action: str
    requests: int


class Changes:
    """Sums of all groups. Built once, then only read."""

    def __init__(
        self, groups: Iterable[ScoreGroup], documents: Documents, question: Question
    ) -> None:
        """Add everything up.

        Args:
            groups: of `ScoreQueries.groups`.
            documents: configurations by id; one that is missing is guessed from the verdicts.
            question: what the groups answer.
        """
        self._documents, self._question = documents, question
        self.requests = self.scored = self.cached = 0
        self.changes: Counter[Change] = Counter()
        self.lacking: Counter[Lacking] = Counter()
        self.bins: Counter[int] = Counter()
        self._scored_of: Counter[str] = Counter()
        self._changes_of: dict[str, Counter[Change]] = {}
        self._configurations: Counter[str] = Counter()
        for group in groups:
            self._add(group)

    def users(self) -> Sequence[tuple[str, int, Mapping[Change, int]]]:
        """Name, scored requests and changes of all whose verdicts change, most changes first."""
        changed = sorted(self._changes_of.items(), key=lambda item: (-item[1].total(), item[0]))
        return [(name, self._scored_of[name], changes) for name, changes in changed]

    def configurations(self) -> Sequence[Configuration]:
        """How the scanner was set, most requests first."""
        return [
            Configuration(name, self._fact(name, "threshold"), self._action(name), requests)
            for name, requests in self._configurations.most_common()
        ]

    def facts(self) -> Mapping[str, Any]:
        """For programs."""
        question = self._question
        return {
            "scanner": question.scanner,
            "direction": question.direction,
            "threshold": question.threshold,
            "since": question.since,
            "user": question.user,
            "requests": self.requests,
            "scored": self.scored,
            "cached": self.cached,
            "without_score": {reason.value: self.lacking[reason] for reason in Lacking},
            "changes": {change.value: self.changes[change] for change in Change},
            "users": [
                {"name": name, "scored": scored}
                | {change.value: changes.get(change, 0) for change in Change}
                for name, scored, changes in self.users()
            ],
            "histogram": [
                {"from": number / BINS, "to": (number + 1) / BINS, "requests": self.bins[number]}
                for number in range(BINS)
            ],
            "configurations": [
                {"id": each.id, "threshold": each.threshold, "action": each.action}
                | {"scored": each.requests}
                for each in self.configurations()
            ],
        }

    def user_rows(self) -> list[tuple[str, ...]]:
        """For people, in the order of `HEADS`."""
        return [
            (name, str(scored), *(str(changes.get(change, 0)) for change in Change))
            for name, scored, changes in self.users()
        ]

    def histogram_rows(self) -> list[tuple[str, ...]]:
        """Scores, requests, bar; the part in which the threshold lies is marked."""
        longest = max(self.bins.values(), default=0)
        marked = min(BINS - 1, int(self._question.threshold * BINS))
        return [
            (
                f"{number / BINS:.2f} - {(number + 1) / BINS:.2f}" + " T" * (number == marked),
                str(self.bins[number]),
                "█" * -(-BAR_CHARS * self.bins[number] // longest) if longest else "",
            )
            for number in range(BINS)
        ]

    def configuration_rows(self) -> list[tuple[str, ...]]:
        """For people, in the order of `CONFIGURATION_HEADS`."""
        return [
            (
                each.id,
                "?" if each.threshold is None else f"{each.threshold:g}",
                each.action or "?",
                str(each.requests),
            )
            for each in self.configurations()
        ]

    def _add(self, group: ScoreGroup) -> None:
        count, user = group.requests, group.username or ""
        self.requests += count
        if group.bin is None:
            self.lacking[_reason(group)] += count
            return
        self.scored += count
        self.cached += count * group.cached
        self.bins[group.bin] += count
        self._scored_of[user] += count
        self._configurations[group.configuration or ""] += count
        change = change_of(group, self._action(group.configuration or ""))
        if change is not None:
            self.changes[change] += count
            self._changes_of.setdefault(user, Counter())[change] += count

    def _action(self, configuration: str) -> str:
        return str(self._fact(configuration, "action") or "")

    def _fact(self, configuration: str, name: str) -> Any:
        scanners = self._documents.get(configuration, {}).get("scanners", {})
        return scanners.get(self._question.scanner, {}).get(name)


def change_of(group: ScoreGroup, action: str) -> Change | None:
    """What the other threshold does to the verdict of these requests; None: nothing.

    Args:
        group: with a score.
        action: of the scanner; empty where it is not known: it then blocks, unless it flagged.
    """
    flags = action == "flag" or group.flagged
    if group.is_hit:
        if not group.passed or group.flagged:
            return None
        if flags:
            return Change.FLAGS
        return Change.BLOCKS if group.standing is Standing.CLEAN else None
    if group.flagged:
        return Change.CLEARS
    return Change.FREES if group.standing is Standing.BLOCKED else None


def _reason(group: ScoreGroup) -> Lacking:
    if group.standing is Standing.NOT_SCANNED:
        return Lacking.NOT_SCANNED
    return Lacking.FAILED if group.failed else Lacking.WITHOUT_IT


class NoScoresError(Exception):
    """There is nothing to answer from."""


def changes_in(queries: ScoreQueries, question: Question) -> Changes:
    """The answer.

    Raises:
        NoScoresError: no request has a score of this scanner; says what there is.
        RequestLogError: the log cannot be read.
    """
    groups = queries.groups(question) if is_key(question.scanner) else []
    ids = sorted({group.configuration for group in groups if group.configuration})
    changes = Changes(groups, queries.configurations(ids), question)
    if not changes.scored:
        raise NoScoresError(_nothing(queries.scanners(question), question))
    return changes


def _nothing(known: Sequence[str], question: Question) -> str:
    since = question.since.strftime("%Y-%m-%d %H:%M UTC")
    whose = "" if question.user is None else f" of {question.user!a}"
    what = f"no request{whose} since {since} has an {question.direction} score"
    named = f"scores there are of {', '.join(known)}" if known else "nothing was scanned there"
    return f"{what} of {question.scanner!a}; {named}"
