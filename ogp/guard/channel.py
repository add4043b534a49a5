"""The growing end of one text of an answer: what may still matter of it, in both views."""

from collections.abc import Sequence
from dataclasses import dataclass

from ogp.guard.base import Scanner, View, ViewKind
from ogp.guard.normalise import Normaliser, NormalStream


class Window:
    """The end of a text in one view. Positions before `start` are context of scanned matches."""

    def __init__(self, kind: ViewKind, context_chars: int) -> None:
        self.kind = kind
        self.text = ""
        self.start = 0
        self.total_chars = 0
        """All that ever came, what was forgotten included."""
        self._context_chars = context_chars

    @property
    def settled_chars(self) -> int:
        """How much of all that came can be part of no match that is yet to be found."""
        return self.total_chars - self.unsettled_chars

    @property
    def unsettled_chars(self) -> int:
        """How much must be looked at again when more has come."""
        return len(self.text) - self.start

    def append(self, text: str) -> None:
        """Let it grow."""
        self.text += text
        self.total_chars += len(text)

    def settle(self, position: int) -> None:
        """No match begins before `position`; what only gave context to it is forgotten."""
        cut = max(0, position - self._context_chars)
        self.text, self.start = self.text[cut:], position - cut


@dataclass(frozen=True, slots=True)
class Mark:
    """The end of one event's text in its channel, counted in both views."""

    channel: "Channel"
    raw_chars: int
    normal_chars: int
    """At most; what the normaliser has not decided yet is counted in full."""

    @property
    def is_passed(self) -> bool:
        """Whether everything before it has been cleared."""
        return self.channel.clears(self)


class Channel:
    """One text that comes in pieces. For one thread."""

    def __init__(
        self, scanners: Sequence[Scanner], normaliser: Normaliser | None, prompt: str
    ) -> None:
        """Begin empty.

        Args:
            scanners: what will look at it; decides how much is held and kept as context.
            normaliser: None where no scanner reads the normalised view.
            prompt: shown to scanners along with the text.
        """
        self._scanners, self._prompt = scanners, prompt
        context_chars = max((scanner.hold_chars for scanner in scanners), default=0) + 1
        self._raw = Window(ViewKind.RAW, context_chars)
        self._normal = Window(ViewKind.NORMALISED, context_chars)
        self._stream = NormalStream(normaliser) if normaliser else None
        self._freed_chars = 0  # of the raw text, whatever its settled part
        self.fresh_chars = 0
        """What came since the last scan."""
        self.grown_at = 0
        """When it last grew, on a clock that its owner keeps."""

    @property
    def is_padded(self) -> bool:
        """It holds more unseen characters in a row than can be held back."""
        return self._stream is not None and self._stream.is_padded

    @property
    def unsettled_chars(self) -> int:
        """How much the next scan looks at."""
        return max(self._raw.unsettled_chars, self._normal.unsettled_chars)

    def append(self, text: str) -> Mark:
        """Let it grow, and remember where it ended."""
        self._raw.append(text)
        pending = 0
        if self._stream:
            self._normal.append(self._stream.feed(text))
            pending = self._stream.pending
        self.fresh_chars += len(text)
        return Mark(self, self._raw.total_chars, self._normal.total_chars + pending)

    def views(self, *, ended: bool) -> list[View]:
        """What to scan: the growing text, or the text as if nothing followed."""
        windows = [(self._raw, "")]
        if self._stream:
            windows.append((self._normal, self._stream.rest() if ended else ""))
        return [
            View(window.text + rest, window.kind, window.start, not ended, self._prompt)
            for window, rest in windows
        ]

    def settle(self, views: Sequence[View]) -> None:
        """All scanners passed these views of the growing text."""
        self.fresh_chars = 0
        for view in views:
            readers = [scanner for scanner in self._scanners if view.kind in scanner.reads]
            position = min((scanner.settled(view) for scanner in readers), default=len(view.text))
            (self._raw if view.kind is ViewKind.RAW else self._normal).settle(position)

    def free(self) -> None:
        """Clear all that came so far, although a match may have begun in it; it stays context."""
        self._freed_chars = self._raw.total_chars

    def clears(self, mark: Mark) -> bool:
        """Whether everything before the mark may be passed on."""
        if mark.raw_chars <= self._freed_chars:
            return True
        return mark.raw_chars <= self._raw.settled_chars and (
            self._stream is None or mark.normal_chars <= self._normal.settled_chars
        )
