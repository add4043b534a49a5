"""Which deployment `ogp doctor` looks at, with which tokens."""

import functools
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ogp.cli.doctor_site import Site
from ogp.cli.doctor_wire import Wire, parse_url

MAX_TOKEN_CHARS = 4096

OPTIONS = (
    click.argument("url"),
    click.option("--token", metavar="T", help="A user's; better in $OGP_TOKEN or --token-file."),
    click.option(
        "--token-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="File that holds the user's token and nothing else.",
    ),
    click.option(
        "--admin-token",
        metavar="T",
        envvar="OGP_ADMIN_TOKEN",
        help="An administrator's, or $OGP_ADMIN_TOKEN; is only shown to be let in.",
    ),
    click.option("--direct", metavar="URL", help="The Ollama server itself, to compare with."),
    click.option(
        "--model",
        metavar="NAME",
        default="",
        help="Is asked tiny prompts; default: the first of /api/tags.",
    ),
    click.option(
        "--timeout",
        "timeout_s",
        metavar="S",
        type=click.FloatRange(0.1, 3600),
        default=30.0,
        show_default=True,
        help="Seconds for one request; more where a model must be loaded first.",
    ),
    click.option(
        "--ca",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Certificates to trust instead of those this machine trusts.",
    ),
)


def site_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add URL and options to a command and hand it the result as keyword `site`.

    Put it directly above the function, below `@click.command()`.
    """

    @functools.wraps(command)
    def with_site(
        *args: Any,
        url: str,
        token: str | None,
        token_file: Path | None,
        admin_token: str | None,
        direct: str | None,
        model: str,
        timeout_s: float,
        ca: Path | None,
        **kwargs: Any,
    ) -> Any:
        if not model.isprintable():  # bytes of a shell that are no text
            raise click.BadParameter("it is no name", param_hint="'--model'")
        trusted = _trusted(ca)
        own = token or _token_of(token_file) or os.environ.get("OGP_TOKEN")
        site = Site(
            _wire(url, "URL", timeout_s, trusted),
            token=_plain(own, "--token"),
            admin_token=_plain(admin_token, "--admin-token"),
            direct=_wire(direct, "--direct", timeout_s, trusted) if direct else None,
            model=model,
        )
        return command(*args, site=site, **kwargs)

    for option in reversed(OPTIONS):
        with_site = option(with_site)
    return with_site


def _wire(url: str, what: str, timeout_s: float, trusted: ssl.SSLContext | None) -> Wire:
    try:
        return Wire(parse_url(url), timeout_s, trusted)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=f"'{what}'") from error


def _trusted(ca: Path | None) -> ssl.SSLContext | None:
    if ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        raise click.BadParameter(
            "no certificates can be read there", param_hint="'--ca'"
        ) from error


def _token_of(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter("it cannot be read", param_hint="'--token-file'") from error


def _plain(token: str | None, what: str) -> str | None:
    """A token as it can stand in a header."""
    if not token:
        return None
    if len(token) > MAX_TOKEN_CHARS or not token.isascii() or not token.isprintable():
        raise click.BadParameter("this is no token", param_hint=f"'{what}'")
    return token
