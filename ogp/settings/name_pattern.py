"""Patterns of models' names: wildcards, and as much of regular expressions as earlier files use."""

import fnmatch
import re

ESCAPED = re.compile(r"\\([^A-Za-z0-9])")
FOREIGN = re.compile(r"[\[\](){}|+\\^$]")
MAX_CHARS = 200


class NamePattern:
    """A pattern over the whole of a model's name, whatever its case.

    `*` and `.*` stand for any text, `?` for any character; everything else stands for itself.
    A model without a tag is also held against its other spelling, `llama3:latest`. Python makes
    atomic groups of `*`, so that no name is matched in more than one way.
    """

    def __init__(self, text: str) -> None:
        """Read the pattern.

        Raises:
            ValueError: it says more than this; the message tells what to write instead.
        """
        if not text.strip() or len(text) > MAX_CHARS:
            raise ValueError(f"must have 1 to {MAX_CHARS} characters")
        plain = ESCAPED.sub(r"\1", text.removeprefix("^").removesuffix("$").replace(".*", "*"))
        if FOREIGN.search(plain):
            raise ValueError("may hold * (or .*) for any text and ? for any character, no more")
        short = plain.lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
        self._regex = re.compile(fnmatch.translate(short))

    def matches(self, model: str) -> bool:
        """Whether the model, by its canonical name, is meant."""
        if self._regex.match(model):
            return True
        tagged = ":" in model.rpartition("/")[2]
        return not tagged and self._regex.match(f"{model}:latest") is not None


def is_pattern(text: str) -> bool:
    """Whether it may stand for more than one name."""
    return "*" in text or "?" in text
