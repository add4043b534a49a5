"""`ogp queue`: watch the queues of a running service, and change what is in force there."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click
import orjson
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from ogp.cli.queue_table import duration_text, queue_view
from ogp.cli.service import Service, ServiceAwayError, printable, service_options
from ogp.cli.tables import WIDTH_WITHOUT_TERMINAL, print_json

json_option = click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")


@click.group()
def queue() -> None:
    """Watch the queues of a running service, change their limits, ask for one's place.

    The token comes from OGP_TOKEN or --token-file, never from the command line, where everybody on
    the machine could read it. `watch` and `position` take any token, the others an administrator's.
    """


@queue.command()
@click.option("--model", help="This one only.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--once", is_flag=True, help="Show the figures and end.")
@json_option
@service_options
def watch(
    service: Service, *, model: str | None, interval_s: float, once: bool, as_json: bool
) -> None:
    """Show what runs and waits, until Ctrl-C.

    A service that restarts is waited for. --json prints one line for each look.
    """
    query = {} if model is None else {"model": model}

    def look() -> dict[str, Any]:
        return service.get("/queue/stats", **query)

    if once:
        stats = look()
        if as_json:
            print_json(stats)
        else:
            _console().print(queue_view(stats, title=_title(service)))
        return
    try:
        if as_json:
            _print_lines(look, interval_s)
        else:
            _show(service, look, interval_s)
    except KeyboardInterrupt:
        pass


@queue.command()
@click.argument("model")
@click.option("--parallel", type=int, help="Requests served at once.")
@click.option("--max-queue", type=int, help="Requests that may wait.")
@click.option(
    "--persist/--forget",
    default=None,
    help="Keep the limits over restarts, or forget the kept ones; those in force stay.",
)
@service_options
def limits(
    service: Service,
    *,
    model: str,
    parallel: int | None,
    max_queue: int | None,
    persist: bool | None,
) -> None:
    """Change the limits of MODEL from now on; what is not given stays."""
    fields = {"parallel_limit": parallel, "queue_limit": max_queue, "persist": persist}
    given = {name: value for name, value in fields.items() if value is not None}
    if not given:
        raise click.UsageError("Give --parallel, --max-queue, --persist or --forget.")
    told = service.post("/admin/queue/update", {"model": model, **given})
    click.echo(
        printable(
            f"{told['model']}: {told['parallel_limit']} at once, {told['queue_limit']} may wait"
        )
    )
    if "note" in told:
        click.echo(printable(told["note"]), err=True)


@queue.command()
@click.argument("model", required=False)
@service_options
def reset(service: Service, *, model: str | None) -> None:
    """Begin to count anew, for MODEL or all; what runs and waits is left alone."""
    told = service.post("/admin/queue/reset", {} if model is None else {"model": model})
    click.echo(printable(told["message"]))


@queue.command()
@click.argument("request_id")
@json_option
@service_options
def position(service: Service, *, request_id: str, as_json: bool) -> None:
    """Tell where the waiting request stands that was sent with X-Request-ID REQUEST_ID."""
    place = service.get(f"/queue/position/{quote(request_id, safe='')}")
    if as_json:
        print_json(place)
        return
    wait_s = place["predicted_wait_s"]
    left = "" if wait_s is None else f", about {duration_text(1e3 * wait_s)} to go"
    click.echo(
        printable(
            f"{place['request_id']}: no. {place['position']} of {place['waiting']} "
            f"that wait for {place['model']} ({place['priority']}), "
            f"for {duration_text(1e3 * place['waited_s'])} now{left}"
        )
    )


def _print_lines(look: Callable[[], dict[str, Any]], interval_s: float) -> None:
    while True:
        try:
            click.echo(orjson.dumps(look()))
        except ServiceAwayError as error:
            click.echo(error.message, err=True)
        time.sleep(interval_s)


def _show(service: Service, look: Callable[[], dict[str, Any]], interval_s: float) -> None:
    stats: dict[str, Any] | None = None
    title = _title(service)
    with _screen() as show:
        while True:
            away = ""
            try:
                stats, title = look(), _title(service)
            except ServiceAwayError as error:
                away = f"{error.message}; asking again, the figures are old"
            if stats is None:
                show(Text(f"waiting for {service.url}", style="bold red"))
            else:
                show(queue_view(stats, title=title, away=away))
            time.sleep(interval_s)


@contextmanager
def _screen() -> Iterator[Callable[[RenderableType], None]]:
    """How to show a view in the place of the one before; without a terminal, below it."""
    console = _console()
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
            yield lambda view: live.update(view, refresh=True)
    else:
        yield console.print


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH_WITHOUT_TERMINAL)


def _title(service: Service) -> str:
    return f"{service.url}  {datetime.now(UTC).astimezone():%H:%M:%S}"
