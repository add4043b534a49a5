"""`ogp config check` and `ogp config show`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ogp.cli.options import config_path, settings_options
from ogp.settings.load import Loaded, load_settings
from ogp.settings.problems import Problem, SettingsError
from ogp.settings.redact import redact, shown_value

WIDTH_WITHOUT_TERMINAL = 200
"""Columns where output goes to a file or pipe, so that no line is broken there."""


@click.group()
def config() -> None:
    """Check and show the configuration."""


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def check(context: click.Context, file: Path | None, *, as_json: bool) -> None:
    """Check FILE together with the environment, as a start would.

    Without FILE: $CONFIG_FILE, else ./config.yaml if there is one. Exit status 1 if it would be
    refused; every problem is listed.
    """
    from ogp import assembly  # the whole service: too slow to import for every command

    path = config_path(file)
    try:
        loaded = load_settings(path, environ=os.environ, flags={})
        assembly.check(loaded.settings)
    except SettingsError as error:
        _show_problems(error.problems, as_json=as_json)
        context.exit(1)
    if as_json:
        _print_json({"ok": True, "file": _name(path), "notices": loaded.notices})
        return
    click.echo(f"ok: {_name(path) or 'no file, defaults and environment'}")
    for notice in loaded.notices:
        click.echo(f"notice: {notice}")


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@settings_options
def show(loaded: Loaded, *, as_json: bool) -> None:
    """Show every key with its value and where the value comes from; secrets as ***."""
    view = redact(loaded.settings)
    if as_json:
        _print_json({"settings": view, "sources": loaded.sources, "notices": loaded.notices})
        return
    rows = [(key, _shown(view, key), source) for key, source in loaded.sources.items()]
    _print_table(("key", "value", "source"), rows)
    for notice in loaded.notices:
        click.echo(f"notice: {notice}", err=True)


def _name(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _shown(view: Any, key: str) -> str:
    for part in key.split("."):
        view = view[part]
    if isinstance(view, list) and not view:
        return "[]"
    if isinstance(view, list):
        return "\n".join(shown_value("", item) for item in view)
    return shown_value("", view)


def _show_problems(problems: Sequence[Problem], *, as_json: bool) -> None:
    if as_json:
        listed = [
            {"key": item.key, "value": item.value, "source": item.source, "message": item.message}
            for item in problems
        ]
        _print_json({"ok": False, "problems": listed})
        return
    rows = [(item.key, item.value, item.source, item.message) for item in problems]
    _print_table(("key", "value", "source", "what is right"), rows)
    click.echo(f"refused: {len(problems)} problem{'s' if len(problems) != 1 else ''}", err=True)


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table()
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: no markup in values
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_WITHOUT_TERMINAL)
    console.print(table)


def _print_json(value: Any) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
