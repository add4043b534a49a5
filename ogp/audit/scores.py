"""What scanners said in the requests of some days: sums over the guard details, made by SQLite."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import orjson
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import SQLAlchemyError

from ogp.storage.engine import Database
from ogp.storage.tables import GuardConfigurationTable
from ogp.storage.timestamps import to_text

Direction = Literal["input", "output"]
BINS = 20
"""Equal parts between 0 and 1 in which scores are counted."""

GROUPS = """
SELECT username, configuration, cached, bin, is_hit, passed, flagged, failed, standing,
       count(*) AS requests
FROM (
    SELECT username,
           json_extract(details, '$.configuration') AS configuration,
           json_extract(details, '$.cached') AS cached,
           min(:last_bin, CAST(json_extract(details, :score) * :bins AS INTEGER)) AS bin,
           json_extract(details, :score) >= :threshold AS is_hit,
           json_extract(details, :passed) AS passed,
           json_extract(details, :flagged) IS NOT NULL AS flagged,
           json_extract(details, :error) IS NOT NULL AS failed,
           CASE
               WHEN verdict GLOB 'not_scanned*' OR verdict GLOB 'off*' THEN 'not_scanned'
               WHEN verdict = :blocked OR substr(verdict, 1, length(:blocked) + 1) = :blocked || ';'
                   THEN 'blocked'
               WHEN verdict GLOB 'blocked*' THEN 'blocked_by_others'
               WHEN verdict GLOB 'error*' THEN 'error'
               ELSE 'clean'
           END AS standing
    FROM (
        SELECT username, {verdict} AS verdict,
               CASE WHEN json_valid({details}) THEN {details} END AS details
        FROM request_logs WHERE created_at >= :since AND (:user IS NULL OR username = :user)
    )
)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""
NAMES = """
SELECT DISTINCT said.key
FROM request_logs, json_each(
    CASE WHEN json_valid({details}) THEN {details} END, '$.scanners') AS said
WHERE created_at >= :since AND (:user IS NULL OR username = :user)
"""


class RequestLogError(Exception):
    """The request log cannot be read."""


class Standing(StrEnum):
    """What the guard as a whole said of one direction of a request."""

    CLEAN = "clean"
    BLOCKED = "blocked"
    """By the scanner in question, and by no other."""
    BLOCKED_BY_OTHERS = "blocked_by_others"
    ERROR = "error"
    NOT_SCANNED = "not_scanned"


@dataclass(frozen=True, slots=True)
class Question:
    """Which requests are counted, and what of them."""

    scanner: str
    """Its name, see `is_key`."""
    direction: Direction
    threshold: float
    since: datetime
    user: str | None = None


@dataclass(frozen=True, slots=True)
class ScoreGroup:
    """Requests that are alike in everything that is asked for."""

    username: str | None
    configuration: str | None
    """Id of the scanners; None where none looked."""
    cached: bool
    bin: int | None
    """Of the score, 0 to `BINS` - 1; None where there is no score."""
    is_hit: bool
    """The score is at least the threshold in question."""
    passed: bool
    """The scanner let the text pass then."""
    flagged: bool
    """It recorded a hit and let it pass."""
    failed: bool
    standing: Standing
    requests: int


class ScoreQueries:
    """Sums over committed rows. Thread-safe; a writer is not kept waiting."""

    def __init__(self, database: Database) -> None:
        """Store the database; it must be started before the first query."""
        self._database = database

    def groups(self, question: Question) -> Sequence[ScoreGroup]:
        """Every request since then, in groups: one pass over the rows, in SQLite.

        Raises:
            RequestLogError: it cannot be read.
        """
        place = f'$.scanners."{question.scanner}".'
        facts = {name: place + name for name in ("score", "passed", "flagged", "error")}
        values = _range(question) | facts
        values |= {"bins": BINS, "last_bin": BINS - 1, "threshold": question.threshold}
        values["blocked"] = f"blocked:{question.scanner}"
        with self._read() as connection:
            rows = connection.execute(text(_sql(GROUPS, question.direction)), values)
            return [_group(row) for row in rows.mappings()]

    def scanners(self, question: Question) -> Sequence[str]:
        """Names of all scanners that said something of these requests.

        Raises:
            RequestLogError: it cannot be read.
        """
        with self._read() as connection:
            names = connection.scalars(text(_sql(NAMES, question.direction)), _range(question))
            return sorted(names)

    def configurations(self, names: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """What these ids stand for, as far as it is known.

        Raises:
            RequestLogError: it cannot be read.
        """
        table = GuardConfigurationTable
        statement = select(table.id, table.document).where(table.id.in_(names))
        with self._read() as connection:
            rows = connection.execute(statement).all()
        return {row.id: document for row in rows if (document := _document(row.document))}

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        try:
            with self._database.read() as connection:
                yield connection
        except SQLAlchemyError as error:
            reason = getattr(error, "orig", None) or type(error).__name__
            raise RequestLogError(f"{self._database.path} cannot be read: {reason}") from error


def is_key(name: str) -> bool:
    """Whether a scanner's name can stand in a JSON path as it is."""
    return name.isprintable() and not set(name) & {'"', "\\"}


def _document(stored: str) -> Mapping[str, Any]:
    """What stands there; nothing if somebody spoilt it."""
    try:
        loaded = orjson.loads(stored)
    except orjson.JSONDecodeError:
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _sql(template: str, direction: Direction) -> str:
    return template.format(verdict=f"guard_{direction}", details=f"guard_{direction}_details")


def _range(question: Question) -> dict[str, Any]:
    return {"since": to_text(question.since), "user": question.user}


def _group(row: Mapping[Any, Any]) -> ScoreGroup:
    return ScoreGroup(
        username=row["username"],
        configuration=row["configuration"],
        cached=bool(row["cached"]),
        bin=row["bin"],
        is_hit=bool(row["is_hit"]),
        passed=bool(row["passed"]),
        flagged=bool(row["flagged"]),
        failed=bool(row["failed"]),
        standing=Standing(row["standing"]),
        requests=row["requests"],
    )
