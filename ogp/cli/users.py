"""`ogp users`: create, list and change users and their tokens.

A new token is the only thing that `create` and `regenerate-token` write to standard output, so
that `OGP_TOKEN=$(ogp users create alice)` holds it; what people read goes to standard error.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click

from ogp.auth.accounts import Account, User, UserError, read_priority
from ogp.auth.expiry import parse_expiry
from ogp.auth.hasher import BcryptHasher
from ogp.auth.tokens import MintedToken
from ogp.auth.users import UserStore
from ogp.cli.options import settings_options
from ogp.cli.tables import (
    ACCOUNT_HEADS,
    TOKEN_HEADS,
    account_facts,
    account_row,
    print_json,
    print_table,
    time_text,
    token_facts,
    token_row,
)
from ogp.core.types import Priority, Role
from ogp.settings.load import Loaded
from ogp.settings.schema import LoggingSettings, ServerSettings, Settings
from ogp.storage.engine import Database
from ogp.storage.migrate import MigrationError, migrate
from ogp.telemetry.logs import configure_logging

NO_PRIORITY = "none"
name_argument = click.argument("name")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
priority_option = click.option(
    "--priority",
    type=click.Choice([*(priority.value for priority in Priority), NO_PRIORITY]),
    help="Class of the token's requests in the queue; none leaves it to the request.",
)
force_option = click.option("--force", is_flag=True, help="Even if it is the last active admin.")


class StandardErrorSink:
    """Log lines of what a command calls must not mix with its output."""

    def write(self, line: bytes) -> None:
        """Write one line to standard error."""
        sys.stderr.write(line.decode())

    def flush(self) -> None:
        """Hand on what is buffered."""
        sys.stderr.flush()


@contextmanager
def open_store(settings: Settings) -> Iterator[UserStore]:
    """The users of the configured database, which is made or migrated first.

    Other processes may use the file at the same time. Whatever goes wrong ends the command with
    one sentence and exit status 1.
    """
    path = settings.database_path
    try:
        migrate(path)
        database = Database(path, durability=settings.audit.durability)
        database.start()
        try:
            yield UserStore(database, hasher=BcryptHasher(settings.auth.bcrypt_cost))
        finally:
            database.stop()
    except (UserError, MigrationError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        reason = f"the database {path} cannot be used: {error.strerror}"
        raise click.ClickException(reason) from error


@click.group()
def users() -> None:
    """Create, list and change users and their tokens.

    Works while the service runs; every change counts from the next request on.
    """
    configure_logging(LoggingSettings(level="warning", file=None), sink=StandardErrorSink())


@users.command()
@name_argument
@click.option(
    "--role", type=click.Choice([role.value for role in Role]), default="user", show_default=True
)
@click.option(
    "--expires",
    metavar="WHEN",
    default="never",
    show_default=True,
    help="30d or 12h from now, a last day such as 2027-01-31 (UTC), or never.",
)
@priority_option
@json_option
@settings_options
def create(
    name: str, role: str, expires: str, priority: str | None, *, as_json: bool, loaded: Loaded
) -> None:
    """Add user NAME; the token is the last line, and shown only now."""
    with open_store(loaded.settings) as store:
        expires_at = parse_expiry(expires, datetime.now(UTC))
        user, token = store.create(name, Role(role), expires_at, priority=read_priority(priority))
        account = store.get(name)
    _print_token(f"Created {user.name} ({user.role}).", account, token, loaded, as_json=as_json)


@users.command("list")
@json_option
@settings_options
def list_users(*, as_json: bool, loaded: Loaded) -> None:
    """Show all users."""
    with open_store(loaded.settings) as store:
        accounts = store.list()
    now = datetime.now(UTC)
    if as_json:
        print_json([account_facts(account, now) for account in accounts])
        return
    print_table(ACCOUNT_HEADS, [account_row(account, now) for account in accounts])
    if not accounts:
        click.echo("There are no users yet: ogp users create NAME --role admin", err=True)


@users.command()
@name_argument
@json_option
@settings_options
def show(name: str, *, as_json: bool, loaded: Loaded) -> None:
    """Show user NAME with all tokens, revoked ones too."""
    with open_store(loaded.settings) as store:
        account = store.get(name)
    now = datetime.now(UTC)
    if as_json:
        tokens = [token_facts(token) for token in account.tokens]
        print_json({**account_facts(account, now), "tokens": tokens})
        return
    print_table(ACCOUNT_HEADS, [account_row(account, now)])
    print_table(TOKEN_HEADS, [token_row(token) for token in account.tokens])


@users.command()
@name_argument
@force_option
@json_option
@settings_options
def deactivate(name: str, *, force: bool, as_json: bool, loaded: Loaded) -> None:
    """Refuse NAME's token from the next request on; `activate` undoes it."""
    with open_store(loaded.settings) as store:
        user = store.deactivate(name, force=force)
    _print_change(user, "Deactivated", as_json=as_json)


