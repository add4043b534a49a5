"""The limits that the configuration gives each model."""

import fnmatch
import re

from ogp.core.slots import SlotLimits
from ogp.settings.queue_schema import ModelLimits, QueueSettings


class ModelPattern:
    """A name of models in which `*` and `?` stand for any text and any character.

    It is held against both spellings of a model without a tag, `llama3` and `llama3:latest`.
    Python makes atomic groups of `*`, so that no name is matched in more than one way.
    """

    def __init__(self, text: str) -> None:
        short = text.lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
        self._regex = re.compile(fnmatch.translate(short.replace("[", "[[]")))

    def matches(self, model: str) -> bool:
        """Whether the model, by its canonical name, is meant."""
        if self._regex.match(model):
            return True
        tagged = ":" in model.rpartition("/")[2]
        return not tagged and self._regex.match(f"{model}:latest") is not None


class ConfiguredLimits:
    """Limits by model: the first entry of `queue.models` that matches, else the defaults."""

    def __init__(self, settings: QueueSettings, parallel: int) -> None:
        """Keep the rules.

        Args:
            parallel: the default of requests served at once, `auto` resolved.
        """
        self.default = SlotLimits(parallel, settings.max_queue, settings.max_queue_per_user)
        self._entries = [(ModelPattern(entry.match), entry) for entry in settings.models]

    def of(self, model: str) -> SlotLimits:
        """The limits of one model, by its canonical name."""
        entry, default = self._entry(model), self.default
        if entry is None:
            return default
        return SlotLimits(
            default.parallel if entry.parallel is None else entry.parallel,
            default.max_queue if entry.max_queue is None else entry.max_queue,
            default.max_per_user,
        )

    def fixes_parallel(self, model: str) -> bool:
        """Whether the operator named the model's number of requests served at once."""
        entry = self._entry(model)
        return entry is not None and entry.parallel is not None

    def _entry(self, model: str) -> ModelLimits | None:
        return next((entry for pattern, entry in self._entries if pattern.matches(model)), None)
