"""Decodes compressed bodies, so that their text can be scanned; they are sent on plain.

A few bytes can decode to gigabytes, so that decoding stops as soon as the limit is passed.
"""

import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from zstandard import ZstdDecompressor, ZstdError

from ogp.core.errors import InvalidRequestError, TooLargeError, UnsupportedEncodingError
from ogp.settings.schema import LimitSettings

ZSTD_PIECE_BYTES = 256
"""Fed at once: a block of 4 bytes decodes to 128 KiB, so this is up to 8 MiB."""
ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
"""Largest window that HTTP allows (RFC 9659); the decoder holds that much."""
_GZIP, _ZLIB = 31, 15
"""How `zlib` is told which frame to expect."""


class _BrokenError(ValueError):
    """The body is not what its header says."""


def decoded(body: bytes, encoding: str, limits: LimitSettings) -> bytes:
    """The body in plain.

    Args:
        body: as it came.
        encoding: what `Content-Encoding` says.
        limits: `max_body_bytes` holds for the decoded body, too.

    Raises:
        UnsupportedEncodingError: the encoding is none of those above, or there are several.
        InvalidRequestError: the body is cut off, is something else, or goes on behind its end.
        TooLargeError: it decodes to more than `limits.max_body_bytes`.
    """
    decode = decoder_of(encoding)
    try:
        plain = decode(body, limits.max_body_bytes)
    except (_BrokenError, zlib.error, ZstdError):
        raise InvalidRequestError(
            "The body is not what its Content-Encoding says: it must be one whole frame."
        ) from None
    if len(plain) > limits.max_body_bytes:
        raise TooLargeError(
            f"The body decodes to more than {limits.max_body_bytes} bytes (limits.max_body_bytes)."
        )
    return plain


def decoder_of(encoding: str) -> Callable[[bytes, int], bytes]:
    """What decodes it.

    Raises:
        UnsupportedEncodingError: nothing here does.
    """
    decode = _DECODERS.get(encoding.strip().lower())
    if decode is None:
        raise UnsupportedEncodingError(
            "Send the body plain, or with one Content-Encoding of zstd, gzip or deflate."
        )
    return decode


def _plain(body: bytes, _most: int) -> bytes:
    return body


def _inflated(body: bytes, most: int, window_bits: int) -> bytes:
    decoder = zlib.decompressobj(window_bits)
    plain = decoder.decompress(body, most + 1)
    if len(plain) <= most and (not decoder.eof or decoder.unused_data):
        raise _BrokenError
    return plain


def _unzipped(body: bytes, most: int) -> bytes:
    return _inflated(body, most, _GZIP)


def _deflated(body: bytes, most: int) -> bytes:
    return _inflated(body, most, _ZLIB)


def _zstd_decoded(body: bytes, most: int) -> bytes:
    decoder = ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).decompressobj()
    plain = bytearray()
    for start in range(0, len(body), ZSTD_PIECE_BYTES):
        plain += decoder.decompress(body[start : start + ZSTD_PIECE_BYTES])
        if len(plain) > most:
            return bytes(plain)
    if not decoder.eof or decoder.unused_data:
        raise _BrokenError
    return bytes(plain)


_DECODERS: Mapping[str, Callable[[bytes, int], bytes]] = MappingProxyType(
    {
        "identity": _plain,
        "zstd": _zstd_decoded,
        "gzip": _unzipped,
        "x-gzip": _unzipped,
        "deflate": _deflated,
    }
)
"""By name. `deflate` is that of HTTP, in zlib's frame."""