@users.command()
@name_argument
@json_option
@settings_options
def activate(name: str, *, as_json: bool, loaded: Loaded) -> None:
    """Let NAME in again, with the token as it was."""
    with open_store(loaded.settings) as store:
        user = store.activate(name)
    _print_change(user, "Activated", as_json=as_json)


@users.command("regenerate-token")
@name_argument
@click.option(
    "--expires",
    metavar="WHEN",
    help="As for create; the end of the old token unless given.",
)
@priority_option
@json_option
@settings_options
def regenerate_token(
    name: str,
    expires: str | None,
    priority: str | None,
    *,
    as_json: bool,
    loaded: Loaded,
) -> None:
    """Revoke NAME's token and give a new one; it is the last line, and shown only now.

    The new one keeps what the old one had unless told otherwise.
    """
    with open_store(loaded.settings) as store:
        old = store.get(name)
        user, token = store.regenerate_token(
            name, _new_expiry(old, expires), priority=_new_priority(old, priority)
        )
        account = store.get(name)
    headline = f"The old token of {user.name} ({user.role}) is revoked."
    if not user.active:
        headline += f" {user.name} is deactivated, and refused until: ogp users activate {name}"
    _print_token(headline, account, token, loaded, as_json=as_json)


@users.command()
@name_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@force_option
@json_option
@settings_options
def delete(name: str, *, yes: bool, force: bool, as_json: bool, loaded: Loaded) -> None:
    """Remove NAME and all tokens; the request log keeps its rows."""
    with open_store(loaded.settings) as store:
        requests = store.get(name).requests
        if not yes:
            question = f"This removes {name} for good ({requests} requests stay in the log)."
            if click.prompt(f"{question} Type DELETE to go on", err=True) != "DELETE":
                raise click.ClickException("nothing was deleted")
        user = store.delete(name, force=force)
    _print_change(user, "Deleted", as_json=as_json)


def _new_expiry(account: Account, expires: str | None) -> datetime | None:
    """What was asked for, else the end that the old token had: a rotation extends nothing."""
    now = datetime.now(UTC)
    if expires is not None:
        return parse_expiry(expires, now)
    moment = account.tokens[-1].expires_at if account.tokens else None
    if moment is not None and moment <= now:
        raise UserError(f"the old token expired at {time_text(moment)}: say --expires 30d or never")
    return moment


def _new_priority(account: Account, asked: str | None) -> Priority | None:
    if asked is None and account.tokens:
        return account.tokens[-1].priority
    return read_priority(asked)


def _print_change(user: User, done: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"name": user.name, "role": user.role, "done": done.lower()})
    else:
        click.echo(f"{done} {user.name} ({user.role}).")


def _print_token(
    headline: str, account: Account, token: MintedToken, loaded: Loaded, *, as_json: bool
) -> None:
    if as_json:
        print_json({**account_facts(account, datetime.now(UTC)), "token": token.text})
        return
    standing = account.token
    expires = time_text(None if standing is None else standing.expires_at)
    url = _url(loaded.settings.server)
    header = '-H "Authorization: Bearer $OGP_TOKEN"'
    body = '{"model": "llama3.2", "prompt": "Why is the sky blue?"}'
    click.echo(
        f"{headline} The token below expires: {expires}. It is stored nowhere, so keep it now.\n\n"
        "  read -rs OGP_TOKEN    # paste it; it stays out of the shell's history\n"
        f"  curl {header} {url}/api/tags\n"
        f"  curl {header} {url}/api/generate -d '{body}'\n",
        err=True,
    )
    click.echo(token.text)


def _url(server: ServerSettings) -> str:
    """Where the service can be reached from this machine, as far as the settings tell."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)  # noqa: S104
    if ":" in host:
        host = f"[{host}]"
    return f"http://{host}:{server.port}"
