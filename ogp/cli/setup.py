"""`ogp setup`: what must be there before the first request. `run_proxy.sh` always runs it."""

import fcntl
import logging
import os
import shlex
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import click
import orjson

from ogp.auth.accounts import Status, UserError, UserNotFoundError
from ogp.auth.tokens import parse
from ogp.auth.users import UserStore
from ogp.cli.options import settings_options
from ogp.core.clock import SystemClock
from ogp.core.types import Role
from ogp.settings.load import Loaded
from ogp.settings.schema import Settings
from ogp.storage.engine import Database
from ogp.storage.migrate import MigrationError, is_current, migrate
from ogp.telemetry.logs import TeeSink, configure_logging, open_log

ADMIN = "admin"
DEMO_USER = "demo"
DEMO_TOKEN_FILE = "demo.token"  # noqa: S105 - a file name
ADMIN_TOKEN_FILE = "admin.token"  # noqa: S105 - a file name
LOCK_NAME = "setup.lock"


@dataclass(frozen=True, slots=True)
class Done:
    """What `setup` did; nothing of it on every start but the first."""

    migrated: bool
    """The database was made or brought to this version."""
    admin_token: str | None
    """Of the first administrator, if that was made just now."""


@click.command("setup")
@click.option("--demo", is_flag=True, help=f"Also keep a token for the user {DEMO_USER!r}.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of sentences.")
@click.option(
    "--facts",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write paths and times that a start script needs to FILE, as shell assignments.",
)
@settings_options
def setup(loaded: Loaded, *, demo: bool, as_json: bool, facts: Path | None) -> None:
    """Prepare data directory and database; make the first administrator.

    Changes nothing where everything is in place. The first administrator's token is shown once,
    alone on the last line.
    """
    settings = loaded.settings
    try:
        make_private(settings.data_dir / "run")
        log_to_file(settings)
        with one_at_a_time(settings.data_dir / "run" / LOCK_NAME):
            done = prepare(settings, demo=demo)
        if facts is not None:
            facts.write_text(shell_assignments(settings), encoding="utf-8")
    except (MigrationError, OSError, UserError, sqlite3.Error) as error:
        raise click.ClickException(f"the set-up failed: {error}") from error
    if as_json:
        click.echo(_document(loaded, done))
        return
    for notice in (*loaded.notices, *_open_to_others(settings.data_dir)):
        click.echo(f"Note: {notice}", err=True)
    _tell(settings, done)


def prepare(settings: Settings, *, demo: bool) -> Done:
    """Bring everything to the state a start needs; called by one process at a time.

    Raises:
        MigrationError: the database cannot be brought to this version.
        UserError: its users cannot be read or written.
        sqlite3.Error: it is no database.
    """
    migrated = not is_current(settings.database_path)
    if migrated:
        migrate(settings.database_path)
    database = Database(settings.database_path, durability=settings.audit.durability)
    database.start()
    try:
        users = UserStore(database)
        admin_token = first_admin(users)
        if demo:
            keep_demo_token(users, settings.data_dir / DEMO_TOKEN_FILE)
    finally:
        database.stop()
    return Done(migrated, admin_token)


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Starts that come together take turns; the kernel frees the lock of one that dies."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def make_private(directory: Path) -> None:
    """Make a directory and the one above it for this user alone; ones that exist are left."""
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)


def log_to_file(settings: Settings) -> None:
    """Log lines go to the service's log, or to standard error: standard output is for people."""
    path = settings.logging.file
    descriptor = sys.stderr.fileno() if path is None else open_log(path)
    configure_logging(settings.logging, sink=TeeSink([descriptor]))
    logging.getLogger("alembic").setLevel(logging.WARNING)  # a dozen lines that tell nothing


def first_admin(users: UserStore) -> str | None:
    """The token of the first administrator, made only where nobody was ever made."""
    return None if users.count() else users.create(ADMIN, Role.ADMIN)[1].text


def keep_demo_token(users: UserStore, path: Path) -> None:
    """See to it that the file holds a token that is let in."""
    kept = parse(path.read_text("ascii", errors="replace").strip()) if path.exists() else None
    try:
        account = users.get(DEMO_USER)
        standing = account.token
        active = account.status(SystemClock().now()) is Status.ACTIVE
        if kept is not None and standing is not None and kept.id == standing.id and active:
            return
        users.activate(DEMO_USER)
        token = users.regenerate_token(DEMO_USER, None)[1]
    except UserNotFoundError:
        token = users.create(DEMO_USER)[1]
    write_secret(path, token.text)


def write_secret(path: Path, text: str) -> None:
    """Replace a file, readable by its owner only, in one step."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{text}\n")
    beside.replace(path)


def shell_assignments(settings: Settings) -> str:
    """What `scripts/service.sh` reads, quoted for the shell."""
    log_file = settings.logging.file
    values = {
        "data_dir": str(settings.data_dir.resolve()),
        "run_dir": str((settings.data_dir / "run").resolve()),
        "log_file": "" if log_file is None else str(log_file.resolve()),
        "stop_wait_s": str(ceil(settings.server.graceful_timeout_s)),
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def goes_to_the_journal() -> bool:
    """Whether systemd keeps what is printed here, so that no secret may be printed."""
    journal = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return False
    return journal == f"{status.st_dev}:{status.st_ino}"


def _open_to_others(directory: Path) -> tuple[str, ...]:
    mode = directory.stat().st_mode & 0o777
    if not mode & 0o077:
        return ()
    return (f"{directory} has mode {mode:03o}, so that others can look into it: chmod 700",)


def _document(loaded: Loaded, done: Done) -> bytes:
    return orjson.dumps(
        {
            "data_dir": str(loaded.settings.data_dir.resolve()),
            "migrated": done.migrated,
            "admin_token": done.admin_token,
            "notices": loaded.notices,
        }
    )


def _tell(settings: Settings, done: Done) -> None:
    if done.migrated:
        click.echo(f"Database ready: {settings.database_path}")
    if done.admin_token is None:
        return
    if goes_to_the_journal():
        path = settings.data_dir / ADMIN_TOKEN_FILE
        write_secret(path, done.admin_token)
        click.echo(f"Made the administrator {ADMIN!r}; the token is in {path}: keep it elsewhere.")
        return
    click.echo(
        f"Made the administrator {ADMIN!r}. Below is the token, shown only this once: keep it in\n"
        "a password manager. Clients send it as `Authorization: Bearer TOKEN`; `ogp users create`\n"
        "makes tokens for others, `ogp users regenerate-token admin` replaces a lost one."
    )
    click.echo(done.admin_token)
