"""Where a waiting request stands: for its owner and administrators, from whichever worker."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from ogp.demo.server import DemoServer
from tests.support.proxy import WAIT_S, Proxy
from tests.support.waiting import held, wait_until

MODEL = "demo-tokens-2-0ms"
ASKED = 8
"""Times a question is put, on new connections: each worker gets some of them."""


@pytest.fixture(scope="module")
def shared_proxy(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    with Proxy(
        tmp_path_factory.mktemp("proxy"),
        shared_upstream.url,
        queue__parallel=1,
        queue__keepalive_s=0.1,
        server__workers=2,
    ) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def bob(shared_proxy: Proxy) -> str:
    return shared_proxy.new_token("bobby")


def places(proxy: Proxy, request_id: str, token: str | None = None) -> list[dict[str, Any]]:
    """The answers of whichever worker; all must be found."""
    answers = [proxy.get(f"/queue/position/{request_id}", token=token) for _ in range(ASKED)]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.json() for answer in answers]


def statuses(proxy: Proxy, request_id: str, token: str | None = None) -> set[int]:
    path = f"/queue/position/{request_id}"
    return {proxy.get(path, token=token).status_code for _ in range(ASKED)}


def test_every_worker_tells_the_place_to_owner_and_administrator_alone(
    proxy: Proxy, upstream: DemoServer, bob: str
) -> None:
    with held(proxy, upstream, MODEL) as crowd:
        crowd.send_in_turn("mine-1", "mine-2")
        for token in (None, proxy.admin_token):
            for place in places(proxy, "mine-2", token):
                assert (place["state"], place["model"]) == ("waiting", MODEL)
                assert (place["position"], place["ahead"], place["waiting"]) == (2, 1, 2)
        assert statuses(proxy, "mine-2", bob) == {404}
        missing = proxy.get("/queue/position/nobody-s", token=bob)
        theirs = proxy.get("/queue/position/mine-2", token=bob)
        # Not even the words tell that it exists.
        assert {**missing.json(), "request_id": ""} == {**theirs.json(), "request_id": ""}
        anonymous = requests.get(f"{proxy.url}/queue/position/mine-2", timeout=WAIT_S)
        assert anonymous.status_code == 401


def test_the_place_is_that_of_turns_and_not_of_arrival(
    proxy: Proxy, upstream: DemoServer, bob: str
) -> None:
    with held(proxy, upstream, MODEL) as crowd:
        waiting = crowd.send_in_turn("a-1", "a-2", "a-3")
        crowd.send_in_turn("b-1", waiting=waiting, token=bob)
        assert places(proxy, "b-1", bob)[0]["position"] <= 2
        assert places(proxy, "a-3")[0]["position"] == 4


def test_a_stream_that_is_kept_alive_has_a_place_and_what_runs_has_none(
    proxy: Proxy, upstream: DemoServer
) -> None:
    with held(proxy, upstream, MODEL) as crowd:
        document = {"model": MODEL, "prompt": "hi"}
        headers = {"X-Request-ID": "streams"}
        with proxy.post("/api/generate", document, stream=True, headers=headers) as answer:
            lines = answer.iter_lines(chunk_size=1)
            assert b'"response":""' in next(lines)  # a sign of life
            assert places(proxy, "streams")[0]["position"] == 1
            assert statuses(proxy, "first") == {404}
            crowd.let_go()
            assert b'"done":true' in list(lines)[-1]
        wait_until(proxy, MODEL, active_requests=0)
        assert statuses(proxy, "streams") == {404}
