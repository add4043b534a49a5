"""Figures against thresholds."""

import pytest

from ogp.queueing.alerts import (
    DEPTH,
    MEMORY,
    REJECTIONS,
    WAIT,
    Alert,
    Status,
    Threshold,
    judge,
    worst,
)


@pytest.mark.parametrize(
    ("threshold", "warning", "critical"),
    [(REJECTIONS, 1, 5), (WAIT, 5, 10), (DEPTH, 80, 95), (MEMORY, 80, 90)],
)
def test_a_figure_alerts_above_its_thresholds_and_not_at_them(
    threshold: Threshold, warning: float, critical: float
) -> None:
    found = [
        judge(threshold, value) for value in (warning, warning + 0.1, critical, critical + 0.1)
    ]
    statuses = [alert.status if alert is not None else None for alert in found]
    assert statuses == [None, Status.WARNING, Status.WARNING, Status.CRITICAL]


def test_an_alert_tells_figure_threshold_and_remedy() -> None:
    assert judge(WAIT, 12.34) == Alert(
        Status.CRITICAL, "average wait 12.3 s, over 10 s (critical): raise parallel_limit"
    )


def test_the_worst_alert_is_the_status() -> None:
    warning, critical = Alert(Status.WARNING, ""), Alert(Status.CRITICAL, "")
    assert worst([]) is Status.OK
    assert worst([warning]) is Status.WARNING
    assert worst([warning, critical, warning]) is Status.CRITICAL
