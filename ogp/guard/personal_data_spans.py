"""What was found in overlapping parts, by several finders, as spans that do not overlap."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from ogp.guard.base import Span
from ogp.guard.personal_data import NAME_ENTITIES, Found


def parts_of(length: int, size: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Start and end of parts of at most `size`, each sharing `overlap` with the next one."""
    start = 0
    while start + size < length:
        yield start, start + size
        start += size - overlap
    yield start, length


def spans_of(found: Sequence[Found], text: str) -> tuple[Span, ...]:
    """Sorted spans without overlap, each of whole words.

    Patterns that overlap become one span, with the label of the surest, the longest of equals. What
    patterns found is taken out of names.
    """
    patterns = list(_joined([each for each in found if each.label not in NAME_ENTITIES]))
    names = _joined([each for each in found if each.label in NAME_ENTITIES])
    rest = [piece for name in names for piece in _without(name, patterns, text)]
    return tuple(sorted([*patterns, *rest], key=_start))


def is_inside_word(text: str, position: int) -> bool:
    """Whether a cut before this position would split a word or number."""
    return 0 < position < len(text) and _sticks(text[position - 1]) and _sticks(text[position])


def _sticks(character: str) -> bool:
    """Part of a word; not of Thai, Chinese and Japanese, which part words by nothing."""
    return character.isalnum() and not (
        "\u0e00" <= character <= "\u0eff"
        or "\u2e80" <= character <= "\ua4cf"
        or "\uf900" <= character <= "\ufaff"
        or character >= "\U00020000"
    )


def _joined(found: Sequence[Found]) -> Iterator[Span]:
    group: list[Found] = []
    end = 0
    for each in sorted(found, key=lambda each: (each.start, each.end, each.label)):
        if group and each.start >= end:
            yield _best(group, end)
            group = []
        group.append(each)
        end = max(end, each.end) if len(group) > 1 else each.end
    if group:
        yield _best(group, end)


def _best(group: Sequence[Found], end: int) -> Span:
    best = max(group, key=lambda each: (each.score, each.end - each.start))
    return Span(group[0].start, end, best.label)


def _without(name: Span, others: Sequence[Span], text: str) -> Iterator[Span]:
    """What is left of a name beside spans that are sorted."""
    start = name.start
    for other in _overlapping(name, others):
        yield from _trimmed(start, other.start, name.label, text)
        start = other.end
    yield from _trimmed(start, name.end, name.label, text)


def _overlapping(name: Span, others: Sequence[Span]) -> Iterator[Span]:
    first = bisect_right(others, name.start, key=_end)
    while first < len(others) and others[first].start < name.end:
        yield others[first]
        first += 1


def _trimmed(start: int, end: int, label: str, text: str) -> Iterator[Span]:
    """Without what is no letter or digit at its ends; nothing if nothing else is there."""
    while start < end and not text[start].isalnum():
        start += 1
    while start < end and not text[end - 1].isalnum():
        end -= 1
    if start < end:
        yield Span(start, end, label)


def _start(span: Span) -> int:
    return span.start


def _end(span: Span) -> int:
    return span.end
