"""Answers that leave without what scanners hit in them, or with the client's own words again."""

import json
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ogp.core.ports import TextRewriter
from ogp.core.types import AnswerEvent
from ogp.guard.base import Redactor, Span, View
from ogp.guard.edits import Edit, clusters_of, redacted
from ogp.guard.hold import MAX_CHANNELS, MAX_HELD_BYTES, SCANS_PER_CHAR, TURN_CHARS
from ogp.guard.redaction import spans_of
from ogp.guard.vault import Placeholders

ARRAY_BEGINNINGS = frozenset('["{-0123456789tfn]')
"""What can follow the bracket of a JSON list; placeholders begin otherwise."""


class Editor(Protocol):
    """Decides what is replaced in one text that comes in pieces. For one thread."""

    def append(self, text: str) -> None:
        """Let the text grow."""
        ...

    def next_value(self) -> None:
        """What follows is another value, as arguments of tool calls are."""
        ...

    def decide(self, *, ended: bool) -> tuple[Sequence[Edit], int]:
        """New edits in their order, and the position before which nothing more will change.

        Args:
            ended: decide all that came, as if nothing followed.
        """
        ...


class RedactingEditor:
    """Takes out what redactors hit."""

    def __init__(
        self, redactors: Sequence[Redactor], window_chars: int, taken_out: Counter[str]
    ) -> None:
        """Begin empty.

        Args:
            redactors: say what goes.
            window_chars: most characters that are gathered before they are looked at.
            taken_out: counts pieces by scanner.
        """
        self._redactors, self._window_chars = redactors, window_chars
        self._taken_out = taken_out
        self._context_chars = max(redactor.hold_chars for redactor in redactors) + 1
        self._text = ""
        self._offset = 0  # of the text that is kept
        self._settled = 0  # nothing that is yet to be found begins before it
        self._covered = -1  # behind all that was taken out
        self._fresh_chars = 0
        self._found: set[tuple[Span, str]] = set()  # beginning at or behind `_settled`

    def append(self, text: str) -> None:
        """Let it grow."""
        self._text += text
        self._fresh_chars += len(text)

    def next_value(self) -> None:
        """All values of a channel are looked at as one text."""

    def decide(self, *, ended: bool) -> tuple[Sequence[Edit], int]:
        """Look when enough has come, see `SCANS_PER_CHAR`."""
        known = self._offset + len(self._text) - self._settled - self._fresh_chars
        due = min(self._window_chars, max(1, known // SCANS_PER_CHAR))
        if not ended and self._fresh_chars < due:
            return (), max(self._settled, self._covered)
        self._fresh_chars = 0
        view = View(self._text, start=self._settled - self._offset, open=not ended)
        for redactor in self._redactors:
            for span in spans_of(redactor, view):
                start, end = span.start + self._offset, span.end + self._offset
                self._found.add((Span(start, end, span.label), redactor.name))
        settled = min(redactor.settled(view) for redactor in self._redactors)
        self._settled = self._offset + settled
        edits = self._edits()
        cut = max(0, settled - self._context_chars)
        self._text, self._offset = self._text[cut:], self._offset + cut
        return edits, max(self._settled, self._covered)

    def _edits(self) -> list[Edit]:
        certain = {found for found in self._found if found[0].start < self._settled}
        self._found -= certain
        edits = []
        for cluster in clusters_of(certain):
            span, owner = cluster.spans[0]
            if cluster.start > self._covered or (cluster.start == self._covered and span.label):
                edits.append(Edit(cluster.start, cluster.end, redacted(span), owner))
                self._taken_out[owner] += 1
            elif cluster.end > self._covered:  # goes along with what it overlaps
                edits.append(Edit(self._covered, cluster.end, "", owner))
            self._covered = max(self._covered, cluster.end)
        return edits


class RestoringEditor:
    """Puts words back where their placeholders stand.

    In a text that is JSON they are put back as JSON spells them, since a quotation mark would end
    the string that it stands in.
    """

    def __init__(self, placeholders: Placeholders) -> None:
        self._placeholders = placeholders
        self._text = ""
        self._offset = 0
        self._head = ""  # of the value: the first two characters that are not white space
        self._edits: list[Edit] = []

    def append(self, text: str) -> None:
        """Let it grow; what is whole now is found."""
        self._text += text
        if len(self._head) < 2:
            self._head = "".join((self._head + text).split())[:2]
        self._edits += [
            Edit(self._offset + start, self._offset + end, self._spelled(word), "")
            for start, end, word in self._placeholders.find(self._text)
        ]
        done = self._placeholders.cut_off(self._text)
        self._text, self._offset = self._text[done:], self._offset + done

    def next_value(self) -> None:
        """The next value may be JSON although this one was not."""
        self._head = ""

    def decide(self, *, ended: bool) -> tuple[Sequence[Edit], int]:
        """Wait only for the end of a placeholder that has begun."""
        if ended:
            self._text, self._offset = "", self._offset + len(self._text)
        edits, self._edits = self._edits, []
        return edits, self._offset

    def _spelled(self, word: str) -> str:
        is_list = self._head[:1] == "[" and self._head[1:] in ARRAY_BEGINNINGS
        if self._head[:1] == "{" or is_list:
            return json.dumps(word, ensure_ascii=False)[1:-1]
        return word


@dataclass(slots=True)
class _Piece:
    """The text of one event in its channel."""

    channel: "_Channel"
    text: str
    start: int
    is_decided: bool = False
    owner: str | None = None
    """Whose edit changed it; None where nothing did."""


class _Channel:
    """One text, the pieces in which it came, and the edits that fall on them."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor
        self._pieces: deque[_Piece] = deque()  # those that are not decided
        self._edits: deque[Edit] = deque()  # those that may fall on them
        self._length = 0
        self.grown_at = 0

    def append(self, text: str, *, ends_value: bool) -> _Piece:
        piece = _Piece(self, text, self._length)
        self._editor.append(text)
        self._length += len(text)
        self._pieces.append(piece)
        if ends_value:
            self._editor.next_value()
        return piece

    def decide(self, *, ended: bool) -> None:
        edits, position = self._editor.decide(ended=ended)
        self._edits.extend(edits)
        while self._pieces and self._pieces[0].start + len(self._pieces[0].text) <= position:
            self._apply(self._pieces.popleft())

    def _apply(self, piece: _Piece) -> None:
        """A replacement stands where its piece begins; what else it covers is gone."""
        text, end = piece.text, piece.start + len(piece.text)
        kept = []
        done = 0
        while self._edits and self._edits[0].start < end:
            edit = self._edits[0]
            piece.owner = edit.owner
            if edit.start >= piece.start:
                kept += [text[done : edit.start - piece.start], edit.replacement]
            done = min(edit.end, end) - piece.start
            if edit.end > end:
                break
            self._edits.popleft()
        if piece.owner is not None:
            piece.text = "".join((*kept, text[done:]))
        piece.is_decided = True


@dataclass(frozen=True, slots=True)
class _Held:
    event: AnswerEvent
    pieces: tuple[_Piece | None, ...]
    """One for each of the event's texts; None for those that are left alone."""


class AnswerRewriter:
    """Changes the texts of one answer on its way. For one thread.

    Events leave in their order, those without a change as they came. A text that stopped growing
    while others go on does not hold them, nor does a flood of events without text: it is decided
    as if it had ended, see `HeldAnswer`.
    """

    def __init__(
        self,
        make_editor: Callable[[], Editor],
        rewriter: TextRewriter,
        unchangeable: Callable[[AnswerEvent, str], AnswerEvent],
        *,
        streamed: bool,
        patience_chars: int,
    ) -> None:
        """Begin empty.

        Args:
            make_editor: one for each channel.
            rewriter: the dialect of the answer.
            unchangeable: takes an event that the dialect cannot change, and the scanner whose hit
                it holds; gives what leaves in its place, or raises.
            streamed: false holds everything to the end.
            patience_chars: how much other texts may grow while one is waited for.
        """
        self._make_editor, self._rewriter = make_editor, rewriter
        self._unchangeable = unchangeable
        self._streamed, self._patience_chars = streamed, patience_chars
        self._channels: dict[str, _Channel] = {}
        self._held: deque[_Held] = deque()
        self._held_bytes = 0
        self._grown_chars = 0

    def push(self, event: AnswerEvent) -> list[AnswerEvent]:
        """Take an event; what may leave now."""
        pieces = []
        before = ""
        for name, text in event.texts:
            pieces.append(self._append(name, text, ends_value=text == "\n" and name == before))
            before = name
        self._held.append(_Held(event, tuple(pieces)))
        self._held_bytes += len(event.raw)
        if not self._streamed:
            return []
        passed = self._passed()
        while self._is_stuck():
            for channel in self._waited_for():
                channel.decide(ended=True)
            passed += self._passed()
        return passed

    def finish(self) -> list[AnswerEvent]:
        """Nothing follows."""
        for channel in self._channels.values():
            channel.decide(ended=True)
        return self._passed()

    def _append(self, name: str, text: str, *, ends_value: bool) -> _Piece | None:
        if not text:
            return None
        channel = self._channels.get(name)
        if channel is None:
            if len(self._channels) == MAX_CHANNELS:
                return None  # the scan refuses so many
            channel = self._channels[name] = _Channel(self._make_editor())
        self._grown_chars += len(text)
        channel.grown_at = self._grown_chars
        piece = channel.append(text, ends_value=ends_value)
        if self._streamed:
            channel.decide(ended=False)
        return piece

    def _passed(self) -> list[AnswerEvent]:
        passed = []
        while self._held and not self._waited_for():
            held = self._held.popleft()
            self._held_bytes -= len(held.event.raw)
            passed.append(self._changed(held))
        return passed

    def _changed(self, held: _Held) -> AnswerEvent:
        owner = next((piece.owner for piece in held.pieces if piece and piece.owner), "")
        if all(piece is None or piece.owner is None for piece in held.pieces):
            return held.event
        texts = [
            (name, piece.text if piece else text)
            for (name, text), piece in zip(held.event.texts, held.pieces, strict=True)
        ]
        try:
            return self._rewriter.with_answer_texts(held.event, texts)
        except ValueError:
            return self._unchangeable(held.event, owner)

    def _waited_for(self) -> list[_Channel]:
        """The texts of the first held event that are not decided."""
        return [piece.channel for piece in self._held[0].pieces if piece and not piece.is_decided]

    def _is_stuck(self) -> bool:
        """Whether the first held event waits for a text that does not grow, or too many wait."""
        if len(self._held) < 2:
            return False
        if self._held_bytes - len(self._held[0].event.raw) > MAX_HELD_BYTES:
            return True
        grown_at = min(channel.grown_at for channel in self._waited_for())
        patience_chars = self._patience_chars + TURN_CHARS * len(self._channels)
        return self._grown_chars - grown_at > patience_chars
