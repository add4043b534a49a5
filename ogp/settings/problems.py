"""What is wrong with a configuration, in sentences an operator can act on."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: which key, what it holds, where that came from and what would be right."""

    key: str
    """Dotted canonical key (`server.port`), or the name as written where there is no such key."""
    value: str
    """What was read, shortened, secrets replaced; empty where it says nothing."""
    source: str
    """`config.yaml:12`, `environment PROXY_PORT` or `--port`."""
    message: str
    """What is wrong or would be right, e.g. `must be a whole number from 0 to 65535`."""

    def __str__(self) -> str:
        """One line with all four."""
        value = f" = {self.value}" if self.value else ""
        return f"{self.key}{value} ({self.source}): {self.message}"


class SettingsError(Exception):
    """The configuration cannot be used; `problems` holds every mistake, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems in the order they were found."""
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
