"""What another threshold would have changed: every kind of request, and the sums."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ogp.audit.jobs import RowJobs
from ogp.audit.scores import BINS, Question, ScoreGroup, ScoreQueries, Standing
from ogp.cli.changes import (
    BAR_CHARS,
    CONFIGURATION_HEADS,
    HEADS,
    Change,
    Changes,
    Lacking,
    NoScoresError,
    change_of,
    changes_in,
)
from ogp.core.details import details_of
from ogp.core.types import AuditRecord, GuardState, ScannerResult, Verdict
from ogp.storage.engine import Database
from ogp.storage.tables import Table

SINCE = datetime(2026, 11, 1, tzinfo=UTC)
QUESTION = Question("toxicity", "input", 0.8, SINCE)
PASSED = ScoreGroup(
    username="alice",
    configuration="ab12",
    cached=False,
    bin=3,
    is_hit=False,
    passed=True,
    flagged=False,
    failed=False,
    standing=Standing.CLEAN,
    requests=1,
)
BLOCKED = replace(PASSED, bin=19, passed=False, is_hit=True, standing=Standing.BLOCKED)
FLAGGED = replace(PASSED, bin=19, flagged=True, is_hit=True)
BLOCKING = {"ab12": {"scanners": {"toxicity": {"action": "block", "threshold": 0.5}}}}
FLAGGING = {"ab12": {"scanners": {"toxicity": {"action": "flag", "threshold": 0.5}}}}


@pytest.mark.parametrize(
    ("group", "action", "change"),
    [
        (PASSED, "block", None),
        (replace(PASSED, is_hit=True), "block", Change.BLOCKS),
        (replace(PASSED, is_hit=True), "", Change.BLOCKS),
        (replace(PASSED, is_hit=True), "flag", Change.FLAGS),
        (replace(PASSED, is_hit=True, standing=Standing.BLOCKED_BY_OTHERS), "block", None),
        (replace(PASSED, is_hit=True, standing=Standing.ERROR), "block", None),
        (BLOCKED, "block", None),
        (replace(BLOCKED, is_hit=False), "block", Change.FREES),
        (replace(BLOCKED, is_hit=False, standing=Standing.BLOCKED_BY_OTHERS), "block", None),
        (FLAGGED, "flag", None),
        (replace(FLAGGED, is_hit=False), "flag", Change.CLEARS),
        (replace(FLAGGED, is_hit=False), "", Change.CLEARS),
    ],
)
def test_what_becomes_of_a_verdict(group: ScoreGroup, action: str, change: Change | None) -> None:
    assert change_of(group, action) is change


def changes_of(*groups: ScoreGroup, documents: Any = BLOCKING, threshold: float = 0.8) -> Changes:
    return Changes(groups, documents, replace(QUESTION, threshold=threshold))


def test_requests_scores_and_the_cache_are_counted() -> None:
    changes = changes_of(
        replace(PASSED, requests=5), replace(PASSED, cached=True, requests=3), BLOCKED
    )
    assert (changes.requests, changes.scored, changes.cached) == (9, 9, 3)
    assert changes.changes.total() == 0


def test_requests_without_a_score_are_counted_by_reason() -> None:
    none = replace(PASSED, bin=None, requests=2)
    changes = changes_of(
        replace(none, standing=Standing.NOT_SCANNED),
        replace(none, failed=True, requests=4),
        replace(none, standing=Standing.BLOCKED_BY_OTHERS, requests=8),
    )
    assert (changes.requests, changes.scored) == (14, 0)
    assert changes.lacking == {
        Lacking.NOT_SCANNED: 2,
        Lacking.FAILED: 4,
        Lacking.WITHOUT_IT: 8,
    }


def test_users_are_those_whose_verdicts_change_most_first() -> None:
    new = replace(PASSED, is_hit=True, requests=2)
    changes = changes_of(
        PASSED,
        new,
        replace(new, username="bob", requests=7),
        replace(PASSED, username="carol"),
        replace(BLOCKED, username="alice", is_hit=False),
        replace(new, username=None),
    )
    assert changes.users() == [
        ("bob", 7, {Change.BLOCKS: 7}),
        ("alice", 4, {Change.BLOCKS: 2, Change.FREES: 1}),
        ("", 2, {Change.BLOCKS: 2}),
    ]
    assert changes.user_rows()[1] == ("alice", "4", "2", "1", "0", "0")
    assert len(changes.user_rows()[0]) == len(HEADS)
    assert changes.changes == {Change.BLOCKS: 11, Change.FREES: 1}


def test_the_action_of_a_configuration_decides_between_block_and_flag() -> None:
    new = replace(PASSED, is_hit=True)
    assert changes_of(new, documents=FLAGGING).changes == {Change.FLAGS: 1}
    assert changes_of(new, documents={}).changes == {Change.BLOCKS: 1}


def test_configurations_are_shown_with_what_is_known_of_them() -> None:
    other = replace(PASSED, configuration="ff00", requests=3)
    rows = changes_of(PASSED, other, replace(PASSED, configuration=None)).configuration_rows()
    assert rows == [("ff00", "?", "?", "3"), ("ab12", "0.5", "block", "1"), ("", "?", "?", "1")]
    assert len(rows[0]) == len(CONFIGURATION_HEADS)


def test_the_histogram_has_a_bar_for_every_part() -> None:
    changes = changes_of(replace(PASSED, requests=80), replace(PASSED, bin=4), BLOCKED)
    rows = changes.histogram_rows()
    assert len(rows) == BINS
    assert rows[3] == ("0.15 - 0.20", "80", "█" * BAR_CHARS)
    assert rows[4] == ("0.20 - 0.25", "1", "█")
    assert rows[5] == ("0.25 - 0.30", "0", "")


@pytest.mark.parametrize(("threshold", "place"), [(0.8, 16), (0.82, 16), (1.0, 19), (0.01, 0)])
def test_the_part_with_the_threshold_is_marked(threshold: float, place: int) -> None:
    rows = changes_of(PASSED, threshold=threshold).histogram_rows()
    assert [number for number, row in enumerate(rows) if row[0].endswith(" T")] == [place]


def test_a_histogram_of_nothing_has_no_bars() -> None:
    assert {row[1:] for row in changes_of().histogram_rows()} == {("0", "")}


def test_the_facts_for_programs() -> None:
    facts = changes_of(replace(PASSED, is_hit=True, requests=2), BLOCKED).facts()
    assert (facts["scanner"], facts["direction"], facts["threshold"]) == ("toxicity", "input", 0.8)
    assert (facts["requests"], facts["scored"], facts["cached"]) == (3, 3, 0)
    assert facts["changes"] == {
        "pass_to_block": 2,
        "block_to_pass": 0,
        "pass_to_flag": 0,
        "flag_to_pass": 0,
    }
    assert facts["users"] == [{"name": "alice", "scored": 3, **facts["changes"]}]
    assert facts["without_score"] == {"not_scanned": 0, "scanned_without_it": 0, "failed": 0}
    assert sum(part["requests"] for part in facts["histogram"]) == 3
    assert facts["configurations"] == [
        {"id": "ab12", "threshold": 0.5, "action": "block", "scored": 3}
    ]


@pytest.fixture
def queries(tmp_path: Path) -> Iterator[ScoreQueries]:
    database = Database(tmp_path / "ogp.db")
    database.start()
    result = ScannerResult("toxicity", passed=True, score=0.9)
    verdict = Verdict(GuardState.CLEAN, (result,), configuration="ab12")
    record = AuditRecord(
        request_id="r",
        http_method="POST",
        path="/api/chat",
        created_at=SINCE.timestamp(),
        username="alice",
        guard_input=verdict.summary(),
        guard_input_details=details_of(verdict),
    )
    with database.write() as connection:
        Table.metadata.create_all(connection)
        RowJobs().finish(record, "p")(connection)
        connection.exec_driver_sql(
            "INSERT INTO guard_configurations VALUES ('ab12', '2026', "
            """'{"scanners":{"toxicity":{"action":"flag","threshold":0.95}}}')"""
        )
    yield ScoreQueries(database)
    database.stop()


def test_the_answer_takes_the_action_from_the_log(queries: ScoreQueries) -> None:
    assert changes_in(queries, QUESTION).changes == {Change.FLAGS: 1}


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (
            replace(QUESTION, scanner="toxic"),
            "no request since 2026-11-01 00:00 UTC has an input score of 'toxic'; "
            "scores there are of toxicity",
        ),
        (
            replace(QUESTION, scanner='a"b'),
            """input score of 'a"b'; scores there are of toxicity""",
        ),
        (replace(QUESTION, direction="output"), "output score of 'toxicity'; nothing was scanned"),
        (replace(QUESTION, user="bob"), "no request of 'bob' since"),
    ],
)
def test_nothing_to_answer_from_says_what_there_is(
    queries: ScoreQueries, question: Question, reason: str
) -> None:
    with pytest.raises(NoScoresError) as raised:
        changes_in(queries, question)
    assert reason in str(raised.value)
