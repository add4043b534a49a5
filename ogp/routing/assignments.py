"""Which server the configuration names for a model."""

from collections.abc import Mapping

from ogp.core.types import canonical_model
from ogp.settings.name_pattern import NamePattern, is_pattern


class Assignments:
    """Exact names before patterns, those in the order of the configuration."""

    def __init__(self, assignments: Mapping[str, str]) -> None:
        """Read them."""
        self._exact = {
            canonical_model(name): server
            for name, server in assignments.items()
            if not is_pattern(name)
        }
        self._patterns = [
            (NamePattern(name), server) for name, server in assignments.items() if is_pattern(name)
        ]

    def server_for(self, model: str) -> str | None:
        """The server's name; None leaves the model to the other rules."""
        if model in self._exact:
            return self._exact[model]
        matching = (server for pattern, server in self._patterns if pattern.matches(model))
        return next(matching, None)
