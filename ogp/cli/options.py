"""`--config FILE` and `--data-dir DIR`, shared by every command that needs the settings."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ogp.settings.load import Loaded, load_settings
from ogp.settings.problems import SettingsError

DEFAULT_CONFIG = Path("config.yaml")


class SettingsClickError(click.ClickException):
    """Shows every problem on a line of its own; exit status 1."""

    def __init__(self, error: SettingsError) -> None:
        """Keep the problems for `show`."""
        lines = "\n".join(f"  {problem}" for problem in error.problems)
        super().__init__(f"the configuration cannot be used:\n{lines}")


def config_path(given: Path | None) -> Path | None:
    """The file to read: `--config`, else `$CONFIG_FILE`, else ./config.yaml, else none.

    A file that was asked for is returned whether or not it exists, so that a typing error is seen.
    """
    if given is not None:
        return given
    named = os.environ.get("CONFIG_FILE", "")
    if named:
        return Path(named)
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None


def load_for_command(config: Path | None, data_dir: Path | None) -> Loaded:
    """Settings as the service would see them from here.

    Raises:
        SettingsClickError: the configuration cannot be used.
    """
    flags = {} if data_dir is None else {"data_dir": data_dir}
    try:
        return load_settings(config_path(config), environ=os.environ, flags=flags)
    except SettingsError as error:
        raise SettingsClickError(error) from error


config_option = click.option(
    "--config",
    "config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Configuration file; default: $CONFIG_FILE, else ./config.yaml if there is one.",
)
data_dir_option = click.option(
    "--data-dir",
    "data_dir",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Directory of the database and run files; default: data_dir of the configuration.",
)


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add both options to a command and hand it the result as keyword `loaded`.

    Put it directly above the function, below `@click.command()`.
    """

    @config_option
    @data_dir_option
    @functools.wraps(command)
    def with_settings(*args: Any, config: Path | None, data_dir: Path | None, **kwargs: Any) -> Any:
        return command(*args, loaded=load_for_command(config, data_dir), **kwargs)

    return with_settings
