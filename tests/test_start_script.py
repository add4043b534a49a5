"""The parts of run_proxy.sh that decide: flags, which Python, what has to be installed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = (
    "bash",
    "cat",
    "chmod",
    "cksum",
    "dirname",
    "env",
    "grep",
    "ls",
    "mkdir",
    "rm",
    "sed",
    "tr",
)
FLAGS = (
    *("--workers", "--concurrency", "--host", "--port", "--log-level", "--config", "--data-dir"),
    *("--reload", "--debug", "--lite", "--demo", "--offline", "--find-links"),
)

FAKE_PYTHON = """#!/usr/bin/env bash
# Answers what run_proxy.sh asks a Python, and writes down what it was told to do.
case "$*" in
    *ensurepip*) echo {minor} ;;
    *purelib*) echo "$(dirname "$0")/../site" ;;
    --version) echo Python 3.{minor}.0 ;;
    -m\\ venv*)
        for venv; do :; done
        mkdir -p "$venv/bin" "$venv/site"
        sed 's/^# .*/# The Python of a virtual environment./' "$0" >"$venv/bin/python"
        chmod 755 "$venv/bin/python"
        ;;
    -m\\ pip*)
        echo "$*" >>"$PIP_CALLS"
        case "$*" in *"${{PIP_FAILS_ON:-nothing}}"*) exit 1 ;; esac
        ;;
esac
"""


class Sandbox:
    """A copy of the scripts, and a PATH with nothing but the tools they need and fake Pythons."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        self.bin = folder / "bin"
        self.calls = folder / "pip-calls"
        self.root.mkdir()
        self.bin.mkdir()
        shutil.copy(ROOT / "run_proxy.sh", self.root)
        for name in ("scripts", "requirements"):
            shutil.copytree(ROOT / name, self.root / name)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (self.bin / tool).symlink_to(found)

    def add_python(self, name: str, minor: int) -> None:
        path = self.bin / name
        path.write_text(FAKE_PYTHON.format(minor=minor))
        path.chmod(0o755)

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        clean = {"PATH": str(self.bin), "HOME": "/nonexistent", "PIP_CALLS": str(self.calls)}
        return subprocess.run(
            [str(self.root / "run_proxy.sh"), *arguments],
            env={**clean, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def pip_calls(self) -> list[str]:
        calls = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return calls


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prot", "9000"], "unknown flag: --prot (did you mean --port?)"),
        (["--wrokers=2"], "unknown flag: --wrokers (did you mean --workers?)"),
        (["--confg", "x"], "unknown flag: --confg (did you mean --config?)"),
        (["--zzz"], "unknown flag: --zzz\n"),
        (["strat"], "unknown command: strat (did you mean start?)"),
        (["start", "now"], "unknown flag: now\n"),
        (["--port"], "--port needs a value"),
        (["--port="], "--port needs a value"),
        (["--lite=yes"], "--lite takes no value"),
    ],
)
def test_command_line_that_makes_no_sense_is_refused(
    sandbox: Sandbox, arguments: list[str], message: str
) -> None:
    done = sandbox.run(*arguments)
    assert done.returncode == 1
    assert message in done.stderr


@pytest.mark.parametrize("arguments", [["help"], ["--help"], ["-h"], ["start", "--help"]])
def test_help_names_every_flag(sandbox: Sandbox, arguments: list[str]) -> None:
    done = sandbox.run(*arguments)
    assert done.returncode == 0
    assert [flag for flag in FLAGS if flag not in done.stdout] == []


