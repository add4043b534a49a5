"""What people see of `/queue/stats`."""

from typing import Any

import pytest
from rich.console import Console

from ogp.cli.queue_table import duration_text, queue_view


def figures(model: str, active: int = 0, waiting: int = 0, **more: Any) -> dict[str, Any]:
    quick = {"p50": 1.0, "p90": 11.3, "p99": 92_681.9}
    return {
        "model": model,
        "parallel_limit": 4,
        "queue_limit": 512,
        "active_requests": active,
        "queued_requests": waiting,
        "total_processed": 7,
        "total_rejected": 2,
        "rejection_rate": 0.2222,
        "wait_ms": {"p50": None, "p90": None, "p99": None},
        "service_ms": quick,
        "predicted_wait_s": None,
        "status": "ok",
        "reasons": [],
        **more,
    }


def shown(*models: dict[str, Any], away: str = "", **more: Any) -> str:
    stats = {"status": "ok", "reasons": [], "models": {each["model"]: each for each in models}}
    console = Console(width=200, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(queue_view({**stats, **more}, title="http://here  12:00:00", away=away))
    return capture.get()


def test_a_model_s_figures_are_one_line() -> None:
    text = shown(figures("llama2", active=3, waiting=9, predicted_wait_s=4.25))
    (line,) = [line for line in text.splitlines() if "llama2" in line]
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells == [
        "llama2",
        "3/4",
        "9/512",
        "- / - / -",
        "1 ms / 11 ms / 1.5 min",
        "7",
        "2 (22.2%)",
        "4.2 s",
        "ok",
    ]
    assert "http://here  12:00:00" in text


def test_the_busiest_come_first() -> None:
    models = (figures("idle"), figures("b", active=1), figures("a", active=1, waiting=1))
    text = shown(*models, figures("also-idle"))
    places = [text.index(f"│ {name} ") for name in ("a", "b", "also-idle", "idle")]
    assert places == sorted(places)


def test_reasons_stand_with_their_model_and_those_of_the_host_below() -> None:
    reason = "queue depth 90.0 %, over 80 %"
    model = figures("llama2", status="warning", reasons=[reason])
    text = shown(model, status="critical", reasons=["memory in use 95.0 %", f"llama2: {reason}"])
    assert text.count(reason) == 1
    assert text.splitlines()[-2:] == ["critical", "memory in use 95.0 %"]


@pytest.mark.parametrize(
    ("status", "code"), [("ok", "\x1b[32m"), ("warning", "\x1b[33m"), ("critical", "\x1b[1;31m")]
)
def test_the_status_has_its_colour(status: str, code: str) -> None:
    console = Console(width=200, force_terminal=True, color_system="standard", legacy_windows=False)
    stats = {"status": status, "reasons": [], "models": {}}
    with console.capture() as capture:
        console.print(queue_view(stats, title=""))
    assert f"{code}{status}" in capture.get()


def test_what_was_learned_is_marked() -> None:
    assert "3/4 learned" in shown(figures("m", active=3, learned={"parallel": 4}))


def test_old_figures_say_so() -> None:
    text = shown(figures("m"), away="does not answer")
    assert text.splitlines()[-1] == "does not answer"


def test_a_service_nobody_has_asked_yet_says_so() -> None:
    assert "No request has named a model yet." in shown()


def test_what_would_steer_a_terminal_is_taken_out() -> None:
    text = shown(figures("m\x1b[2J", reasons=["\x07"]), reasons=["\x1b]0;x"], away="\x1b[1m")
    assert not {"\x1b", "\x07"} & set(text)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "-"),
        (0.0, "0 ms"),
        (999.4, "999 ms"),
        (1_000.0, "1.0 s"),
        (59_000.0, "59.0 s"),
        (90_000.0, "1.5 min"),
        (7_200_000.0, "2.0 h"),
    ],
)
def test_durations(milliseconds: float | None, text: str) -> None:
    assert duration_text(milliseconds) == text
