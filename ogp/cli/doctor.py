"""`ogp doctor`: whether a deployment, with all that stands in front of it, is as it should be."""

from collections import Counter
from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ogp.cli.doctor_checks import CHECKS, Outcome, prepared, run, worst
from ogp.cli.doctor_options import site_options
from ogp.cli.doctor_site import Check, Need, Result, Site
from ogp.cli.tables import WIDTH_WITHOUT_TERMINAL, print_json

STYLES = {Result.OK: "green", Result.WARN: "yellow", Result.FAIL: "bold red", Result.SKIPPED: "dim"}


@click.command()
@click.option(
    "--only",
    "names",
    metavar="NAME",
    multiple=True,
    type=click.Choice([check.name for check in CHECKS]),
    help="This check only; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@site_options
@click.pass_context
def doctor(context: click.Context, *, site: Site, names: tuple[str, ...], as_json: bool) -> None:
    """Check the deployment at URL: the proxy and all that stands in front of it.

    Nothing is changed there: a model is asked a few tiny prompts, and the request log grows by
    about a hundred rows. Exit status: 0 nothing failed, 1 something did, 2 the call is wrong.
    """
    checks = [check for check in CHECKS if not names or check.name in names]
    site, outcomes = _examined(checks, site)
    result = worst(outcomes)
    if as_json:
        _print_report(site, outcomes, result)
    else:
        _print_table(outcomes)
        _print_sums(site, outcomes)
    context.exit(1 if result is Result.FAIL else 0)


def _examined(checks: Sequence[Check], site: Site) -> tuple[Site, list[Outcome]]:
    """Run the checks, with a bar on a terminal."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("connecting", total=len(checks))
        site = prepared(site)

        def tell(check: Check) -> None:
            progress.update(task, description=check.name)

        outcomes = []
        for outcome in run(checks, site, tell):
            outcomes.append(outcome)
            progress.advance(task)
    return site, outcomes


def _print_table(outcomes: Sequence[Outcome]) -> None:
    table = Table()
    for head in ("Check", "Result"):
        table.add_column(head, no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("Seen", overflow="fold")
    for outcome in outcomes:
        finding, style = outcome.finding, STYLES[outcome.finding.result]
        seen = Text(finding.evidence)
        if finding.result in (Result.WARN, Result.FAIL):
            seen.append(f"\nright: {outcome.check.right}", style="dim")
        if finding.hint:
            seen.append(f"\nhint: {finding.hint}", style="cyan")
        table.add_row(
            outcome.check.name,
            Text(finding.result, style=style),
            f"{outcome.took_ms:.0f}",
            seen,
        )
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_WITHOUT_TERMINAL)
    console.print(table)


def _print_sums(site: Site, outcomes: Sequence[Outcome]) -> None:
    counts = Counter(outcome.finding.result for outcome in outcomes)
    click.echo(", ".join(f"{result}: {counts[result]}" for result in Result))
    if Need.MODEL not in site.lacks:
        click.echo(f"asked model: {site.model!a}")


def _print_report(site: Site, outcomes: Sequence[Outcome], result: Result) -> None:
    counts = Counter(outcome.finding.result for outcome in outcomes)
    print_json(
        {
            "url": site.wire.address.url,
            "model": site.model or None,
            "result": result,
            "counts": {each.value: counts[each] for each in Result},
            "checks": [outcome.as_dict() for outcome in outcomes],
        }
    )
