"""The `ogp` command. Sub-commands are imported only when they run, so that help is quick."""

import importlib
from collections.abc import Mapping
from types import MappingProxyType

import click

from ogp import __version__

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "config": ("ogp.cli.config:config", "Check and show the configuration."),
        "users": ("ogp.cli.users:users", "Create, list and change users and their tokens."),
        "guard": ("ogp.cli.guard:guard", "Try the guard on texts, show its scanners."),
        "queue": ("ogp.cli.queue:queue", "Watch the queues of a running service, set limits."),
        "servers": ("ogp.cli.servers:servers", "Show the servers behind us, take them out, back."),
        "route": ("ogp.cli.servers:route", "Explain which server gets a model's requests."),
        "coverage": (
            "ogp.cli.coverage:coverage_command",
            "Show every route, who may call it and what the guard reads.",
        ),
        "doctor": (
            "ogp.cli.doctor:doctor",
            "Check a running deployment, with what stands in front of it.",
        ),
        "setup": ("ogp.cli.setup:setup", "Prepare the data directory and the first token."),
        "demo": ("ogp.demo.__main__:main", "Run the scriptable stand-in for an Ollama server."),
    }
)
"""Name -> `module:attribute` and the line that `--help` shows without importing it."""


class LazyGroup(click.Group):
    """A group whose commands live in modules that are imported on use."""

    def __init__(
        self, name: str | None = None, *, lazy: Mapping[str, tuple[str, str]], **kwargs: object
    ) -> None:
        """Keep where the commands are."""
        super().__init__(name, **kwargs)  # type: ignore[arg-type]  # passed on to click unchanged
        self._lazy = lazy

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """All names, in the order they were given."""
        return list(self._lazy)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None if there is no such name."""
        if cmd_name not in self._lazy:
            return None
        module, _, attribute = self._lazy[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{attribute} is no click command")
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, from the lines kept here."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._lazy.items()])


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ogp")
def main() -> None:
    """Ollama Guard Proxy: checks, queues and records what goes to and from Ollama servers."""
