"""Reads the text out of answers that are server-sent events or one document, and changes it."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ogp.core.errors import UpstreamError
from ogp.core.types import AnswerEvent, Usage
from ogp.dialects.answers import RAW, AnswerShape, Texts, decode_answer, read_texts
from ogp.dialects.json_pieces import Piece, cut_pieces, joined
from ogp.dialects.rewriting import rewrite_answer
from ogp.dialects.sse import SseEvent, cut_events, read_event, with_data

DONE = b"[DONE]"
"""Data of the last event of OpenAI's older streams."""
MAX_CUT_EVENTS = 100
"""Most events between the two halves of an escape."""
_NUMBER = re.compile(r"\[-?\d+\]")

FindCounts = Callable[[Any], Usage | None]
"""Takes a decoded document."""


def no_prefix(_document: Any) -> str:
    """Channels are told apart by their paths alone."""
    return ""


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How a dialect's answers are read."""

    shape: AnswerShape
    """Where texts stand in a document. Those under `arguments` are JSON inside a string, and read
    as clients do who decode it."""
    counts: FindCounts
    """Finds the token usage."""
    prefix: Callable[[Any], str] = no_prefix
    """Takes a decoded event and names the text it continues, where paths do not tell."""
    stale: frozenset[str] = frozenset()
    """Paths of what tells a text in other words (tokens, bytes), and goes when the text changes."""


@dataclass(frozen=True, slots=True)
class ReadEvent(AnswerEvent):
    """An event as `AnswerReader` gives it, or the few that one escape is cut over."""

    streamed: bool = True
    inside: frozenset[str] = frozenset()
    """Channels whose JSON was inside a string when the event began."""


class AnswerReader:
    """Reads one answer. For one thread: it keeps what later events continue.

    Events become one each, but where an escape in tool arguments is cut in two: the events up to
    its end are then one, as neither half can be read or changed alone.
    """

    def __init__(self, form: AnswerForm) -> None:
        self._form = form
        self._inside: frozenset[str] = frozenset()

    def read(self, pieces: Iterator[bytes], *, streamed: bool) -> Iterator[AnswerEvent]:
        """Read an answer.

        Args:
            pieces: single events, or the whole document.
            streamed: they are events.

        Raises:
            UpstreamError: an escape does not end within `MAX_CUT_EVENTS`.
        """
        held: list[_Part] = []
        for piece in pieces:
            part = _Part(piece, self._form, streamed=streamed)
            if not held and not part.holds_json:  # the usual case
                yield ReadEvent(piece, part.texts, part.usage, streamed, self._inside)
                continue
            held.append(part)
            reading = _Reading(held, self._inside)
            if not reading.is_open:
                held = []
                yield self._event(reading, streamed=streamed)
            elif len(held) > MAX_CUT_EVENTS:
                raise UpstreamError("The upstream sent half an escape in tool arguments.")
        if held:
            yield self._event(_Reading(held, self._inside), streamed=streamed)

    def _event(self, reading: "_Reading", *, streamed: bool) -> ReadEvent:
        before, self._inside = self._inside, reading.inside
        return ReadEvent(reading.raw, reading.texts, reading.usage, streamed, before)


def with_texts(
    event: AnswerEvent, texts: Sequence[tuple[str, str]], form: AnswerForm
) -> AnswerEvent:
    """The event with other texts; see `TextRewriter.with_answer_texts`.

    Args:
        event: one that `AnswerReader` gave.
        texts: (channel, text) pairs, one for each of the event's.
        form: the one it was read by.

    Raises:
        ValueError: it is no JSON, or has other texts.
    """
    if not isinstance(event, ReadEvent):
        raise ValueError("it was not read by this dialect")
    pieces = list(cut_events(iter([event.raw]))) if event.streamed else [event.raw]
    parts = [_Part(piece, form, streamed=event.streamed) for piece in pieces]
    reading = _Reading(parts, event.inside)
    if reading.texts != event.texts:
        raise ValueError("it holds other texts")
    raw = reading.written(texts)
    return replace(event, raw=raw, texts=tuple(texts))


@dataclass(slots=True)
class _Slot:
    """One text of a document."""

    channel: str
    text: str
    pieces: list[Piece] | None = None
    """Of JSON: what stands inside strings and between them. None for other texts."""

    def pairs(self) -> Texts:
        if self.pieces is None:
            return [(self.channel, self.text)]
        return [(self.channel, piece.text) for piece in self.pieces]

    def written(self, texts: Iterator[str]) -> str:
        return next(texts) if self.pieces is None else joined(self.pieces, texts)


