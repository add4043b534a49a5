"""Whether a queue needs its operator: figures against thresholds, with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a queue is doing; later ones are worse."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Threshold:
    """From where on one figure is worth a look, or needs hands. Both are exclusive."""

    figure: str
    warning: float
    critical: float
    unit: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One figure beyond its threshold."""

    status: Status
    reason: str


REJECTIONS = Threshold(
    "rejection rate", 1, 5, "%", "raise parallel_limit, or queue_limit if waiting longer is fine"
)
WAIT = Threshold("average wait", 5, 10, "s", "raise parallel_limit")
DEPTH = Threshold("queue depth", 80, 95, "%", "raise queue_limit or parallel_limit")
MEMORY = Threshold("memory in use", 80, 90, "%", "lower parallel_limit")


def judge(threshold: Threshold, value: float) -> Alert | None:
    """The alert that a figure gives; None if it gives none."""
    for status, bound in (
        (Status.CRITICAL, threshold.critical),
        (Status.WARNING, threshold.warning),
    ):
        if value > bound:
            told = f"{threshold.figure} {value:.1f} {threshold.unit}"
            over = f"over {bound:g} {threshold.unit} ({status})"
            return Alert(status, f"{told}, {over}: {threshold.remedy}")
    return None


def worst(alerts: Sequence[Alert]) -> Status:
    """The status that follows from all alerts."""
    statuses = list(Status)
    return max((alert.status for alert in alerts), key=statuses.index, default=Status.OK)
