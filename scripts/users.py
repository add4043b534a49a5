#!/usr/bin/env python3
"""`ogp users` from anywhere: `python scripts/users.py create alice --role admin`.

As run_proxy.sh does, it works in the project's directory, so that both find the same config.yaml
and database; paths on the command line count from where it was called. Where the interpreter is
too old or lacks the packages, it starts again with the one of the project's virtual environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST_PYTHON = (3, 11)
PATH_FLAGS = ("--config", "--data-dir")


def main() -> None:
    """Run the command, in this interpreter if it can."""
    arguments = absolute_paths(sys.argv[1:])
    sys.path[0] = str(ROOT)
    if sys.version_info < OLDEST_PYTHON:
        start_again(arguments, f"this is Python {sys.version_info[0]}.{sys.version_info[1]}")
    try:
        from ogp.cli.users import users
    except ModuleNotFoundError as error:
        start_again(arguments, str(error))
    os.chdir(ROOT)
    users(args=arguments, prog_name="users.py", help_option_names=["-h", "--help"])


def absolute_paths(arguments: list[str]) -> list[str]:
    """The arguments with every path made absolute, as the working directory will change."""
    result = []
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if equals and flag in PATH_FLAGS:
            result.append(flag + "=" + str(Path(value).absolute()))
        elif result and result[-1] in PATH_FLAGS:
            result.append(str(Path(argument).absolute()))
        else:
            result.append(argument)
    return result


def start_again(arguments: list[str], reason: str) -> None:
    """Become the interpreter of the virtual environment; ends the program if that is no other."""
    environment = ROOT / os.environ.get("VENV_DIR", ".venv")
    python = environment / "bin" / "python"
    if not python.exists() or Path(sys.prefix).resolve() == environment.resolve():
        sys.exit(f"Error: {reason}; install what is needed with: ./run_proxy.sh install")
    os.execv(str(python), [str(python), __file__, *arguments])  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main()
