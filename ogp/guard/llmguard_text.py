"""What a scanner of llm-guard is shown: windows that its model sees whole, in a form it looks at.

Three of its scanners overlook what they should find: code between backticks, addresses that begin
with `HTTP`, all but the first of several code blocks. So those are shown their texts differently.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from ogp.guard.windows import TokenWindows

MAX_PROMPT_PARTS = 32
"""Parts of a prompt that one window of an answer is compared with."""
SHOWN_TOKENS = 8
"""Most that `SHOWN` adds to a window, as bytes: `http://`."""
URL = re.compile(r"https?://[$-_a-z!]+", re.IGNORECASE | re.ASCII)
"""The characters of llm-guard's own pattern, with the scheme in any case."""
SCHEME = re.compile(r"https?://", re.IGNORECASE | re.ASCII)
SURROGATE = re.compile("[\ud800-\udfff]")


class TextTooLongError(Exception):
    """A text would not be seen whole."""


class Room:
    """Tokens that a model sees at once, and texts cut to fit. Thread-safe."""

    def __init__(self, copy: Callable[[], Any], limit: int, beside: int, *, shares: bool) -> None:
        """Divide the room.

        Args:
            copy: makes a `tokenizers.Tokenizer` that nobody else uses.
            limit: tokens the model sees.
            beside: tokens of it that are not of the text, e.g. special ones and a hypothesis.
            shares: prompt and text stand in it together, and get half of it each.

        Raises:
            ValueError: there is hardly room for a text.
        """
        tokenizer = copy()
        self._tokens = limit - beside
        share = self._tokens // 2 if shares else self._tokens
        self._special = tokenizer.num_special_tokens_to_add(False)
        self._windows = TokenWindows(tokenizer, share - SHOWN_TOKENS + self._special)

    def check(self, *texts: str) -> None:
        """Refuse what would be cut.

        Raises:
            TextTooLongError: the texts together do not fit.
        """
        tokens = sum(len(self._windows.encode(text)) - self._special for text in texts)
        if tokens > self._tokens:
            raise TextTooLongError

    def cut(self, text: str) -> Sequence[str]:
        """Overlapping slices of a text, every character in one of them; none of no text."""
        return self._windows.cut(readable(text))

    def prompt_parts(self, prompt: str) -> Sequence[str]:
        """Slices of a prompt to compare with, the last one first: it holds the question.

        Raises:
            TextTooLongError: there are more than `MAX_PROMPT_PARTS`.
        """
        parts = self.cut(prompt) or ("",)
        if len(parts) > MAX_PROMPT_PARTS:
            raise TextTooLongError
        return parts[::-1]


def readable(text: str) -> str:
    """Without halves of surrogate pairs, which no tokenizer takes; of the same length."""
    return SURROGATE.sub("\ufffd", text)


def addresses(text: str) -> Sequence[str]:
    """Every web address once."""
    return tuple(dict.fromkeys(URL.findall(text)))


def shown_address(window: str) -> str:
    """An address, or a later part of a long one, so that llm-guard's pattern finds it whole."""
    scheme = SCHEME.match(window)
    return scheme[0].lower() + window[scheme.end() :] if scheme else f"http://{window}"


def shown_code(window: str) -> str:
    """One code block, whatever backticks were in it."""
    return f"```\n{window.replace('`', ' ')}\n```"


def shown_to_ban_code(window: str) -> str:
    """Without marks of code and links: llm-guard drops what stands between them unseen."""
    return window.replace("`", " ").replace("](", "] (")


SHOWN: dict[str, Callable[[str], str]] = {
    "malicious_urls": shown_address,
    "code": shown_code,
    "ban_code": shown_to_ban_code,
}
"""How a window is changed before a scanner looks at it; others see it as it is."""
