"""scripts/setup_concurrency.sh: what it adds to a configuration, and what it leaves alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ogp.settings.load import load_settings

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = str(ROOT / "scripts" / "setup_concurrency.sh")
KEYS = ("ollama_num_parallel", "ollama_max_queue", "request_timeout", "enable_queue_stats")


def run(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """With the Python of the tests, so that nothing is installed."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    own = {"USE_VENV": "false", "PYTHON": sys.executable}
    return subprocess.run(
        [SCRIPT, *arguments],
        cwd=cwd,
        env={**kept, **own, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_missing_keys_are_put_at_the_end_with_their_defaults(tmp_path: Path) -> None:
    config = tmp_path / "my config.yaml"
    text = "# mine\nqueue:\n  max_queue: 9  # few\nserver: {port: 9000}"
    config.write_text(text)
    config.chmod(0o600)
    result = run("--config", config.name, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert config.read_text().startswith(f"{text}\n\n# Queues, docs/queue.md\nollama_num_parallel:")
    assert "ollama_max_queue" not in config.read_text()
    assert config.stat().st_mode & 0o777 == 0o600
    loaded = load_settings(config, environ={}, flags={})
    assert (loaded.settings.queue.max_queue, loaded.settings.queue.parallel) == (9, "auto")
    assert loaded.sources["queue.stats_enabled"] != "default"
    assert "Next steps" in result.stdout
    assert "ogp queue watch" in result.stdout


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("server: {port: 9000}\n")
    run("--config", str(config), cwd=tmp_path)
    before = config.read_text()
    result = run(cwd=tmp_path, CONFIG_FILE="config.yaml")
    assert config.read_text() == before
    assert f"{config} has every key already." in result.stdout


def test_the_shipped_file_has_every_key(tmp_path: Path) -> None:
    before = (ROOT / "config.yaml").read_bytes()
    result = run(cwd=tmp_path)
    assert f"{ROOT / 'config.yaml'} has every key already." in result.stdout
    assert (ROOT / "config.yaml").read_bytes() == before


def test_a_file_that_is_not_there_is_made(tmp_path: Path) -> None:
    assert run("--config", "new.yaml", cwd=tmp_path).returncode == 0
    text = (tmp_path / "new.yaml").read_text()
    assert [key for key in KEYS if f"\n{key}: " not in text] == []


def test_what_the_environment_has_is_not_missing(tmp_path: Path) -> None:
    run("--config", "new.yaml", cwd=tmp_path, OLLAMA_NUM_PARALLEL="2")
    assert "ollama_num_parallel" not in (tmp_path / "new.yaml").read_text()


@pytest.mark.parametrize("text", ["{server: {port: 9000}}\n", "development: {}\nproduction: {}\n"])
def test_a_file_that_cannot_be_added_to_is_left_with_the_lines_to_add(
    text: str, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    result = run("--config", "config.yaml", cwd=tmp_path)
    assert result.returncode == 1
    assert "cannot be put at the end" in result.stderr
    assert "ollama_num_parallel: auto" in result.stderr
    assert config.read_text() == text


def test_a_broken_file_is_left_and_its_mistakes_are_shown(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("queue: {max_queue: -1}\n")
    result = run("--config", "config.yaml", cwd=tmp_path)
    assert result.returncode == 1
    assert "queue.max_queue" in result.stderr
    assert config.read_text() == "queue: {max_queue: -1}\n"


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--config"]])
def test_wrong_calls_are_refused(arguments: list[str], tmp_path: Path) -> None:
    assert run(*arguments, cwd=tmp_path).returncode == 1


def test_help_is_shown(tmp_path: Path) -> None:
    assert run("--help", cwd=tmp_path).stdout.startswith("Usage: scripts/setup_concurrency.sh")
