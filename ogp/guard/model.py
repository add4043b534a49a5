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

    @property
    def takes_batches(self) -> bool:
        """Whether windows that are given together can cost less than one by one."""
        ...

    def windows(self, text: str) -> Sequence[str]:
        """The text in overlapping slices, each short enough to be seen whole; none for no text.

        The slices are cut from the text by the tokenizer's offsets, so every character is in one.
        """
        ...

    def scores(self, windows: Sequence[tuple[str, str]]) -> Sequence[Score]:
        """Judge windows, each with what was asked, which is empty where the text is a prompt.

        Of a model that `takes_batches`, several are given together where that pays. The score of
        one must not depend on the others; an error may be of any of them: they are then given one
        by one.

        Slow (milliseconds to seconds); computes in the calling thread alone.
        """
        ...

    def judged_at(self, threshold: float) -> "Model":
        """The same model, for a caller to whom this risk is a hit; nothing is loaded again.

        For models that look no further once the side of their threshold is clear; others give
        themselves.
        """
        ...

    def describe(self) -> Mapping[str, str | int]:
        """For `/health`: `model` (hash of its files), `precision`, `device`; no paths, no text."""
        ...


class ModelUnavailableError(Exception):
    """A model cannot be loaded; the message names the directory or package and what is wrong."""


class ScannerFailedError(Exception):
    """A model failed or gave no score; the message says how, and never repeats text."""


class ScannerBusyError(Exception):
    """The pool is full, or the deadline passed before every window was scored."""


LoadModel = Callable[[], Model]
"""Loads one model, slowly. Raises `ModelUnavailableError`."""
