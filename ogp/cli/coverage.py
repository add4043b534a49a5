"""`ogp coverage`: every route, who may call it, and which of its texts the guard reads."""

import click

from ogp.cli.tables import print_json, print_table
from ogp.dialects.coverage import Coverage, coverage

HEADS = ("Method", "Path", "Dialect", "Caller", "Slot", "Streamed", "Text in", "Text out")
_CALLERS = {"user": "any", "manager": "administrator", "nobody": "nobody"}


@click.command(name="coverage")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, with the reasons.")
def coverage_command(*, as_json: bool) -> None:
    """Show every route; one that is not in this table does not exist.

    Text in and text out are the places of running text. All other strings of a body are scanned as
    well, unknown fields included.
    """
    routes = list(coverage())
    if as_json:
        print_json([route.as_dict() for route in routes])
    else:
        print_table(HEADS, [cells_of(route) for route in routes])


def cells_of(route: Coverage) -> tuple[str, ...]:
    """One line of the table, in the order of `HEADS`."""
    streamed = "" if route.streams == "never" else f"{route.answer}, {route.streams}"
    return (
        route.method,
        route.path,
        route.dialect,
        _CALLERS[route.caller],
        "yes" if route.queued else "",
        streamed,
        "\n".join(route.text_in),
        route.why or "\n".join(route.text_out),
    )
