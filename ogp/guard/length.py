"""An estimate of how many tokens a prompt has; no tokenizer is asked."""

from collections.abc import Mapping

from ogp.guard.base import Finding, View, ViewKind, identity_of

CHARS_PER_TOKEN = 4
"""Common for English prose; other languages and code have fewer characters per token."""


class TokenLimitScanner:
    """Refuses texts of more than `limit` estimated tokens."""

    name = "token_limit"
    reads = (ViewKind.RAW,)
    hold_chars = 1

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._identity = identity_of(self.name, limit, CHARS_PER_TOKEN)

    def scan(self, view: View) -> Finding | None:
        """Compare the estimate, rounded up, with the limit."""
        if -(-len(view.text) // CHARS_PER_TOKEN) > self._limit:
            return Finding("estimated tokens")
        return None

    def settled(self, view: View) -> int:
        """Everything: it looks at whole prompts only."""
        return len(view.text)

    def describe(self) -> Mapping[str, int | str]:
        """The limit, and that it is compared with an estimate."""
        return {"limit": self._limit, "counts": f"estimate, 1 token per {CHARS_PER_TOKEN} chars"}

    def identity(self) -> str:
        """The limit."""
        return self._identity
