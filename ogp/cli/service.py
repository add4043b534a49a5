"""A running service, as a command asks it: where it is, whose token, and what goes wrong."""

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import requests

TIMEOUT_S = 10.0
AWAY_STATUSES = (502, 503, 504)
"""What a web server in front of ours says while ours restarts."""


class ServiceError(click.ClickException):
    """The service refuses, or is none of ours; exit status 1."""


class ServiceAwayError(ServiceError):
    """Nobody answers. A service that restarts will soon."""


class Service:
    """Asks the endpoints of one service. One connection, for one thread."""

    def __init__(self, url: str, token: str | None, *, timeout_s: float = TIMEOUT_S) -> None:
        """Keep where it is.

        Args:
            url: `http://HOST:PORT`, as `checked_url` returns it.
            token: the caller's; None sends none.
            timeout_s: longest wait for an answer, in seconds.
        """
        self.url, self._timeout_s = url, timeout_s
        self._session = requests.Session()
        # The environment's proxies and passwords are for the web, not for a service of one's own.
        self._session.trust_env = False
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """What an endpoint tells.

        Raises:
            ServiceError: with the service's own words, if it is one.
            ServiceAwayError: nobody answers.
        """
        return self._ask("GET", path, params=query)

    def post(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """What an endpoint answers to a change; errors as in `get`."""
        return self._ask("POST", path, json=document)

    def close(self) -> None:
        """Give the connection back."""
        self._session.close()

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            answer = self._session.request(
                method, self.url + path, timeout=self._timeout_s, allow_redirects=False, **options
            )
        except requests.RequestException as error:
            when = " in time" if isinstance(error, requests.Timeout) else ""
            raise ServiceAwayError(f"{self.url} does not answer{when}") from error
        try:
            document = answer.json()
        except ValueError:
            document = None
        if answer.status_code == 200 and isinstance(document, dict):
            return document
        is_away = answer.status_code in AWAY_STATUSES
        kind = ServiceAwayError if is_away else ServiceError
        raise kind(self._refusal(answer.status_code, document))

    def _refusal(self, status: int, document: Any) -> str:
        told = document if isinstance(document, dict) else {}
        said = told.get("message") or told.get("error")
        if not isinstance(said, str):
            return f"{self.url} answers with status {status}, and not as this proxy would"
        known = told.get("available_models")
        if isinstance(known, list):
            said += f"; there are: {', '.join(map(str, known)) or 'none'}"
        if status == 401:
            said += " Give a token by OGP_TOKEN or --token-file."
        return printable(said)


def printable(text: str) -> str:
    """The text without what would steer a terminal; its lines are kept."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)


def checked_url(url: str) -> str:
    """The address without a slash at its end.

    Raises:
        click.BadParameter: it is none of a service.
    """
    try:
        parts = urlsplit(url)
        is_fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_fine = False
    if not is_fine or parts.username is not None or parts.query or parts.fragment:
        raise click.BadParameter("must look like http://HOST:PORT", param_hint="--url")
    return url.rstrip("/")


def checked_token(text: str) -> str | None:
    """The token of a file or variable; None if there is none.

    Raises:
        click.BadParameter: it has characters that no token has; it is not shown.
    """
    token = text.strip()
    if not all("!" <= char <= "~" for char in token):
        raise click.BadParameter("this is no token", param_hint="OGP_TOKEN or --token-file")
    return token or None


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--url` and `--token-file`, and hand the command a `Service` as keyword `service`.

    Put it directly above the function, below `@click.command()`.
    """

    @click.option(
        "--url",
        envvar="OGP_URL",
        default="http://127.0.0.1:8080",
        show_default=True,
        show_envvar=True,
        help="Where the service is.",
    )
    @click.option(
        "--token-file",
        metavar="FILE",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Holds the token; without it $OGP_TOKEN does.",
    )
    @functools.wraps(command)
    @click.pass_context
    def with_service(
        context: click.Context, /, *args: Any, url: str, token_file: Path | None, **kwargs: Any
    ) -> Any:
        token = checked_token(_token_text(token_file))
        service = Service(checked_url(url), token)
        context.call_on_close(service.close)
        return command(*args, service=service, **kwargs)

    return with_service


def _token_text(file: Path | None) -> str:
    if file is None:
        return os.environ.get("OGP_TOKEN", "")
    try:
        return file.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter("cannot be read", param_hint="--token-file") from error
