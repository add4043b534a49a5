from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ogp.audit.configurations import ConfigurationRows
from ogp.audit.jobs import RowJobs, nothing
from ogp.audit.scores import (
    BINS,
    Question,
    RequestLogError,
    ScoreGroup,
    ScoreQueries,
    Standing,
    is_key,
)
from ogp.core.clock import SystemClock
from ogp.core.details import details_of
from ogp.core.types import AuditRecord, GuardState, ScannerResult, Verdict
from ogp.storage.engine import Database
from ogp.storage.tables import Table

NAME = "prompt_injection"
SINCE = datetime(2026, 11, 1, tzinfo=UTC)
DAY_S = 86_400.0
ROW = AuditRecord(
    request_id="r",
    http_method="POST",
    path="/api/chat",
    created_at=SINCE.timestamp() + DAY_S,
    username="alice",
)
BLOCKED, CLEAN = GuardState.BLOCKED, GuardState.CLEAN


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "ogp.db")
    database.start()
    with database.write() as connection:
        Table.metadata.create_all(connection)
    yield database
    database.stop()


def said(score: float, threshold: float = 0.9, name: str = NAME) -> ScannerResult:
    reason = "INJECTION" if score >= threshold else ""
    return ScannerResult(name, score < threshold, score, reason)


def verdict(*results: ScannerResult, **fields: Any) -> Verdict:
    state = GuardState.CLEAN if all(result.passed for result in results) else BLOCKED
    if any(result.error for result in results):
        state = GuardState.ERROR
    return Verdict(fields.pop("state", state), results, configuration="ab12", **fields)


def add(database: Database, verdict: Verdict, direction: str = "input", **fields: Any) -> None:
    noted = {f"guard_{direction}": verdict.summary()}
    noted[f"guard_{direction}_details"] = details_of(verdict)
    with database.write() as connection:
        RowJobs().finish(replace(ROW, **(noted | fields)), "p")(connection)


def asked(database: Database, **fields: Any) -> list[ScoreGroup]:
    question = Question(
        **{"scanner": NAME, "direction": "input", "threshold": 0.8} | fields, since=SINCE
    )
    return list(ScoreQueries(database).groups(question))


def only(database: Database, **fields: Any) -> ScoreGroup:
    (group,) = asked(database, **fields)
    return group


def test_a_score_is_found_with_all_that_is_known_of_it(database: Database) -> None:
    add(database, verdict(said(0.0, name="secrets"), said(0.42)))
    assert only(database) == ScoreGroup(
        username="alice",
        configuration="ab12",
        cached=False,
        bin=8,
        is_hit=False,
        passed=True,
        flagged=False,
        failed=False,
        standing=Standing.CLEAN,
        requests=1,
    )


def test_equal_requests_are_one_group(database: Database) -> None:
    for score in (0.41, 0.42, 0.44):
        add(database, verdict(said(score)))
    assert only(database).requests == 3


@pytest.mark.parametrize("score", [0.0, 0.05, 0.999, 1.0])
def test_every_score_has_a_bin(database: Database, score: float) -> None:
    add(database, verdict(said(score)))
    number = only(database).bin
    assert number is not None
    assert 0 <= number < BINS
    assert number / BINS <= score <= (number + 1) / BINS


@pytest.mark.parametrize(("score", "is_hit"), [(0.79, False), (0.8, True), (0.81, True)])
def test_the_threshold_itself_is_a_hit(database: Database, score: float, is_hit: bool) -> None:
    add(database, verdict(said(score)))
    assert only(database).is_hit == is_hit


@pytest.mark.parametrize(
    ("given", "standing"),
    [
        (verdict(said(0.95)), Standing.BLOCKED),
        (verdict(said(0.95), cached=True), Standing.BLOCKED),
        (verdict(said(0.1), said(1.0, name="toxicity")), Standing.BLOCKED_BY_OTHERS),
        (
            verdict(said(0.95), ScannerResult("regex", False, 1.0, "r")),
            Standing.BLOCKED_BY_OTHERS,
        ),
        (verdict(said(0.1), said(1.0, name=NAME + "_2")), Standing.BLOCKED_BY_OTHERS),
        (verdict(said(0.1)), Standing.CLEAN),
        (verdict(said(0.1), unscanned=("images",)), Standing.CLEAN),
        (verdict(said(0.1), ScannerResult("s", False, error=True, reason="E")), Standing.ERROR),
        (Verdict(GuardState.OFF), Standing.NOT_SCANNED),
        (Verdict(GuardState.OFF, unscanned=("images",)), Standing.NOT_SCANNED),
        (Verdict(GuardState.NOT_SCANNED), Standing.NOT_SCANNED),
    ],
)
def test_what_became_of_the_request(database: Database, given: Verdict, standing: Standing) -> None:
    add(database, given)
    assert only(database).standing is standing


