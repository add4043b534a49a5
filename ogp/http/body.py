"""Reads a request's body: bounded in size and time, whatever its headers say."""

from collections.abc import Iterator
from contextlib import suppress
from time import monotonic

from falcon import Request
from gunicorn.http.errors import ParseException

from ogp.core.errors import (
    BodyTimeoutError,
    ClientGoneError,
    InvalidRequestError,
    TooLargeError,
    UnsupportedEncodingError,
)
from ogp.core.types import Upload
from ogp.http.encoding import decoded, decoder_of
from ogp.settings.schema import LimitSettings

PIECE_BYTES = 64 * 1024
UPLOAD_PIECE_BYTES = 256 * 1024
DISCARD_S = 2.0
"""Longest time for reading a body that is refused, in seconds."""


def read_body(req: Request, limits: LimitSettings) -> bytes:
    """Read the whole body, and decode it where it is compressed.

    Content-Type is not looked at: Ollama parses JSON whatever it says, and so do we.

    Raises:
        UnsupportedEncodingError: it is compressed in a way we do not know.
        TooLargeError: declared, sent or decoded more than `limits.max_body_bytes`.
        InvalidRequestError: its chunked framing or its compression is broken.
        BodyTimeoutError: not all of it came in `limits.body_timeout_s`.
        ClientGoneError: the client left before its end.
    """
    encoding = req.get_header("Content-Encoding") or "identity"
    decoder_of(encoding)
    declared = declared_length(req)
    if declared is not None and declared > limits.max_body_bytes:
        raise _too_large(limits)
    try:
        body = _receive(req, limits)
    except TimeoutError as error:
        raise BodyTimeoutError(
            f"The body did not arrive within {limits.body_timeout_s:g} s."
        ) from error
    except ConnectionError as error:
        raise ClientGoneError("The client closed the connection inside its body.") from error
    except (OSError, ParseException) as error:  # what gunicorn raises on broken chunks
        raise InvalidRequestError("The body's chunked framing is broken.") from error
    if declared is not None and len(body) < declared:
        raise ClientGoneError("The client closed the connection before the end of its body.")
    return decoded(body, encoding, limits) if body else body


def upload_of(req: Request, limits: LimitSettings) -> Upload:
    """A body that is a file: read piece by piece while it goes on, never held.

    Raises:
        UnsupportedEncodingError: it is compressed, so its digest would not be the file's.
        TooLargeError: declared more than `limits.max_upload_bytes`; its pieces also raise it.
    """
    if (req.get_header("Content-Encoding") or "identity").strip().lower() != "identity":
        raise UnsupportedEncodingError("Send the file as it is, without Content-Encoding.")
    declared = declared_length(req)
    if declared is not None and declared > limits.max_upload_bytes:
        raise _upload_too_large(limits)
    return Upload(_pieces(req, limits, declared), declared)


def _pieces(req: Request, limits: LimitSettings, declared: int | None) -> Iterator[bytes]:
    """Each piece may take `limits.body_timeout_s`."""
    sock = req.env.get("gunicorn.socket")
    if sock is not None:
        sock.settimeout(limits.body_timeout_s)
    sent = 0
    try:
        while piece := req.env["wsgi.input"].read(UPLOAD_PIECE_BYTES):
            sent += len(piece)
            if sent > limits.max_upload_bytes:
                raise _upload_too_large(limits)
            yield piece
    except TimeoutError as error:
        raise BodyTimeoutError(f"The file stood still for {limits.body_timeout_s:g} s.") from error
    except ConnectionError as error:
        raise ClientGoneError("The client closed the connection inside its file.") from error
    except (OSError, ParseException) as error:  # what gunicorn raises on broken chunks
        raise InvalidRequestError("The file's chunked framing is broken.") from error
    if sock is not None:
        sock.settimeout(limits.write_timeout_s)
    if declared is not None and sent < declared:
        raise ClientGoneError("The client closed the connection before the end of its file.")


def discard_rest(req: Request, limits: LimitSettings) -> None:
    """Read what is left of a body that is refused, if it is not much.

    A connection that is closed with unread bytes is reset, and with it goes the answer that says
    why: clients read it only after they have sent everything.
    """
    sock = req.env.get("gunicorn.socket")
    deadline = monotonic() + DISCARD_S
    left = limits.max_body_bytes
    with suppress(OSError, ParseException, InvalidRequestError):  # then there is nobody to tell
        if (declared_length(req) or 0) > left:
            return
        while left > 0 and (remaining_s := deadline - monotonic()) > 0:
            if sock is not None:
                sock.settimeout(remaining_s)
            piece = req.env["wsgi.input"].read(PIECE_BYTES)
            if not piece:
                break
            left -= len(piece)
    if sock is not None:
        sock.settimeout(limits.write_timeout_s)


def _receive(req: Request, limits: LimitSettings) -> bytes:
    """Read to the end. gunicorn reads the client's socket as we read, so its time-out is ours."""
    sock = req.env.get("gunicorn.socket")
    deadline = monotonic() + limits.body_timeout_s
    body = bytearray()
    while True:
        remaining_s = deadline - monotonic()
        if remaining_s <= 0:
            raise TimeoutError
        if sock is not None:
            sock.settimeout(remaining_s)
        piece = req.env["wsgi.input"].read(PIECE_BYTES)
        if not piece:
            break
        body += piece
        if len(body) > limits.max_body_bytes:
            raise _too_large(limits)
    if sock is not None:
        sock.settimeout(limits.write_timeout_s)
    return bytes(body)


def declared_length(req: Request) -> int | None:
    """`Content-Length`, or None for a chunked body.

    Raises:
        InvalidRequestError: it is not a number (gunicorn refuses these first).
    """
    text = req.env.get("CONTENT_LENGTH")
    if not text:
        return None if req.env.get("HTTP_TRANSFER_ENCODING") else 0
    if not (text.isascii() and text.isdigit()):
        raise InvalidRequestError("Content-Length must be a number of bytes.")
    return int(text)


def _upload_too_large(limits: LimitSettings) -> TooLargeError:
    return TooLargeError(
        f"The file is larger than {limits.max_upload_bytes} bytes (limits.max_upload_bytes)."
    )


def _too_large(limits: LimitSettings) -> TooLargeError:
    return TooLargeError(
        f"The body is larger than {limits.max_body_bytes} bytes (limits.max_body_bytes)."
    )
