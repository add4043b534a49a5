"""`ogp guard whatif`: what another threshold would have done to the requests of the last days."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING

import click

from ogp.cli.options import settings_options
from ogp.cli.scanning import DIRECTIONS, Direction
from ogp.cli.tables import print_json, print_table
from ogp.settings.load import Loaded
from ogp.settings.schema import Settings

if TYPE_CHECKING:
    from ogp.audit.scores import ScoreQueries
    from ogp.cli.changes import Changes

MAX_USERS = 50
"""Lines of the table of users; `--json` shows all."""
DURATION = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[mhd])")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
HINT = "say a duration such as 7d, 12h or 30m, or a date such as 2026-11-20"
NOTES = """\
A scan ends at the first piece of a text that is a hit: the score of a blocked text need not be its
highest, so "block to pass" counts the most there can be. "Pass to block" is exact.
Scanners behind one that blocked were not asked: they have no score of such requests, and could
still block what this one would let pass."""


@click.command()
@click.option("--scanner", metavar="NAME", required=True, help="One that gives scores.")
@click.option(
    "--threshold",
    metavar="T",
    type=click.FloatRange(0, 1, min_open=True),
    required=True,
    help="Least score that would be a hit.",
)
@click.option(
    "--since",
    metavar="WHEN",
    default="7d",
    show_default=True,
    help="7d, 12h or 30m before now, or a date or time in ISO form (UTC).",
)
@click.option("--direction", type=click.Choice(DIRECTIONS), default="input", show_default=True)
@click.option("--user", metavar="NAME", help="Requests of this user only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@settings_options
def whatif(
    loaded: Loaded,
    *,
    scanner: str,
    threshold: float,
    since: str,
    direction: Direction,
    user: str | None,
    as_json: bool,
) -> None:
    """Tell which verdicts another threshold would have changed, from the request log.

    Works while the service runs. Exit status: 0 answered, 1 there is nothing to answer from, 2 the
    call is wrong.
    """
    # Imported here: SQLAlchemy takes as long as all the rest, and the other commands go without.
    from ogp.audit.scores import Question, RequestLogError
    from ogp.cli.changes import NoScoresError, changes_in

    if not isfinite(threshold):
        raise click.BadParameter("it is no number", param_hint="'--threshold'")
    if user is not None and not user.isprintable():  # bytes of a shell that are no text
        raise click.BadParameter("it is no name", param_hint="'--user'")
    start = parse_since(since, datetime.now(UTC))
    question = Question(scanner, direction, threshold, start, user)
    with _queries(loaded.settings) as queries:
        try:
            changes = changes_in(queries, question)
        except (NoScoresError, RequestLogError) as error:
            raise click.ClickException(str(error)) from error
    if as_json:
        print_json(changes.facts())
    else:
        _show(changes, threshold)


def parse_since(text: str, now: datetime) -> datetime:
    """The moment from which requests count.

    Args:
        text: a duration before `now`, or a date or time; without a zone in UTC.
        now: an aware datetime.

    Raises:
        click.BadParameter: it is none of these, or lies in the future.
    """
    duration = DURATION.fullmatch(text)
    try:
        if duration is not None:
            return now - timedelta(**{UNITS[duration["unit"]]: int(duration["count"])})
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{text!a}: {HINT}", param_hint="'--since'") from error
    if moment > now:
        raise click.BadParameter(f"{text!a} lies in the future", param_hint="'--since'")
    return moment


@contextmanager
def _queries(settings: Settings) -> "Iterator[ScoreQueries]":
    """The request log, as it is: nothing is made or migrated."""
    from ogp.audit.scores import ScoreQueries
    from ogp.storage.engine import Database
    from ogp.storage.migrate import MigrationError, is_current

    path = settings.database_path
    try:
        if not path.exists():
            raise click.ClickException(f"there is no request log at {path}")
        if not is_current(path):
            raise click.ClickException(
                f"{path} is of another version of the program; the service brings it up to date "
                "when it starts"
            )
        database = Database(path)
        database.start()
    except MigrationError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{path} cannot be used: {error.strerror}") from error
    try:
        yield ScoreQueries(database)
    finally:
        database.stop()


def _show(changes: "Changes", threshold: float) -> None:
    from ogp.cli.changes import CONFIGURATION_HEADS, HEADS, Change, Lacking

    print_table(("Score", "Requests", ""), changes.histogram_rows())
    print_table(CONFIGURATION_HEADS, changes.configuration_rows())
    rows = changes.user_rows()
    if rows:
        print_table(HEADS, rows[:MAX_USERS])
    if len(rows) > MAX_USERS:
        click.echo(f"and {len(rows) - MAX_USERS} more users; --json shows all")
    counts, lacking = changes.changes, changes.lacking
    click.echo(
        f"requests: {changes.requests}, scored: {changes.scored} ({changes.cached} from the cache)"
        f"; no score: {lacking[Lacking.NOT_SCANNED]} not scanned, "
        f"{lacking[Lacking.WITHOUT_IT]} scanned without it, {lacking[Lacking.FAILED]} failed"
    )
    click.echo(
        f"at {threshold:g} - pass to block: {counts[Change.BLOCKS]}, "
        f"block to pass: {counts[Change.FREES]}, pass to flag: {counts[Change.FLAGS]}, "
        f"flag to pass: {counts[Change.CLEARS]}"
    )
    click.echo(NOTES)
