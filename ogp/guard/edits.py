"""What is taken out of a text and what is put in its place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ogp.guard.base import Span


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement. Edits of one text do not overlap."""

    start: int
    end: int
    """Behind the last character that goes."""
    replacement: str
    owner: str
    """The scanner whose hit it is."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Pieces of a text that overlap, and go as one."""

    start: int
    end: int
    spans: tuple[tuple[Span, str], ...]
    """With the scanner that found each; the earliest first, of those the longest first."""


def redacted(span: Span) -> str:
    """What stands in the place of a hit that does not come back."""
    return f"[REDACTED:{span.label}]" if span.label else ""


def clusters_of(found: Iterable[tuple[Span, str]]) -> list[Cluster]:
    """The pieces of one text put together; nothing of any of them stays.

    Args:
        found: (span, scanner) pairs; their order does not matter.
    """
    groups: list[list[tuple[Span, str]]] = []
    end = -1
    for span, owner in sorted(found, key=_order):
        if span.start > end or (span.start == end and span.label):
            groups.append([])
        groups[-1].append((span, owner))
        end = max(end, span.end)
    return [
        Cluster(group[0][0].start, max(span.end for span, _ in group), tuple(group))
        for group in groups
    ]


def _order(found: tuple[Span, str]) -> tuple[int, int, str, str]:
    span, owner = found
    return span.start, -span.end, owner, span.label


def edited(text: str, edits: Sequence[Edit]) -> str:
    """The text after all edits, which stand in their order."""
    pieces = []
    done = 0
    for edit in edits:
        pieces += [text[done : edit.start], edit.replacement]
        done = edit.end
    return "".join((*pieces, text[done:]))
