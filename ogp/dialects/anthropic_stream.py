"""Reads the text out of Anthropic's answers, and writes other text in its place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ogp.core.errors import UpstreamError
from ogp.core.types import AnswerEvent, Usage
from ogp.dialects.answers import RAW, Texts, read_texts
from ogp.dialects.anthropic_answers import (
    ANSWER,
    EVENT_TYPES,
    counts_in,
    holds_input,
    later,
    tell_apart,
)
from ogp.dialects.json_pieces import Piece, cut_pieces, joined
from ogp.dialects.rewriting import rewrite_answer
from ogp.dialects.sse import SseEvent, cut_events, read_event, write_event

MAX_CUT_EVENTS = 100
"""Most events between the two halves of an escape."""


@dataclass(frozen=True, slots=True)
class InputEvent(AnswerEvent):
    """An event with JSON that comes in pieces, or the few events that one escape is cut over."""

    inside: frozenset[str] = frozenset()
    """Channels whose JSON was inside a string when the event began."""


class AnswerReader:
    """Reads one answer. For one thread: it keeps what later events continue.

    Events of the answer become one each, but where an escape in the input of a tool is cut in two:
    the events up to its end are then one, as neither half can be read or changed alone.
    """

    def __init__(self) -> None:
        self._usage = Usage()
        self._inside: frozenset[str] = frozenset()

    def read(self, pieces: Iterator[bytes]) -> Iterator[AnswerEvent]:
        """Read an answer, a stream or a document.

        Args:
            pieces: single events, or the whole document.

        Raises:
            UpstreamError: an escape does not end within `MAX_CUT_EVENTS`.
        """
        held: list[bytes] = []
        for piece in pieces:
            held.append(piece)
            reading = _Reading(b"".join(held), self._inside)
            if not reading.is_open:
                held.clear()
                yield self._event(reading)
            elif len(held) > MAX_CUT_EVENTS:
                raise UpstreamError("The upstream sent half an escape in the input of a tool.")
        if held:
            yield self._event(_Reading(b"".join(held), self._inside))

    def _event(self, reading: "_Reading") -> AnswerEvent:
        usage = None
        if reading.usage is not None:
            usage = self._usage = later(self._usage, reading.usage)
        before, self._inside = self._inside, reading.inside
        if reading.pieces:
            return InputEvent(reading.raw, reading.texts, usage, before)
        return AnswerEvent(reading.raw, reading.texts, usage)


def with_texts(event: AnswerEvent, texts: Sequence[tuple[str, str]]) -> AnswerEvent:
    """The event with other texts; see `TextRewriter.with_answer_texts`.

    Raises:
        ValueError: there are more or fewer texts, or two keys of an object become one.
    """
    if len(texts) != len(event.texts):
        raise ValueError(f"{len(event.texts)} texts stand in the event, not {len(texts)}")
    if tuple(texts) == event.texts:
        return event
    inside = event.inside if isinstance(event, InputEvent) else frozenset()
    raw = _Reading(event.raw, inside).written(text for _, text in texts)
    return replace(event, raw=raw, texts=_Reading(raw, inside).texts)


class _Reading:
    """What stands in one event, or in a few that belong together."""

    def __init__(self, raw: bytes, inside: frozenset[str]) -> None:
        self.raw = raw
        self._parts = [_Part(part) for part in _parts(raw)]
        self.usage = next((part.usage for part in reversed(self._parts) if part.usage), None)
        self.pieces: dict[str, list[Piece]] = {}
        self.is_open = False
        after = set(inside)
        for channel, text in self._input().items():
            pieces, ends_inside, is_open = cut_pieces(text, inside=channel in inside)
            self.pieces[channel] = pieces
            self.is_open |= is_open
            (after.add if ends_inside else after.discard)(channel)
        self.inside = frozenset(after)

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """(channel, text) pairs; of a channel's input one for each piece of all its events."""
        texts: Texts = []
        pending = dict(self.pieces)
        for part in self._parts:
            for channel, text in part.texts:
                if holds_input(channel):
                    texts += [(channel, piece.text) for piece in pending.pop(channel, ())]
                else:
                    texts.append((channel, text))
        return tuple(texts)

    def written(self, texts: Iterator[str]) -> bytes:
        """The bytes with other texts; one for each of `self.texts` is taken."""
        pending = dict(self.pieces)
        raw = bytearray()
        for part in self._parts:
            # Input that is cut over several events goes into the first of them.
            new = [
                joined(pending.pop(channel, ()), texts) if holds_input(channel) else next(texts)
                for channel, _ in part.texts
            ]
            raw += part.written(new)
        return bytes(raw)

    def _input(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for part in self._parts:
            for channel, text in part.texts:
                if holds_input(channel):
                    found[channel] = found.get(channel, "") + text
        return found


def _parts(raw: bytes) -> Iterator[bytes]:
    return iter((raw,)) if _looks_like_document(raw) else cut_events(iter((raw,)))


def _looks_like_document(raw: bytes) -> bool:
    return raw.lstrip()[:1] in (b"{", b"[")


class _Part:
    """One event, or a document."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        document: Any = None
        self._event: SseEvent | None = None
        self._passed_over: Texts = []
        if _looks_like_document(raw):
            self.texts, document = read_texts(raw, ANSWER)
        if document is None:
            self._event = read_event(raw)
            self.texts, document = self._read(self._event)
        self._has_document = document is not None
        self.texts = tell_apart(self.texts, document)
        self.usage = counts_in(document)

    def written(self, new: Sequence[str]) -> bytes:
        """The bytes with other texts, one for each of `self.texts`."""
        changed = [(channel, text) for (channel, _), text in zip(self.texts, new, strict=True)]
        if changed == self.texts:
            return self._raw
        if self._event is None:
            return rewrite_answer(self._raw, self.texts, changed, ANSWER)
        event, kept = self._event, len(self._passed_over)
        # What clients pass over goes rather than changes.
        name = event.name if changed[:kept] == self._passed_over or _is_known(event) else None
        rest = event.rest if changed[:kept] == self._passed_over else b""
        if event.data is None:
            return rest + write_event(name, b"")
        if self._has_document:
            data = rewrite_answer(event.data, self.texts[kept:], changed[kept:], ANSWER)
        else:
            data = "".join(text for _, text in changed[kept:]).encode()
        return rest + write_event(name, data)

    def _read(self, event: SseEvent) -> tuple[Texts, Any]:
        if not _is_known(event):
            self._passed_over.append((RAW, event.name or ""))
        if event.rest:
            self._passed_over.append((RAW, event.rest.decode("utf-8", "replace")))
        texts: Texts = []
        document: Any = None
        if event.data and not event.data.isspace():
            texts, document = read_texts(event.data, ANSWER)
        return [*self._passed_over, *texts], document


def _is_known(event: SseEvent) -> bool:
    return not event.name or event.name in EVENT_TYPES
