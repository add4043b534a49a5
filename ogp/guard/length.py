"""An estimate of how many tokens a prompt has; no tokenizer is asked."""

from collections.abc import Mapping
from typing import Literal

from ogp.guard.base import Finding, View, ViewKind, identity_of

CHARS_PER_TOKEN = 4
"""Common for English prose; other languages and code have fewer characters per token."""


class TokenLimitScanner:
    """Hits texts of more than `limit` estimated tokens."""

    name = "token_limit"
    reads = (ViewKind.RAW,)
    hold_chars = 1

    def __init__(self, limit: int, action: Literal["block", "flag"] = "block") -> None:
        self._limit, self._action = limit, action
        self._identity = identity_of(self.name, limit, CHARS_PER_TOKEN, action)

    def scan(self, view: View) -> Finding | None:
        """Compare the estimate, rounded up, with the limit."""
        if -(-len(view.text) // CHARS_PER_TOKEN) > self._limit:
            return Finding("estimated tokens", blocks=self._action == "block")
        return None

    def settled(self, view: View) -> int:
        """Everything: it looks at whole prompts only."""
        return len(view.text)

    def describe(self) -> Mapping[str, int | str]:
        """The limit, that it is compared with an estimate, and what a hit does."""
        counts = f"estimate, 1 token per {CHARS_PER_TOKEN} chars"
        return {"limit": self._limit, "counts": counts, "action": self._action}

    def identity(self) -> str:
        """The limit, and what a hit does."""
        return self._identity
