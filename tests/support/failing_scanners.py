"""Custom scanners that misbehave in the ways that real ones do."""

from threading import Event, Lock

MARKER = "zebra-7f3a-marker"
"""Planted in texts; must not be found anywhere the service writes."""
FOREVER = Event()
"""Never set."""


class Failing:
    """Raises with the text in its message, as careless code does, if the text asks for it."""

    def __init__(self, word: str = "") -> None:
        self._word = word

    def scan(self, text: str, prompt: str) -> float:
        if self._word in text:
            raise ValueError(f"cannot make sense of {text!r} and {prompt!r}")
        return 0.0


class Hanging:
    """Never comes back from a text with the word."""

    def __init__(self, word: str) -> None:
        self._word = word

    def scan(self, text: str, prompt: str) -> float:
        if self._word in text:
            FOREVER.wait()
        return 0.0


class Counting:
    """Says how many texts it has seen by refusing the ones after the first `passes`."""

    def __init__(self, passes: int) -> None:
        self._passes, self._seen, self._lock = passes, 0, Lock()

    def scan(self, text: str, prompt: str) -> float:
        with self._lock:
            self._seen += 1
            return 0.0 if self._seen <= self._passes else 1.0
