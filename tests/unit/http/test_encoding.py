import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ogp.core.errors import InvalidRequestError, TooLargeError, UnsupportedEncodingError
from ogp.http.encoding import ZSTD_WINDOW_BYTES, decoded
from ogp.settings.schema import LimitSettings

MIB = 1024 * 1024
LIMITS = LimitSettings(max_body_bytes=MIB)
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstandard.compress,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


@pytest.mark.parametrize("encoding", ENCODERS)
@given(plain=st.binary(max_size=2000))
def test_what_was_encoded_comes_back(encoding: str, plain: bytes) -> None:
    assert decoded(ENCODERS[encoding](plain), encoding, LIMITS) == plain


@pytest.mark.parametrize("spelling", ["GZIP", " gzip ", "x-gzip"])
def test_names_of_encodings_have_any_case(spelling: str) -> None:
    assert decoded(gzip.compress(b"x"), spelling, LIMITS) == b"x"


def test_plain_stays_plain() -> None:
    assert decoded(b"x", "identity", LIMITS) == b"x"


@pytest.mark.parametrize("encoding", ["br", "compress", "gzip, zstd", "", "gzip,", "zstd gzip"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedEncodingError, match="zstd, gzip or deflate"):
        decoded(b"x", encoding, LIMITS)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_body_may_be_as_large_as_the_limit(encoding: str) -> None:
    assert len(decoded(ENCODERS[encoding](bytes(MIB)), encoding, LIMITS)) == MIB
    with pytest.raises(TooLargeError, match="decodes to more than 1048576 bytes"):
        decoded(ENCODERS[encoding](bytes(MIB + 1)), encoding, LIMITS)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_bomb_is_put_down_at_the_limit(encoding: str) -> None:
    bomb = ENCODERS[encoding](bytes(256 * MIB))
    assert len(bomb) < 300_000
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            decoded(bomb, encoding, LIMITS)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 32 * MIB


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_body_that_is_cut_off_is_refused(encoding: str) -> None:
    whole = ENCODERS[encoding](b"abc" * 100)
    for end in range(1, len(whole)):
        with pytest.raises(InvalidRequestError):
            decoded(whole[:end], encoding, LIMITS)


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("more", ["frame", "rubbish"])
def test_nothing_may_follow_the_frame(encoding: str, more: str) -> None:
    frame = ENCODERS[encoding](b"x" * 400)
    with pytest.raises(InvalidRequestError, match="one whole frame"):
        decoded(frame + (frame if more == "frame" else b"\0"), encoding, LIMITS)


def test_a_second_frame_behind_a_full_piece_is_seen() -> None:
    frame = zstandard.compress(bytes(range(256)))
    padded = frame + b"\x50\x2a\x4d\x18" + (512 - len(frame) - 8).to_bytes(4, "little")
    with pytest.raises(InvalidRequestError):
        decoded(padded.ljust(512, b"\0"), "zstd", LIMITS)


@pytest.mark.parametrize("encoding", ENCODERS)
@given(noise=st.binary(min_size=1, max_size=300))
def test_what_is_something_else_is_refused(encoding: str, noise: bytes) -> None:
    for body in (noise, b'{"model":"m"}', ENCODERS[encoding](b"x")[:6] + noise):
        try:
            decoded(body, encoding, LIMITS)
        except (InvalidRequestError, TooLargeError):
            continue
        assert ENCODERS[encoding](b"x")[:6] == body[:6]  # the noise went on as a frame does


def test_a_window_that_no_browser_may_ask_for_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    encoder = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = encoder.compress(b"x" * 100) + encoder.flush()
    assert zstandard.get_frame_parameters(body).window_size > ZSTD_WINDOW_BYTES
    with pytest.raises(InvalidRequestError):
        decoded(body, "zstd", LIMITS)
