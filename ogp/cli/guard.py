"""`ogp guard`: what the guard says of a text, in which state its scanners are, and conversions."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from ogp.cli.options import settings_options
from ogp.cli.scanning import (
    DIRECTIONS,
    HEADS,
    SUM_HEADS,
    Direction,
    Judgement,
    Judges,
    State,
    Tallies,
)
from ogp.cli.states import (
    BROKEN,
    FACT_HEADS,
    builtin_scanners,
    fact_cells,
    running_guard,
    scanner_facts,
)
from ogp.cli.tables import print_json, print_table
from ogp.cli.weights import asked_of, device_for, load_from, started
from ogp.cli.whatif import whatif
from ogp.guard.base import Scanner
from ogp.guard.classifier import DEFINITIONS
from ogp.guard.export import Comparison, VerdictsChangedError, export_onnx, quantise
from ogp.guard.model import ModelUnavailableError
from ogp.guard.normalise import Normaliser
from ogp.guard.samples import SAMPLES
from ogp.settings.guard_schema import GuardSettings
from ogp.settings.load import Loaded

MAX_ROWS = 1_000
"""Hits of a file that are shown as a table; `--json` shows all."""


class WrongCallError(click.UsageError):
    """Exit status 2 means a block here, hence a wrong call is 1."""

    exit_code = 1


class ScanCommand(click.Command):
    """A command whose wrong calls end with exit status 1."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the command line."""
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            raise WrongCallError(error.message, error.ctx) from error


@click.group()
def guard() -> None:
    """Try the guard on texts, show its scanners, convert models, ask the log about thresholds."""


guard.add_command(whatif)


@guard.command(cls=ScanCommand)
@click.option("--text", help="The text; a shell may keep it in its history.")
@click.option(
    "--file",
    metavar="FILE",
    type=click.File("rb"),
    help="One text per line, in UTF-8; - for standard input. Empty lines are left out.",
)
@click.option("--direction", type=click.Choice(DIRECTIONS), default="input", show_default=True)
@click.option("--prompt", default="", help="What was asked, with --direction output.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON per text.")
@settings_options
@click.pass_context
def scan(
    context: click.Context,
    loaded: Loaded,
    *,
    text: str | None,
    file: IO[bytes] | None,
    direction: Direction,
    prompt: str,
    as_json: bool,
) -> None:
    """Ask every scanner of a direction, also after one has blocked.

    What scanners would take out of the text, and what anonymize would hide, is counted.
    Exit status: 0 all may pass, 2 something is blocked, 1 a scanner failed or the call is wrong.
    Texts are never printed.
    """
    if (text is None) == (file is None):
        raise click.ClickException("give either --text or --file")
    tallies = Tallies()
    with _judges(loaded.settings.guard, direction) as judges:
        if text is not None:
            judged = iter([judges.judge(text, prompt)])
        else:
            judged = (judges.judge(line, prompt, number) for number, line in _lines(file))
        counted = _counted(judged, tallies)
        if as_json:
            for judgement in counted:
                click.echo(orjson.dumps(judgement.facts()))
        elif text is not None:
            print_table(HEADS, [said.cells() for said in next(counted).said])
        else:
            _show_hits(counted)
    if not as_json:
        _show_sums(tallies, with_table=text is None)
    context.exit(tallies.exit_status)


