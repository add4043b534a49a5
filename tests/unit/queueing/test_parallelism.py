"""4, 2 or 1 by available RAM, and what the operator is told."""

import pytest

from ogp.queueing.parallelism import (
    BYTES_PER_GB,
    memory_percent,
    memory_report,
    recommended_parallel,
    resolve_parallel,
    upstream_parallel_hint,
)
from ogp.settings.queue_schema import QueueSettings


@pytest.mark.parametrize(
    ("available_gb", "parallel"),
    [(64, 4), (16, 4), (15.99, 2), (8, 2), (7.99, 1), (0, 1)],
)
def test_auto_is_4_2_or_1_by_available_ram(available_gb: float, parallel: int) -> None:
    assert recommended_parallel(int(available_gb * BYTES_PER_GB)) == parallel


def test_a_number_given_by_the_operator_counts() -> None:
    assert resolve_parallel(QueueSettings(parallel=7)) == 7


def test_auto_is_resolved_by_this_hosts_ram() -> None:
    assert resolve_parallel(QueueSettings(parallel="auto")) in (4, 2, 1)


@pytest.mark.parametrize(("bounds", "start"), [((5, 9), 5), ((1, 1), 1)])
def test_learned_begins_where_auto_would_within_its_bounds(
    bounds: tuple[int, int], start: int
) -> None:
    settings = QueueSettings(parallel="learned", learned_min=bounds[0], learned_max=bounds[1])
    assert resolve_parallel(settings) == start


def test_the_report_has_the_documented_fields_and_a_note() -> None:
    assert list(memory_report()) == [
        "total_gb",
        "available_gb",
        "used_gb",
        "percent",
        "recommended_parallel",
        "upstream_parallel",
        "upstream_parallel_hint",
        "note",
    ]


def test_the_figures_of_the_report_agree() -> None:
    report = memory_report()
    assert report["total_gb"] == pytest.approx(report["available_gb"] + report["used_gb"], abs=0.02)
    assert report["percent"] == pytest.approx(100 * report["used_gb"] / report["total_gb"], abs=0.5)
    assert memory_percent() == pytest.approx(report["percent"], abs=5)


def test_the_report_says_that_it_is_a_start_value_only() -> None:
    assert "start value" in memory_report()["note"]


def test_the_report_says_that_the_upstream_cannot_be_asked() -> None:
    assert memory_report()["upstream_parallel"] is None
    assert "upstream_parallel is null" in memory_report()["note"]


@pytest.mark.parametrize(
    ("value", "hint"),
    [("4", 4), (" 2 ", 2), ("auto", None), ("", None), ("-1", None), ("99999", None), ("²", None)],
)
def test_the_environment_is_a_hint_at_the_upstreams_own_number(
    monkeypatch: pytest.MonkeyPatch, value: str, hint: int | None
) -> None:
    monkeypatch.setenv("OLLAMA_NUM_PARALLEL", value)
    assert upstream_parallel_hint() == hint
