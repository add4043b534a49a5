"""The figures of `/queue/stats` as a table for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ogp.cli.service import printable

Figures = Mapping[str, Any]
HEADS = (
    "Model",
    "Active",
    "Waiting",
    "Wait p50 / p90 / p99",
    "Service p50 / p90 / p99",
    "Done",
    "Rejected",
    "Next waits",
    "Status",
)
STYLES = {"ok": "green", "warning": "yellow", "critical": "bold red"}
SHARES = ("p50", "p90", "p99")


def queue_view(stats: Figures, *, title: str, away: str = "") -> RenderableType:
    """All models, the busiest first, and what needs an operator.

    Args:
        stats: the body of `/queue/stats`.
        away: why the figures are old; empty if they are not.
    """
    models: Sequence[Figures] = sorted(stats["models"].values(), key=_busiest_first)
    table = Table(title=Text(title), title_justify="left", row_styles=["dim"] if away else [""])
    for head in HEADS:
        table.add_column(head, overflow="fold")
    for figures in models:
        table.add_row(*_cells(figures))
    lines: list[RenderableType] = [table]
    if not models:
        lines.append(Text("No request has named a model yet."))
    own = tuple(f"{name}: " for name in stats["models"])
    rest = [reason for reason in stats["reasons"] if not (own and reason.startswith(own))]
    lines.append(_status({"status": stats["status"], "reasons": rest}))
    if away:
        lines.append(Text(printable(away), style="bold red"))
    return Group(*lines)


def duration_text(milliseconds: float | None) -> str:
    """Two or three digits and a unit; `-` where nothing was measured."""
    if milliseconds is None:
        return "-"
    for unit, size in (("h", 3_600_000.0), ("min", 60_000.0), ("s", 1_000.0)):
        if milliseconds >= size:
            return f"{milliseconds / size:.1f} {unit}"
    return f"{milliseconds:.0f} ms"


def _busiest_first(figures: Figures) -> tuple[int, int, str]:
    return -figures["queued_requests"], -figures["active_requests"], figures["model"]


def _cells(figures: Figures) -> tuple[Text, ...]:
    wait_s = figures["predicted_wait_s"]
    learned = figures.get("learned")
    mode = "" if learned is None else " learned"
    plain = (
        figures["model"],
        f"{figures['active_requests']}/{figures['parallel_limit']}{mode}",
        f"{figures['queued_requests']}/{figures['queue_limit']}",
        _percentiles(figures["wait_ms"]),
        _percentiles(figures["service_ms"]),
        str(figures["total_processed"]),
        f"{figures['total_rejected']} ({figures['rejection_rate']:.1%})",
        duration_text(None if wait_s is None else 1e3 * wait_s),
    )
    return (*(Text(printable(cell)) for cell in plain), _status(figures))


def _percentiles(figures: Figures) -> str:
    return " / ".join(duration_text(figures[share]) for share in SHARES)


def _status(figures: Figures) -> Text:
    word = figures["status"]
    text = "\n".join([word, *figures["reasons"]])
    return Text(printable(text), style=STYLES.get(word, ""))