class _Reading:
    """What stands in one event, or in the few that belong together."""

    def __init__(self, parts: Sequence["_Part"], inside: frozenset[str]) -> None:
        self._parts = parts
        self.raw = b"".join([part.raw for part in parts])
        self.usage = next((part.usage for part in reversed(parts) if part.usage), None)
        self.is_open = False
        self.inside = inside
        growing: dict[str, list[_Slot]] = {}
        for part in parts:
            part.lay_out()
            for slot in part.growing:
                growing.setdefault(slot.channel, []).append(slot)
        for channel, slots in growing.items():
            self._cut(channel, slots)
        self.texts = tuple(pair for part in parts for slot in part.slots for pair in slot.pairs())

    def written(self, texts: Sequence[tuple[str, str]]) -> bytes:
        """The bytes with other texts, one for each of `self.texts`.

        Raises:
            ValueError: a part is no JSON.
        """
        new = iter([text for _, text in texts])
        return b"".join([part.written(new) for part in self._parts])

    def _cut(self, channel: str, slots: list[_Slot]) -> None:
        """JSON that is cut over several events goes into the first of them."""
        text = "".join(slot.text for slot in slots)
        pieces, ends_inside, is_open = cut_pieces(text, inside=channel in self.inside)
        slots[0].pieces = pieces
        for slot in slots[1:]:
            slot.pieces = []
        self.is_open |= is_open
        self.inside = self.inside | {channel} if ends_inside else self.inside - {channel}


class _Part:
    """One event, or a document."""

    def __init__(self, raw: bytes, form: AnswerForm, *, streamed: bool) -> None:
        self.raw, self._form = raw, form
        event = read_event(raw) if streamed else SseEvent(None, raw)
        self._is_event = streamed and event.data is not None
        # Without data it is perhaps an error document where a stream was asked for.
        self._data = event.rest if event.data is None else event.data
        self._found: Texts = []
        self._document: Any = None
        if self._data and not self._data.isspace() and self._data.strip() != DONE:
            self._found, self._document = read_texts(self._data, form.shape)
        self.usage = form.counts(self._document)
        texts = self._found
        if prefix := form.prefix(self._document):
            texts = [(prefix + channel, text) for channel, text in texts]
        self.texts = (*texts, *_passed_over(event, form.shape))
        """(channel, text) pairs, before JSON is cut into pieces."""
        self.slots: list[_Slot] = []
        self.growing: list[_Slot] = []
        """Pieces of JSON that other events continue."""

    @property
    def holds_json(self) -> bool:
        """Whether there is JSON inside strings."""
        return self._document is not None and any("arguments" in name for name, _ in self.texts)

    def lay_out(self) -> None:
        """Fill the slots. Those held back for the next event are laid out once more with it."""
        self.slots, self.growing = [], []
        is_value = False
        paths = [_NUMBER.sub("[]", channel) for channel, _ in self._found]
        for place, (channel, text) in enumerate(self.texts):
            slot = _Slot(channel, text)
            self.slots.append(slot)
            if is_value or place >= len(paths):
                is_value = False  # the line break behind it
                continue
            is_value = paths[place] not in self._form.shape.streamed
            if "arguments" in channel and self._document is not None:
                if is_value:
                    slot.pieces = cut_pieces(text, inside=False)[0]
                else:
                    self.growing.append(slot)

    def written(self, texts: Iterator[str]) -> bytes:
        """The bytes with other texts; one for each pair of `self.slots` is taken."""
        new = [slot.written(texts) for slot in self.slots]
        if new == [slot.text for slot in self.slots]:
            return self.raw
        count = len(self._found)
        if new[count:] != [slot.text for slot in self.slots[count:]]:
            raise ValueError("what clients pass over cannot be changed")
        names = (channel for channel, _ in self._found)
        changed = list(zip(names, new[:count], strict=True))
        stale = self._form.stale
        data = rewrite_answer(self._data, self._found, changed, self._form.shape, dropped=stale)
        if (
            "logprobs" in stale
            and isinstance(self._document, dict)
            and "logprobs" in self._document
        ):
            data = data.rstrip()[:-1] + b',"logprobs":[]}'  # the official client wants a list
        return with_data(self.raw, data) if self._is_event else data


def _passed_over(event: SseEvent, shape: AnswerShape) -> Iterator[tuple[str, str]]:
    """What stands around the data of an event; clients pass over it, or should."""
    if event.rest and event.data is not None:
        yield RAW, event.rest.decode("utf-8", "replace")
    if event.name and event.name not in shape.fixed.get("type", ()):
        yield RAW, event.name


def find_in(counts: FindCounts) -> Callable[[bytes], Usage | None]:
    """Make a finder of token usage in bytes out of one in documents."""

    def find(raw: bytes) -> Usage | None:
        try:
            return counts(decode_answer(raw))
        except (ValueError, RecursionError):
            return None

    return find
