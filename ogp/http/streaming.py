"""A streamed answer whose every end is one the caller's client understands."""

import errno
from collections.abc import Iterator

from ogp.core.errors import BlockedError, ClientGoneError, GatewayError, GuardError
from ogp.core.exchange import Exchange
from ogp.core.types import InferenceRequest, Outcome
from ogp.dialects.base import Dialect
from ogp.http.errors import internal_error, note_error

HEAD_BYTES = 4096
"""Kept of what was sent first: by then an answer has told its id."""


class AnswerStream:
    """Passes chunks on; after a failure, gives everything back and ends in the dialect's way."""

    def __init__(
        self,
        chunks: Iterator[bytes],
        dialect: Dialect,
        request: InferenceRequest,
        exchange: Exchange,
    ) -> None:
        self._chunks, self._dialect, self._exchange = chunks, dialect, exchange
        self._request = request
        self._sign_of_life = dialect.keepalive(request)
        self._head = b""
        self._mid_line = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            raise
        except GatewayError as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001 - whatever broke, the stream must end visibly
            return self._failed(internal_error(error))
        self._mid_line = not chunk.endswith(b"\n")
        if len(self._head) < HEAD_BYTES and chunk != self._sign_of_life:
            self._head += chunk[:HEAD_BYTES]
        return chunk

    def _failed(self, error: GatewayError) -> bytes:
        if isinstance(error, BlockedError | GuardError):
            self._exchange.ended(Outcome.BLOCKED_MID_STREAM)
        note_error(self._exchange, error)
        self._exchange.ended(Outcome.UPSTREAM_FAILED)
        self._exchange.release()
        if isinstance(error, ClientGoneError):
            # Without the terminating chunk: whoever still listens must not take this for an end.
            raise ConnectionResetError(errno.ECONNRESET, "client closed") from error
        self._chunks = iter(())
        return self._dialect.error_event(
            error, request=self._request, mid_line=self._mid_line, head=self._head
        )
