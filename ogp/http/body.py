"""Reads a request's body: bounded in size and time, whatever its headers say."""

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
from ogp.settings.schema import LimitSettings

PIECE_BYTES = 64 * 1024


def read_body(req: Request, limits: LimitSettings) -> bytes:
    """Read the whole body.

    Content-Type is not looked at: Ollama parses JSON whatever it says, and so do we.

    Raises:
        UnsupportedEncodingError: the body is compressed, so its text could not be scanned.
        TooLargeError: declared or sent more than `limits.max_body_bytes`.
        InvalidRequestError: its chunked framing is broken.
        BodyTimeoutError: not all of it came in `limits.body_timeout_s`.
        ClientGoneError: the client left before its end.
    """
    encoding = req.get_header("Content-Encoding")
    if encoding is not None and encoding.strip().lower() != "identity":
        raise UnsupportedEncodingError("Send the body without Content-Encoding.")
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
    return body


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


def _too_large(limits: LimitSettings) -> TooLargeError:
    return TooLargeError(
        f"The body is larger than {limits.max_body_bytes} bytes (limits.max_body_bytes)."
    )
