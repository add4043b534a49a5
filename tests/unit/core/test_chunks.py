from collections.abc import Iterator

import pytest

from ogp.core.chunks import gathered, primed
from ogp.core.errors import UpstreamError


def test_priming_pulls_one_chunk_and_no_more() -> None:
    pulled = []

    def chunks() -> Iterator[bytes]:
        for number in range(3):
            pulled.append(number)
            yield b"%d" % number

    rest = primed(chunks())
    assert pulled == [0]
    assert list(rest) == [b"0", b"1", b"2"]


def test_priming_an_empty_answer_leaves_it_empty() -> None:
    assert list(primed(iter(()))) == []


def test_a_whole_answer_is_all_its_chunks() -> None:
    assert gathered(iter([b"one", b"two"]), max_bytes=6, server="lab") == b"onetwo"
    assert gathered(iter([]), max_bytes=0, server="lab") == b""


def test_an_answer_too_large_to_hold_is_refused_by_name() -> None:
    with pytest.raises(UpstreamError, match="'lab' sent more than 5 bytes"):
        gathered(iter([b"one", b"two"]), max_bytes=5, server="lab")
