"""An answer's bytes on their way, in pieces or whole."""

from collections.abc import Iterator

from ogp.core.errors import UpstreamError


def primed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pull the first chunk now, so that a failure before it is still a proper refusal."""
    first = next(chunks, b"")

    def rest() -> Iterator[bytes]:
        if first:
            yield first
        yield from chunks

    return rest()


def gathered(chunks: Iterator[bytes], *, max_bytes: int, server: str) -> bytes:
    """An answer that is not streamed: it is sent whole or not at all.

    Args:
        max_bytes: most that is held in memory.
        server: who sent it, for the refusal.

    Raises:
        UpstreamError: it is larger.
    """
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise UpstreamError(
                f"The upstream server {server!r} sent more than {max_bytes} bytes "
                "in an answer that is not streamed.",
                server=server,
            )
    return bytes(body)
