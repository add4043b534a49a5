"""Cuts NDJSON streams and single documents into pieces, and finds the line with the token usage."""

from collections.abc import Callable, Iterator

from ogp.core.errors import UpstreamError
from ogp.core.types import AnswerEvent, Usage

MAX_LINE_BYTES = 16 * 1024 * 1024
"""Longest line that is held; Ollama's longest carry one picture."""

FindUsage = Callable[[bytes], Usage | None]
"""Takes one whole document. Called for the few that may have counts in them."""


def cut_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield each line as soon as it is complete, with its newline; a partial last one at the end.

    Raises:
        UpstreamError: a line is longer than `MAX_LINE_BYTES`.
    """
    held: list[bytes] = []
    held_bytes = 0
    for chunk in chunks:
        *complete, rest = chunk.split(b"\n")
        for line in complete:
            if held:
                line = b"".join((*held, line))
                held.clear()
                held_bytes = 0
            yield line + b"\n"
        if rest:
            held.append(rest)
            held_bytes += len(rest)
            if held_bytes > MAX_LINE_BYTES:
                raise UpstreamError(
                    f"The upstream sent a line of more than {MAX_LINE_BYTES} bytes."
                )
    if held:
        yield b"".join(held)


def join_document(chunks: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield an answer that is one document in one piece; nothing for an empty answer.

    Raises:
        UpstreamError: it is longer than `max_bytes`.
    """
    document = bytearray()
    for chunk in chunks:
        document += chunk
        if len(document) > max_bytes:
            raise UpstreamError(f"The upstream sent a document of more than {max_bytes} bytes.")
    if document:
        yield bytes(document)


def pass_lines(chunks: Iterator[bytes], find_usage: FindUsage) -> Iterator[AnswerEvent]:
    """Pass a stream chunk by chunk; the chunk that ends the line with the counts carries them."""
    held = bytearray()  # the line that is not complete yet; not kept beyond MAX_LINE_BYTES
    for chunk in chunks:
        last = chunk[chunk.rfind(b"\n", 0, -1) + 1 :]  # from the last line break but a final one
        if len(last) < len(chunk):
            held.clear()
        usage = None
        if chunk.endswith(b"\n"):
            line = bytes(held) + last if held else last
            held.clear()
            if b"eval_count" in line:
                usage = find_usage(line)
        elif len(held) <= MAX_LINE_BYTES:
            held += last
        yield AnswerEvent(chunk, usage=usage)


def pass_document(
    chunks: Iterator[bytes], find_usage: FindUsage, mark: bytes = b"eval_count"
) -> Iterator[AnswerEvent]:
    """Pass a document chunk by chunk, one chunk late: the last one carries the counts.

    The counts of a document of more than `MAX_LINE_BYTES` are not looked for.

    Args:
        chunks: the document.
        find_usage: reads the counts.
        mark: what stands in every document with counts.
    """
    document = bytearray()
    waiting: bytes | None = None
    for chunk in chunks:
        if waiting is not None:
            yield AnswerEvent(waiting)
        waiting = chunk
        if len(document) <= MAX_LINE_BYTES:
            document += chunk
    if waiting is not None:
        has_counts = len(document) <= MAX_LINE_BYTES and mark in document
        yield AnswerEvent(waiting, usage=find_usage(bytes(document)) if has_counts else None)
