"""How much memory a model needs."""

from collections.abc import Iterable
from dataclasses import dataclass

from ogp.core.types import canonical_model
from ogp.settings.name_pattern import NamePattern
from ogp.settings.routing_schema import RoutingSettings

GB = 1e9
"""Bytes; Ollama and its library write sizes in these units."""


@dataclass(frozen=True, slots=True)
class Size:
    """Memory of a model."""

    gb: float
    source: str
    """`listed`, `override`, `pattern` or `default`."""


class SizeRules:
    """A listed size counts before an override, that before a pattern, that before the default."""

    def __init__(self, settings: RoutingSettings) -> None:
        """Read the rules."""
        self._overrides = {
            canonical_model(name): gb for name, gb in settings.memory_overrides.items()
        }
        self._patterns = [
            (NamePattern(entry.pattern), entry.memory_gb) for entry in settings.memory_patterns
        ]
        self._default_gb = settings.default_memory_gb

    def size(self, model: str, listed_bytes: Iterable[int]) -> Size:
        """The size to go by.

        Args:
            model: by its canonical name.
            listed_bytes: what servers say of it; the greatest counts.
        """
        largest = max(listed_bytes, default=None)
        if largest is not None:
            return Size(largest / GB, "listed")
        if model in self._overrides:
            return Size(self._overrides[model], "override")
        for pattern, memory_gb in self._patterns:
            if pattern.matches(model):
                return Size(memory_gb, "pattern")
        return Size(self._default_gb, "default")
