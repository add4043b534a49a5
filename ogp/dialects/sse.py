"""Server-sent events: cut from streams, read, written, and watched for the token usage."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ogp.core.errors import UpstreamError
from ogp.core.types import AnswerEvent, Usage

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""Longest event that is held; the last one of a response repeats the whole answer."""

FindUsage = Callable[[bytes], Usage | None]
"""Takes the JSON of one event. Called for the few that may have counts in them."""

# Atomic: "\r\n" is one line break, never two.
_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LONGEST_END_BYTES = 4
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event as a client reads it."""

    name: str | None = None
    """What `event:` said."""
    data: bytes | None = None
    """What the `data:` lines said, joined with line breaks; None where there was none."""
    rest: bytes = b""
    """Comments and all other lines, which clients ignore, each with a line break."""


class _Cutter:
    """Gathers bytes until an event is whole."""

    def __init__(self) -> None:
        self.held = bytearray()

    def push(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the events that the chunk completes."""
        seen = max(0, len(self.held) - _LONGEST_END_BYTES + 1)
        self.held += chunk
        while end := self._end(seen):
            event = bytes(self.held[:end])
            del self.held[:end]
            seen = 0
            yield event

    def _end(self, seen: int) -> int:
        """Length of the first event; 0 where it is not whole yet."""
        found = _END.search(self.held, seen)
        if found is None:
            return 0
        end = found.end()
        if end == len(self.held) and self.held.endswith(b"\r"):
            return 0  # half of "\r\n" perhaps
        return end


def cut_events(chunks: Iterator[bytes]) -> Iterator[bytes]:
    r"""Yield each event as soon as it is whole, with its blank line; a partial last one at the end.

    Lines end with `\n`, `\r\n` or `\r`, as clients take them. Blank lines alone are events too.

    Raises:
        UpstreamError: an event is longer than `MAX_EVENT_BYTES`.
    """
    cutter = _Cutter()
    for chunk in chunks:
        yield from cutter.push(chunk)
        if len(cutter.held) > MAX_EVENT_BYTES:
            raise UpstreamError(f"The upstream sent an event of more than {MAX_EVENT_BYTES} bytes.")
    if cutter.held:
        yield bytes(cutter.held)


def read_event(raw: bytes) -> SseEvent:
    """Read one event as the standard says; a partial one as if its blank line had come."""
    name: str | None = None
    values: list[bytes] = []
    rest: list[bytes] = []
    for line in raw.removeprefix(_BYTE_ORDER_MARK).splitlines():
        field, _, value = line.partition(b":")
        if field == b"data":
            values.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ").decode("utf-8", "replace")
        elif line:
            rest.append(line + b"\n")
    return SseEvent(name, b"\n".join(values) if values else None, b"".join(rest))


def write_event(name: str | None, data: bytes) -> bytes:
    """One whole event; data of several lines becomes several `data:` lines."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    lines = data.splitlines() or [b""]
    return head + b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"


def with_data(raw: bytes, data: bytes) -> bytes:
    """The event with other data; its other lines stay, each ended with one line feed."""
    lines = raw.removeprefix(_BYTE_ORDER_MARK).splitlines()
    kept = (line for line in lines if line and line.partition(b":")[0] != b"data")
    return b"".join(line + b"\n" for line in kept) + write_event(None, data)


def pass_events(chunks: Iterator[bytes], find_usage: FindUsage) -> Iterator[AnswerEvent]:
    """Pass a stream chunk by chunk; the chunk that ends the event with the counts carries them.

    The counts of an event of more than `MAX_EVENT_BYTES` are not looked for.
    """
    cutter = _Cutter()
    for chunk in chunks:
        usage: Usage | None = None
        for raw in cutter.push(chunk):
            if b"_tokens" in raw:
                data = read_event(raw).data
                usage = (find_usage(data) if data else None) or usage
        if len(cutter.held) > MAX_EVENT_BYTES:
            cutter.held.clear()
        yield AnswerEvent(chunk, usage=usage)