def flag_results(sandbox: Sandbox, *arguments: str, **environ: str) -> dict[str, str]:
    """What a start with these flags hands on to the proxy's processes."""
    script = sandbox.root / "show.sh"
    script.write_text(
        "set -euo pipefail\nstarted_in=/elsewhere\n. scripts/messages.sh\n. scripts/flags.sh\n"
        'parse_command_line "$@"\nenv\necho "reload=$reload lite=$lite demo=$demo"\n'
    )
    shown = subprocess.run(
        ["bash", str(script), *arguments],
        cwd=sandbox.root,
        env={"PATH": str(sandbox.bin), **environ},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return dict(word.split("=", 1) for line in shown.splitlines() for word in line.split())


@pytest.mark.parametrize(
    ("flag", "value", "variable", "expected"),
    [
        ("--workers", "4", "OGP__SERVER__WORKERS", "4"),
        ("--concurrency", "128", "OGP__SERVER__CONCURRENCY", "128"),
        ("--host", "0.0.0.0", "OGP__SERVER__HOST", "0.0.0.0"),
        ("--port", "9000", "OGP__SERVER__PORT", "9000"),
        ("--log-level", "debug", "OGP__LOGGING__LEVEL", "debug"),
        ("--config", "my.yaml", "CONFIG_FILE", "/elsewhere/my.yaml"),
        ("--config", "/etc/my.yaml", "CONFIG_FILE", "/etc/my.yaml"),
        ("--data-dir", "d", "OGP__DATA_DIR", "/elsewhere/d"),
    ],
)
def test_flag_reaches_the_proxy(
    sandbox: Sandbox, flag: str, value: str, variable: str, expected: str
) -> None:
    assert flag_results(sandbox, flag, value)[variable] == expected
    assert flag_results(sandbox, f"{flag}={value}")[variable] == expected


def test_debug_is_a_log_level(sandbox: Sandbox) -> None:
    assert flag_results(sandbox, "run", "--debug")["OGP__LOGGING__LEVEL"] == "debug"


@pytest.mark.parametrize(
    ("flag", "variable"),
    [("--port", "PROXY_PORT"), ("--port", "PORT"), ("--host", "HOST"), ("--workers", "WORKERS")],
)
def test_flag_wins_over_the_environment(sandbox: Sandbox, flag: str, variable: str) -> None:
    assert variable not in flag_results(sandbox, flag, "1", **{variable: "2"})


def test_environment_without_a_flag_is_left_alone(sandbox: Sandbox) -> None:
    assert flag_results(sandbox, "--lite", PROXY_PORT="81")["PROXY_PORT"] == "81"


def test_switches_are_off_unless_given(sandbox: Sandbox) -> None:
    assert flag_results(sandbox)["demo"] == "no"
    given = flag_results(sandbox, "--reload", "--lite", "--demo")
    assert (given["reload"], given["lite"], given["demo"]) == ("yes", "yes", "yes")


def test_no_usable_python_is_said_with_a_remedy(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 10)
    done = sandbox.run("install")
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert "python3-venv" in done.stderr


def test_python_too_new_for_the_guard_extras_offers_lite(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 13)
    done = sandbox.run("install")
    assert done.returncode == 1
    assert "python3 is Python 3.13, too new for the guard extras" in done.stderr
    assert "--lite" in done.stderr
    assert not (sandbox.root / ".venv").exists()


GUARD_EXTRAS = [
    "torch==2.13.0",
    "llm-guard==0.3.16",
    "onnx==1.23.2",
    "onnxruntime==1.31.1",
    ".ogp-detect-secrets",
]


def asked_for(pip_calls: list[str]) -> list[str]:
    """The requirement, or the file of them, that each call of pip ends with."""
    return [call.rsplit(" ", 1)[1].rsplit("/", 1)[-1] for call in pip_calls]


def test_python_too_new_for_the_guard_extras_serves_lite(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 13)
    assert sandbox.run("install", "--lite").returncode == 0


def test_python_that_suits_the_guard_extras_comes_first(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 13)
    sandbox.add_python("python3.12", 12)
    done = sandbox.run("install", "--lite")
    assert "with Python 3.12.0" in done.stdout


def test_python_of_the_environment_comes_before_all(sandbox: Sandbox) -> None:
    sandbox.add_python("python3.12", 12)
    sandbox.add_python("mine", 11)
    done = sandbox.run("install", "--lite", PYTHON=str(sandbox.bin / "mine"))
    assert "with Python 3.11.0" in done.stdout


def test_lite_installs_the_core_with_hashes_and_nothing_else(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 11)
    sandbox.run("install", "--lite")
    (call,) = sandbox.pip_calls()
    assert call.endswith("--require-hashes -r requirements/core.txt")


def test_full_install_adds_torch_alone_and_then_llm_guard(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 11)
    sandbox.run("install")
    assert asked_for(sandbox.pip_calls()) == ["core.txt", *GUARD_EXTRAS]


def test_the_fork_that_llm_guard_brings_is_overwritten_with_the_pinned_files(
    sandbox: Sandbox,
) -> None:
    sandbox.add_python("python3", 11)
    sandbox.run("install")
    last = sandbox.pip_calls()[-1]
    assert "--force-reinstall --no-deps --require-hashes" in last
    pinned = (sandbox.root / ".venv" / ".ogp-detect-secrets").read_text()
    assert pinned.startswith("detect-secrets==1.5.0 ")
    assert pinned.count("--hash=sha256:") >= 1
    assert pinned.count("==") == 1


def test_the_fork_is_overwritten_also_where_a_later_extra_fails(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 11)
    sandbox.run("install", PIP_FAILS_ON="onnxruntime")
    assert asked_for(sandbox.pip_calls())[-1] == ".ogp-detect-secrets"


def test_guard_extras_cannot_change_versions_of_the_core(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 11)
    sandbox.run("install")
    constraints = (sandbox.root / ".venv" / ".ogp-constraints").read_text().splitlines()
    core = (ROOT / "requirements" / "core.txt").read_text().splitlines()
    pins = [line.split()[0] for line in core if "==" in line]
    assert constraints == pins
    assert f"-c {sandbox.root}/.venv/.ogp-constraints" in sandbox.pip_calls()[1]


def test_second_start_asks_nobody(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 11)
    sandbox.run("install")
    sandbox.pip_calls()
    (sandbox.bin / "python3").unlink()
    assert sandbox.run("install").returncode == 0
    assert sandbox.pip_calls() == []


@pytest.mark.parametrize("name", ["core.txt", "guard.txt"])
def test_changed_requirements_are_installed(sandbox: Sandbox, name: str) -> None:
    sandbox.add_python("python3", 11)
    sandbox.run("install")
    sandbox.pip_calls()
    with (sandbox.root / "requirements" / name).open("a") as file:
        file.write("# changed\n")
    sandbox.run("install")
    assert len(sandbox.pip_calls()) == {"core.txt": 1, "guard.txt": len(GUARD_EXTRAS)}[name]


def test_failed_guard_extra_is_said_and_does_not_prevent_the_start(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 11)
    done = sandbox.run("install", PIP_FAILS_ON="torch")
    assert done.returncode == 0
    assert "torch==2.13.0 could not be installed" in done.stderr
    assert "WITHOUT the guard extras" in done.stderr


def test_failed_guard_extra_is_tried_again_by_install(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 11)
    sandbox.run("install", PIP_FAILS_ON="llm-guard")
    sandbox.pip_calls()
    sandbox.run("install")
    assert asked_for(sandbox.pip_calls()) == GUARD_EXTRAS


def test_failed_core_stops_with_a_remedy_and_is_tried_again(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 11)
    done = sandbox.run("install", "--lite", PIP_FAILS_ON="core.txt")
    assert done.returncode == 1
    assert "--offline --find-links" in done.stderr
    sandbox.pip_calls()
    assert sandbox.run("install", "--lite").returncode == 0
    assert len(sandbox.pip_calls()) == 1


def test_offline_install_uses_the_given_directory_only(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 11)
    sandbox.run("install", "--lite", "--offline", "--find-links", "/wheels")
    assert "--no-index --find-links /wheels --require-hashes" in sandbox.pip_calls()[0]


def test_directory_that_is_no_environment_is_left_alone(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 11)
    precious = sandbox.root / ".venv" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("do not delete")
    done = sandbox.run("install", "--lite")
    assert done.returncode == 1
    assert "is no virtual environment" in done.stderr
    assert precious.exists()


def test_environment_whose_python_is_gone_is_made_anew(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 11)
    leftover = sandbox.root / ".venv" / "pyvenv.cfg"
    leftover.parent.mkdir()
    leftover.write_text("home = /a/python/that/was/removed\n")
    done = sandbox.run("install", "--lite")
    assert done.returncode == 0
    assert "==> Making" in done.stdout


def test_commands_of_the_environment_find_the_project_from_anywhere(sandbox: Sandbox) -> None:
    sandbox.add_python("python3", 11)
    sandbox.run("install", "--lite")
    venv = sandbox.root / ".venv"
    assert (venv / "site" / "ollama_guard_proxy.pth").read_text() == f"{sandbox.root}\n"
    assert f"exec {venv}/bin/python -m ogp" in (venv / "bin" / "ogp").read_text()
    assert os.access(venv / "bin" / "ogp", os.X_OK)


def test_script_works_through_a_symbolic_link(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "proxy").symlink_to("tree/run_proxy.sh")
    (sandbox.bin / "readlink").symlink_to(shutil.which("readlink") or "")
    done = subprocess.run(
        [str(tmp_path / "proxy"), "help"],
        env={"PATH": str(sandbox.bin)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Usage" in done.stdout