def test_a_hit_that_was_let_through_is_known(database: Database) -> None:
    add(database, verdict(ScannerResult(NAME, True, 0.95, "INJECTION")))
    group = only(database)
    assert (group.passed, group.flagged) == (True, True)


def test_a_failure_has_no_score(database: Database) -> None:
    add(database, verdict(ScannerResult(NAME, False, error=True, reason="TimeoutError")))
    group = only(database)
    assert (group.bin, group.failed, group.is_hit) == (None, True, False)


def test_a_scanner_that_did_not_look_has_no_score(database: Database) -> None:
    add(database, verdict(said(1.0, name="secrets")))
    group = only(database)
    assert (group.bin, group.failed, group.standing) == (None, False, Standing.BLOCKED_BY_OTHERS)


def test_remembered_verdicts_are_counted_apart(database: Database) -> None:
    add(database, verdict(said(0.1)))
    add(database, verdict(said(0.1), cached=True))
    assert sorted(group.cached for group in asked(database)) == [False, True]


def test_directions_are_apart(database: Database) -> None:
    add(database, verdict(said(0.1)), "input")
    add(database, verdict(said(0.95)), "output")
    groups = asked(database, direction="output")
    assert sorted(group.bin or -1 for group in groups) == [-1, 19]


def test_older_requests_do_not_count(database: Database) -> None:
    add(database, verdict(said(0.1)), created_at=SINCE.timestamp() - 0.002)
    assert asked(database) == []
    add(database, verdict(said(0.1)), created_at=SINCE.timestamp())
    assert len(asked(database)) == 1


def test_one_user_by_name(database: Database) -> None:
    for name in ("alice", "bob", None):
        add(database, verdict(said(0.1)), username=name)
    assert {group.username for group in asked(database)} == {"alice", "bob", None}
    assert {group.username for group in asked(database, user="bob")} == {"bob"}
    assert asked(database, user="' OR 1=1 --") == []


def test_rows_without_details_or_with_broken_ones_stop_nothing(database: Database) -> None:
    for broken in (None, "", "{", "[]", "7", '{"scanners": 7}'):
        add(database, verdict(said(0.1)), guard_input_details=broken)
    assert {(group.bin, group.standing) for group in asked(database)} == {(None, Standing.CLEAN)}
    add(database, verdict(said(0.1)))
    assert sorted(group.bin or 0 for group in asked(database))[-1] == 2


@pytest.mark.parametrize("name", ["a.b", "$", "a b", "[0]", "größe", "'; --", "%", "a[1]"])
def test_any_printable_name_is_found(database: Database, name: str) -> None:
    assert is_key(name)
    add(database, verdict(said(0.42, name=name)))
    assert only(database, scanner=name).bin == 8


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\u202e"])
def test_a_name_that_a_path_cannot_hold_is_told(name: str) -> None:
    assert not is_key(name)


def test_the_scanners_of_the_time_are_listed(database: Database) -> None:
    add(database, verdict(said(0.1), said(0.2, name="toxicity")))
    add(database, verdict(said(0.1, name="regex")), created_at=SINCE.timestamp() - 9)
    add(database, verdict(said(0.1, name="secrets")), "output")
    add(database, verdict(said(0.1)), guard_input_details="{")
    question = Question(NAME, "input", 0.5, SINCE)
    assert ScoreQueries(database).scanners(question) == [NAME, "toxicity"]
    assert ScoreQueries(database).scanners(replace(question, user="bob")) == []


def test_configurations_are_read_by_id(database: Database) -> None:
    with database.write() as connection:
        rows = ConfigurationRows(dict, SystemClock())
        documents = {"ab12": '{"direction":"input"}', "ff": "{", "fe": "[]"}
        rows.preceding(nothing, documents)(connection)
    asked_for = ["ab12", "00", "ff", "fe"]
    assert ScoreQueries(database).configurations(asked_for) == {"ab12": {"direction": "input"}}


def test_a_log_without_the_columns_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    database = Database(tmp_path / "other.db")
    database.start()
    with pytest.raises(RequestLogError, match=r"other\.db cannot be read: no such table"):
        asked(database)
    database.stop()