@guard.command()
@click.option(
    "--load", "with_load", is_flag=True, help="Load the models and show how long it took."
)
@click.option(
    "--url",
    metavar="URL",
    help="Ask the service that runs there, e.g. http://127.0.0.1:8080: scans, errors, canaries.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@settings_options
@click.pass_context
def status(
    context: click.Context, loaded: Loaded, *, with_load: bool, url: str | None, as_json: bool
) -> None:
    """Show every scanner of both directions: state, threshold, action, counts, models.

    Exit status 1 if a scanner that is asked for is not there, could not be loaded or fails, or if
    the service is degraded in another way by its guard.
    """
    if url is not None:
        if with_load:
            raise click.UsageError("--url shows what the service has loaded; leave --load out")
        context.exit(_show_running(url, as_json=as_json))
    settings = loaded.settings.guard
    device = device_for(settings) if with_load else None
    rows = scanner_facts(settings, device)
    if as_json:
        shown = {} if device is None else {"device": device.describe()}
        print_json({**shown, "models_path": str(settings.models.path), "scanners": rows})
    else:
        if device is not None:
            click.echo(f"Device: {device.name} ({device.reason}), torch in {device.precision}")
        print_table(FACT_HEADS, [fact_cells(row) for row in rows])
    context.exit(any(row["state"] in BROKEN for row in rows))


@guard.command()
@click.argument("scanner")
@click.option("--onnx", is_flag=True, help="Make model.onnx of model.safetensors.")
@click.option("--int8", is_flag=True, help="Make model.int8.onnx of model.onnx.")
@click.option("--force", is_flag=True, help="Install it though verdicts change.")
@click.option(
    "--directory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where its weights lie; default: as the configuration has it.",
)
@settings_options
def export(
    loaded: Loaded, *, scanner: str, onnx: bool, int8: bool, force: bool, directory: Path | None
) -> None:
    """Convert the model of SCANNER, and compare the scores of sample sentences before using it.

    Nothing is installed if a verdict changes at a threshold of the configuration.
    """
    asked = [
        each.wanted
        for direction in DIRECTIONS
        for each in asked_of(loaded.settings.guard, direction)
        if each.wanted.name == scanner
    ]
    if scanner not in DEFINITIONS or not (onnx or int8):
        raise click.UsageError(
            "say what to make: --onnx, --int8 or both"
            if scanner in DEFINITIONS
            else f"no scanner whose model can be converted: {scanner}"
        )
    where = directory or loaded.settings.guard.models.path / scanner
    if directory is None and asked[0].directory is not None:
        where = asked[0].directory
    thresholds = sorted({each.threshold for each in asked})
    steps = [make for make, is_wanted in ((export_onnx, onnx), (quantise, int8)) if is_wanted]
    for make in steps:
        try:
            compared = make(where, partial(load_from, scanner), thresholds, force=force)
        except (ModelUnavailableError, VerdictsChangedError) as error:
            raise click.ClickException(str(error)) from error
        _show_comparison(where, compared)


def _show_running(url: str, *, as_json: bool) -> bool:
    """What a service tells of its guard; whether something is wrong with it."""
    # Imported here: requests takes as long as the rest of the command.
    from ogp.cli.service import Service, checked_url

    service = Service(checked_url(url), None)
    try:
        running = running_guard(service.get("/health"))
    finally:
        service.close()
    if as_json:
        print_json(running.guards)
    else:
        click.echo(running.device)
        print_table(FACT_HEADS, [fact_cells(row) for row in running.rows])
        for line in running.canaries:
            click.echo(line)
    return running.is_degraded


@contextmanager
def _judges(settings: GuardSettings, direction: Direction) -> Iterator[Judges]:
    normaliser = Normaliser()
    with ExitStack() as stack:
        slow = stack.enter_context(started(settings, direction))
        scanners: list[Scanner] = [
            *builtin_scanners(settings, direction, normaliser),
            *slow.scanners,
        ]
        if not scanners and not slow.finders:
            raise click.ClickException(
                f"no scanner is on: see guard.{direction}_enabled and guard.{direction}_scanners"
            )
        yield Judges(scanners, normaliser, direction, slow.finders)


def _lines(file: IO[bytes] | None) -> Iterator[tuple[int, str]]:
    """Number and text of every line that is not empty; with a progress bar on a terminal."""
    assert file is not None  # noqa: S101 - the caller saw to it
    console = Console(stderr=True)
    total = None
    if console.is_terminal and file.seekable():
        total = sum(1 for _ in file)
        file.seek(os.SEEK_SET)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        for number, line in enumerate(progress.track(file, total=total), start=1):
            try:
                text = line.rstrip(b"\r\n").decode()
            except UnicodeDecodeError as error:
                raise click.ClickException(f"line {number} is not UTF-8") from error
            if text.strip():
                yield number, text


def _counted(judged: Iterator[Judgement], tallies: Tallies) -> Iterator[Judgement]:
    for judgement in judged:
        tallies.note(judgement)
        yield judgement


def _show_hits(judged: Iterator[Judgement]) -> None:
    rows: list[tuple[str, ...]] = []
    left_out = 0
    for judgement in judged:
        for said in judgement.said:
            if said.state is State.CLEAN:
                continue
            if len(rows) < MAX_ROWS:
                rows.append((str(judgement.line), *said.cells()))
            else:
                left_out += 1
    if rows:
        print_table(("Line", *HEADS), rows)
    if left_out:
        click.echo(f"and {left_out} more; --json shows all")


def _show_sums(tallies: Tallies, *, with_table: bool) -> None:
    if with_table:
        print_table(SUM_HEADS, tallies.rows())
    states = tallies.states
    click.echo(
        f"texts: {states.total()}, blocked: {states[State.BLOCKED]}, "
        f"redacted: {states[State.REDACTED]}, flagged: {states[State.FLAGGED]}, "
        f"errors: {states[State.ERROR]}"
    )


def _show_comparison(directory: Path, compared: Comparison) -> None:
    count = len(compared.before)
    click.echo(
        f"{directory / compared.made}: {count} samples, largest difference of a score "
        f"{compared.max_difference:.4f}, verdicts changed: {len(compared.changed)}"
    )
    if compared.changed:
        rows = [
            (SAMPLES[n][:60], f"{compared.before[n]:.3f}", f"{compared.after[n]:.3f}")
            for n in compared.changed
        ]
        print_table(("Sample", "Before", "After"), rows)
