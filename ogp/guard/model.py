"""Model scanners: what a loaded model promises, and how it takes part as a `Scanner`.

Models are slow and large. They are loaded by the pool's threads after the start, run there alone,
and never cut a text: it is shown to them in overlapping windows that they see whole.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Score:
    """What a model says of one window."""

    value: float
    """Risk between 0 and 1."""
    label: str = ""
    """The class it saw, one of the model's own labels; never text."""


class Model(Protocol):
    """One loaded model with its tokenizer. Thread-safe: several windows may be scored at once."""

    def windows(self, text: str) -> Sequence[str]:
        """The text in overlapping slices, each short enough to be seen whole; none for no text.

        The slices are cut from the text by the tokenizer's offsets, so every character is in one.
        """
        ...

    def score(self, window: str, prompt: str) -> Score:
        """Judge one window; `prompt` is what was asked, empty when the text is a prompt itself.

        Slow (milliseconds to seconds); computes in the calling thread alone.
        """
        ...

    def describe(self) -> Mapping[str, str | int]:
        """For `/health`: `model` (hash of its files), `precision`, `device`; no paths, no text."""
        ...


class ModelUnavailableError(Exception):
    """A model cannot be loaded; the message names the directory or package and what is wrong."""


class ScannerBusyError(Exception):
    """The pool is full, or the deadline passed before every window was scored."""


LoadModel = Callable[[], Model]
"""Loads one model, slowly. Raises `ModelUnavailableError`."""
