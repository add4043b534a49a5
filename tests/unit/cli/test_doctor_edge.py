import gzip
from collections.abc import Iterable
from functools import partial

import pytest
from zstandard import ZstdDecompressor

from ogp.cli.doctor_edge import (
    AMBIGUOUS,
    body_limit,
    body_room,
    compression,
    expect,
    framing,
    header_limits,
    keep_alive,
    zstd_frame,
)
from ogp.cli.doctor_site import Result, Site
from ogp.cli.doctor_wire import Wire, parse_url
from tests.support.little_server import Asked, always, answer, little_server, site_of

REFUSED = answer(400, "bad", Connection="close")


def test_what_can_be_read_in_two_ways_is_refused() -> None:
    with site_of(lambda _: [REFUSED]) as site:
        assert framing(site).result is Result.OK


def test_hanging_up_is_a_refusal_too() -> None:
    with site_of(lambda _: []) as site:
        assert framing(site).result is Result.OK
        assert header_limits(site).result is Result.OK


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_one_that_is_taken_is_told(what: str) -> None:
    def say(asked: Asked) -> Iterable[bytes]:
        return [answer(200) if set(AMBIGUOUS[what]) <= set(asked.lines) else REFUSED]

    with site_of(say) as site:
        found = framing(site)
    assert (found.result, found.evidence) == (Result.FAIL, f"{what}: 200, not refused")


def test_two_answers_to_one_request_are_told() -> None:
    two = answer(400, {"a": 1}) + answer(200)
    with site_of(lambda _: [two]) as site:
        found = framing(site)
    assert found.result is Result.FAIL
    assert "two answers (400, 200)" in found.evidence


def test_heads_that_are_too_large_are_refused() -> None:
    with site_of(lambda _: [answer(431)]) as site:
        assert header_limits(site).result is Result.OK


@pytest.mark.parametrize("what", ["a header of 100 kB", "200 headers"])
def test_a_head_that_is_taken_is_told(what: str) -> None:
    def say(asked: Asked) -> Iterable[bytes]:
        is_many = len(asked.lines) > 100
        return [answer(200 if is_many is (what == "200 headers") else 431)]

    with site_of(say) as site:
        found = header_limits(site)
    assert (found.result, found.evidence) == (Result.FAIL, f"{what}: 200, not refused")


def test_a_body_that_is_far_too_large_is_refused_unread() -> None:
    with site_of(always(answer(413, {"code": "too_large"}))) as site:
        found = body_limit(site)
    assert found.result is Result.OK
    assert "413 too_large" in found.evidence


def test_another_refusal_of_a_large_body_is_told() -> None:
    with site_of(always(answer(400))) as site:
        assert body_limit(site).result is Result.FAIL


def test_a_server_that_waits_for_a_large_body_is_told() -> None:
    with little_server(always([])) as server:
        found = body_limit(Site(Wire(parse_url(server.url), 0.3)))
    assert found.result is Result.FAIL
    assert "100 GB announced: " in found.evidence


@pytest.mark.parametrize(
    ("status", "result"), [(400, Result.OK), (413, Result.WARN), (502, Result.FAIL)]
)
def test_a_body_as_large_as_a_picture_gets_through(status: int, result: Result) -> None:
    sizes: list[int] = []

    def say(asked: Asked) -> bytes:
        if asked.path == "/config":
            return answer(200, {"limits": {"max_body_bytes": 2_000_000}})
        sizes.append(len(asked.body))
        return answer(status)

    with site_of(say) as site:
        assert body_room(site).result is result
    assert sizes == [2_000_000 - 1024]


def packed(asked: Asked, *, gzipped: int, zstd: int) -> bytes:
    unpack = {"gzip": gzip.decompress, "zstd": ZstdDecompressor().decompress}
    encoding = asked.headers["content-encoding"]
    assert unpack[encoding](asked.body) == b'{"model":"llama2"}'
    return answer({"gzip": gzipped, "zstd": zstd}[encoding])


@pytest.mark.parametrize(
    ("gzipped", "zstd", "result"),
    [
        (200, 200, Result.OK),
        (415, 200, Result.OK),
        (400, 200, Result.FAIL),
        (200, 400, Result.FAIL),
    ],
)
def test_compressed_bodies_are_decoded_or_refused(gzipped: int, zstd: int, result: Result) -> None:
    with site_of(partial(packed, gzipped=gzipped, zstd=zstd)) as site:
        assert compression(site).result is result


@pytest.mark.parametrize("size", [0, 1, 255, 256, 70_000])
def test_a_frame_of_zstandard_is_one(size: int) -> None:
    assert ZstdDecompressor().decompress(zstd_frame(bytes(size))) == bytes(size)


@pytest.mark.parametrize(("status", "result"), [(200, Result.OK), (500, Result.FAIL)])
def test_a_go_ahead_is_given(status: int, result: Result) -> None:
    with site_of(always(answer(status))) as site:
        assert expect(site).result is result


def test_a_refusal_instead_of_a_go_ahead_is_told() -> None:
    with site_of(always(answer(200)), go_ahead=answer(417)) as site:
        found = expect(site)
    assert (found.result, found.evidence) == (Result.FAIL, "417 instead of 100")


def test_no_go_ahead_is_warned_of() -> None:
    with site_of(always(answer(200)), go_ahead=b"") as site:
        assert expect(site).result is Result.WARN


def test_a_connection_goes_on_after_a_refusal() -> None:
    with site_of(lambda asked: answer(200 if asked.path == "/up" else 400)) as site:
        assert keep_alive(site).result is Result.OK


def test_a_connection_that_is_closed_each_time_is_warned_of() -> None:
    with site_of(always(answer(400, Connection="close"))) as site:
        assert keep_alive(site).result is Result.WARN
    with site_of(always(answer(400, length=False))) as site:
        assert keep_alive(site).result is Result.WARN


def test_a_connection_that_gets_out_of_step_is_told() -> None:
    with site_of(always(answer(400))) as site:
        found = keep_alive(site)
    assert found.result is Result.FAIL
    with site_of(lambda asked: answer(400) if asked.path != "/up" else []) as site:
        assert "closed without an answer" in keep_alive(site).evidence
