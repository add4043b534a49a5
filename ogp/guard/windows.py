"""Cuts a long text into overlapping slices that a model sees whole."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

WINDOW_TOKENS = 256
"""Special tokens included. Attention grows with the square, so 512 would cost more per token."""
OVERLAP_TOKENS = 32
"""What up to this many tokens say is whole in some window, wherever the cuts fall."""
PART_CHARS = 8192
"""How much of a text is shown to the tokenizer at once; bounds memory."""
SPARE = 16
"""The part of what a model sees that windows leave free."""
LEAST_TOKENS = 16
"""A model that sees fewer is not one for text."""


class TokenWindows:
    """Windows of one tokenizer. Thread-safe.

    Slices are cut from the text where the tokenizer's tokens begin, never put together from
    tokens: what a tokenizer drops or replaces is still in a slice. Two neighbours share
    `OVERLAP_TOKENS`, or a quarter of a smaller window.
    """

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        """Take a `tokenizers.Tokenizer` for itself: its truncation and padding are turned off.

        Both are state that each call would change, and a changed tokenizer cannot be shared.

        Args:
            max_tokens: most the model sees at once, special tokens included.

        Raises:
            ValueError: the model sees too few tokens.
        """
        if max_tokens < LEAST_TOKENS:
            raise ValueError(f"the model sees {max_tokens} tokens, fewer than {LEAST_TOKENS}")
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        special = tokenizer.num_special_tokens_to_add(False)
        self._room = max_tokens - special
        spare = max_tokens // SPARE  # cut out of its text, a slice can have a few tokens more
        self._size = min(WINDOW_TOKENS, max_tokens - spare) - special

    def encode(self, window: str) -> Any:
        """The `tokenizers.Encoding` of one window, special tokens included."""
        return self._tokenizer.encode(window)

    def cut(self, text: str) -> Sequence[str]:
        """The slices in order: one, the text itself, if it fits; none if it has no tokens."""
        if not text.strip():
            return ()
        return tuple(self._slices(text, self._size))

    def _slices(self, text: str, size: int) -> Iterator[str]:
        """Slices of at most `size` tokens.

        Part by part, as one character can become 18 tokens. The last window of a part is the first
        of the next one: only the end of the text ends a window that is not full.
        """
        begin, reach = 0, PART_CHARS
        while True:
            part = text[begin : begin + reach]
            starts = self._starts(part)
            spans = list(_spans(starts, size))
            is_last = begin + reach >= len(text)
            if not is_last and len(spans) < 2:
                reach *= 2  # hardly any tokens in it
                continue
            rest = None if is_last else spans.pop()[0]
            for first, last in spans:
                start = starts[first] if first else 0
                end = starts[last] if last < len(starts) else len(part)
                if start < end:
                    yield from self._fitting(part[start:end], size)
            if rest is None:
                if begin and not starts:  # it had tokens beside what went before
                    yield part
                return
            begin, reach = begin + starts[rest], PART_CHARS

    def _fitting(self, piece: str, size: int) -> Iterator[str]:
        """The piece, or parts of it: alone it can have more tokens than it had in its text."""
        if size > 1 and len(piece) > 1 and len(self._starts(piece)) > self._room:
            yield from self._slices(piece, size // 2)
        else:
            yield piece

    def _starts(self, text: str) -> list[int]:
        """Where each token begins, in characters, never going back."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return list(accumulate((start for start, _ in encoding.offsets), max))


def _spans(starts: Sequence[int], size: int) -> Iterator[tuple[int, int]]:
    """First token and the one after the last of each window; characters stay whole."""
    overlap = min(OVERLAP_TOKENS, size // 4)
    first = 0
    while first + size < len(starts):
        last = bisect_left(starts, starts[first + size])
        if last <= first:  # one character of more than `size` tokens
            last = bisect_right(starts, starts[first])
        yield first, last
        back = bisect_left(starts, starts[last - overlap]) if 0 < overlap < last else first
        first = back if back > first else last
    if first < len(starts):
        yield first, len(starts)
