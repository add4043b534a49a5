"""One character at a time."""

import sys

import pytest

from ogp.guard import folding
from ogp.guard.folding import DROPPED, Folding, is_unseen


@pytest.mark.parametrize("character", ["\u200b", "\u202e", "\u0301", "\u05b0", "\u064b", "\u20dd"])
def test_marks_and_formats_are_unseen(character: str) -> None:
    assert is_unseen(character)


@pytest.mark.parametrize("character", ["\ufe0f", "\u034f", "\u180b", "\U000e0100", "\U000e0fff"])
def test_selectors_and_joiners_are_unseen(character: str) -> None:
    assert is_unseen(character)


@pytest.mark.parametrize("character", ["\u3164", "\u1160", "\ufff0", "\U0001d165", "\x00", "\x7f"])
def test_blank_letters_and_controls_are_unseen(character: str) -> None:
    assert is_unseen(character)


@pytest.mark.parametrize(
    "character", ["a", "中", "\n", "\u0e48", "\u0941", "\u3099", "\u0378", "😀"]
)
def test_letters_tones_and_white_space_are_seen(character: str) -> None:
    assert not is_unseen(character)


def test_the_placeholder_stands_alone_or_not_at_all() -> None:
    table = Folding()
    for point in range(0, sys.maxunicode, 7):
        folded = table[point]
        assert folded
        assert DROPPED not in folded or folded == DROPPED


def test_folding_twice_is_folding_once() -> None:
    table = Folding()
    for point in range(0, 0x30000, 3):
        folded = table[point].replace(DROPPED, "")
        assert folded.translate(table) == folded


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MAX_ENTRIES", 10)
    table = Folding()
    folded = "".join(map(chr, range(0x4E00, 0x4F00))).translate(table)
    assert len(table) == 10
    assert len(folded) == 0x100
