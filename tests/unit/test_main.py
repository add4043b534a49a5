import subprocess
import sys

from ogp import __version__


def test_the_package_runs_as_the_command() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "ogp", "--version"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == f"ogp, version {__version__}\n"
