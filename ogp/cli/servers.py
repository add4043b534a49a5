"""`ogp servers` and `ogp route`: the servers behind a running service, and who gets what."""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ogp.cli.service import Service, ServiceAwayError, printable, service_options
from ogp.cli.tables import WIDTH_WITHOUT_TERMINAL, print_json

HEADS = ("Server", "State", "Status", "Active", "Probe", "Prio", "Limit", "Models", "In memory")
MAX_NAMES = 6
"""Models in memory that are named; of more the number is told."""

json_option = click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")


@click.group(invoke_without_command=True)
@click.pass_context
def servers(context: click.Context) -> None:
    """Show the servers behind a running service, take them out and put them back.

    Without a command: `list`. All take an administrator's token from OGP_TOKEN or --token-file.
    """
    if context.invoked_subcommand is None:
        with show.make_context("list", [], parent=context) as listing:
            show.invoke(listing)


@servers.command("list")
@json_option
@service_options
def show(service: Service, *, as_json: bool) -> None:
    """Show every server once."""
    document = service.get("/admin/servers")
    if as_json:
        print_json(document)
    else:
        console().print(servers_view(document["servers"]))


@servers.command()
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    help="Seconds between two looks.",
)
@service_options
def watch(service: Service, *, interval_s: float) -> None:
    """Show every server again and again, until Ctrl-C."""
    view: RenderableType = Text(f"waiting for {service.url}")
    with Live(console=console(), auto_refresh=False) as live:
        try:
            while True:
                try:
                    view = servers_view(service.get("/admin/servers")["servers"])
                    live.update(view, refresh=True)
                except ServiceAwayError as error:
                    away = Text(f"{error.message}; the figures are old", style="bold red")
                    live.update(Group(view, away), refresh=True)
                time.sleep(interval_s)
        except KeyboardInterrupt:
            pass


def _state_command(action: str, text: str) -> click.Command:
    @service_options
    def change(service: Service, *, name: str) -> None:
        told = service.post(f"/admin/servers/{quote(name, safe='')}", {"action": action})
        click.echo(printable(f"{told['server']}: {told['state']} (was {told['before']})"))

    change.__doc__ = text
    return click.command(action)(click.argument("name")(change))


for _action, _text in (
    ("enable", "Let NAME take requests."),
    ("disable", "Give NAME no more requests, and leave out what only it has."),
    ("drain", "Give NAME no more requests; what runs there ends by itself."),
):
    servers.add_command(_state_command(_action, _text))


@click.group()
def route() -> None:
    """Ask a running service where requests go."""


@route.command()
@click.argument("model")
@json_option
@service_options
def explain(service: Service, *, model: str, as_json: bool) -> None:
    """Tell which server would get a request for MODEL now, and why not another."""
    document = service.post("/admin/route/explain", {"model": model})
    if as_json:
        print_json(document)
        return
    console().print(explanation_view(document))


def console() -> Console:
    """Standard output; wide where it is no terminal."""
    found = Console()
    return found if found.is_terminal else Console(width=WIDTH_WITHOUT_TERMINAL)


def servers_view(entries: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The servers as a table."""
    table = Table(*HEADS)
    for entry in entries:
        probe_ms = entry["response_time_ms"]
        limit_gb = entry["max_memory_gb"]
        status = entry["status"]
        if entry["error"]:
            status += f" ({entry['error']})"
        elif entry["breaker"] == "half_open":
            status += " (on trial)"
        cells = (
            entry["name"],
            entry["state"],
            status,
            str(entry["active"]),
            "-" if probe_ms is None else f"{probe_ms:g} ms",
            str(entry["priority"]),
            "-" if limit_gb is None else f"{limit_gb:g} GB",
            "-" if entry["installed"] is None else str(entry["installed"]),
            named(entry["in_memory"]),
        )
        table.add_row(*(Text(printable(str(cell))) for cell in cells))
    return table


def named(models: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = len(models) - MAX_NAMES
    return ", ".join(models[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "") or "-"


def explanation_view(document: Mapping[str, Any]) -> RenderableType:
    """An explanation: a sentence, and each server with its result."""
    where = document["server"]
    size = f"{document['size_gb']:g} GB, {document['size_source']}"
    goes = f"goes to {where}" if where is not None else "cannot be served now"
    head = Text(printable(f"{document['model']} ({size}) {goes}"))
    table = Table("Server", "Result", "Why", "Available", "Memory", "Load")
    for entry in document["candidates"]:
        cells = [entry.get(name, "") for name in ("server", "result", "why", "available", "memory")]
        cells.append(f"{entry['load']:g}" if "load" in entry else "")
        table.add_row(*(Text(printable(str(cell))) for cell in cells))
    return Group(head, table)
