"""Who comes up next, as the upstream sees it: users, weights, classes, places."""

from pathlib import Path
from threading import Event, Thread

import pytest

from ogp.core.types import Role
from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import WAIT_S, Proxy
from tests.support.waiting import held, prompts, wait_until

MODEL = "demo-tokens-2-0ms"
KEPT_QUEUED = 200
MOST_BEFORE = 4
"""Requests of somebody else that may end before a newcomer's first one runs, with one slot."""


def proxy_with(directory: Path, upstream: DemoServer, queue: str = "", **settings: object) -> Proxy:
    """A proxy with one slot.

    Args:
        queue: further keys of the section, in YAML.
    """
    (directory / "config.yaml").write_text(f"queue: {{{queue}}}\n")
    return Proxy(directory, upstream.url, queue__parallel=1, **settings)


class Greedy:
    """A user who sends the next request as soon as one is answered. Thread-safe."""

    def __init__(self, proxy: Proxy, count: int) -> None:
        self._proxy, self._ending = proxy, Event()
        self._threads = [Thread(target=self._ask) for _ in range(count)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(6 * WAIT_S)
            assert not thread.is_alive()

    def _ask(self) -> None:
        document = {"model": MODEL, "prompt": "greedy", "stream": False}
        while not self._ending.is_set():
            answer = self._proxy.post("/api/generate", document, timeout=6 * WAIT_S)
            assert answer.status_code == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_200_queued_requests_of_one_user_hold_up_another_by_a_turn(
    workers: int, upstream: DemoServer, tmp_path: Path
) -> None:
    release = Event()
    answer = Script.generate("served", model=MODEL)
    upstream.script(MODEL, Script.generate("first", hold_before_head=release), answer)
    with proxy_with(tmp_path, upstream, server__workers=workers) as proxy:
        bob = proxy.new_token("bob")
        with Greedy(proxy, KEPT_QUEUED + 1):
            wait_until(proxy, MODEL, active_requests=1, queued_requests=KEPT_QUEUED)
            document = {"model": MODEL, "prompt": "modest", "stream": False}
            asking = Thread(
                target=proxy.post,
                args=("/api/generate", document),
                kwargs={"token": bob, "timeout": 6 * WAIT_S},
            )
            asking.start()
            wait_until(proxy, MODEL, active_requests=1, queued_requests=KEPT_QUEUED + 1)
            release.set()  # from here on the greedy one fills the line up again and again
            asking.join(6 * WAIT_S)
            asked = prompts(upstream)
        assert asked.index("modest") <= MOST_BEFORE
        # Not because the line had been emptied: all that had waited came after it.
        assert prompts(upstream).count("greedy") > KEPT_QUEUED


def test_a_user_of_weight_3_comes_up_three_times_as_often(
    upstream: DemoServer, tmp_path: Path
) -> None:
    weights = "weights: [{weight: 3, users: [BOB]}]"
    with proxy_with(tmp_path, upstream, weights) as proxy:
        bob = proxy.new_token("bob")
        with held(proxy, upstream, MODEL) as crowd:
            waiting = crowd.send_in_turn(*(f"alice-{n}" for n in range(9)))
            crowd.send_in_turn(*(f"bob-{n}" for n in range(9)), waiting=waiting, token=bob)
        order = prompts(upstream)[1:]
    assert sum(prompt.startswith("bob") for prompt in order[:8]) in (6, 7)
    assert [prompt for prompt in order if prompt.startswith("alice")] == [
        f"alice-{number}" for number in range(9)
    ]


def test_the_first_weight_that_applies_counts_and_roles_have_some_too(
    upstream: DemoServer, tmp_path: Path
) -> None:
    weights = "weights: [{weight: 1, users: [root]}, {weight: 3, roles: [admin]}]"
    with proxy_with(tmp_path, upstream, weights) as proxy:
        chief = proxy.new_token("chief", Role.ADMIN)
        with held(proxy, upstream, MODEL) as crowd:
            waiting = 0
            for name, token in (("root", proxy.admin_token), ("chief", chief)):
                names = (f"{name}-{number}" for number in range(6))
                waiting = crowd.send_in_turn(*names, waiting=waiting, token=token)
        order = prompts(upstream)[1:]
    assert sum(prompt.startswith("chief") for prompt in order[:8]) in (6, 7)


def test_batch_comes_when_nobody_else_waits(upstream: DemoServer, tmp_path: Path) -> None:
    with proxy_with(tmp_path, upstream) as proxy:
        bob = proxy.new_token("bob")
        with held(proxy, upstream, MODEL) as crowd:
            batch = {"headers": {"X-OGP-Priority": "batch"}, "token": bob}
            waiting = crowd.send_in_turn("batch-0", "batch-1", **batch)
            crowd.send_in_turn("now-0", "now-1", "now-2", waiting=waiting)
    assert prompts(upstream)[1:] == ["now-0", "now-1", "now-2", "batch-0", "batch-1"]


def test_batch_that_waited_long_enough_takes_turns(upstream: DemoServer, tmp_path: Path) -> None:
    with proxy_with(tmp_path, upstream, "batch_patience_s: 0.001") as proxy:
        bob = proxy.new_token("bob")
        with held(proxy, upstream, MODEL) as crowd:
            batch = {"headers": {"X-OGP-Priority": "batch"}, "token": bob}
            waiting = crowd.send_in_turn("batch-0", "batch-1", **batch)
            crowd.send_in_turn("now-0", "now-1", "now-2", "now-3", waiting=waiting)
    order = prompts(upstream)[1:]
    assert {"batch-0", "batch-1"} < set(order[:4])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_user_takes_no_more_places_than_allowed_and_leaves_the_others(
    workers: int, upstream: DemoServer, tmp_path: Path
) -> None:
    settings = {"queue__max_queue": 5, "server__workers": workers}
    with proxy_with(tmp_path, upstream, "max_queue_per_user: 3", **settings) as proxy:
        bob = proxy.new_token("bob")
        with held(proxy, upstream, MODEL) as crowd:
            waiting = crowd.send_in_turn(*(f"alice-{number}" for number in range(3)))
            document = {"model": MODEL, "prompt": "one more", "stream": False}
            refused = proxy.post("/api/generate", document)
            assert (refused.status_code, refused.json()["error"]) == (503, "queue_full")
            crowd.send_in_turn("bob-0", "bob-1", waiting=waiting, token=bob)
            assert proxy.post("/api/generate", document, token=bob).status_code == 503
        statuses = {name: answer.status_code for name, answer in crowd.answers.items()}
    assert set(statuses.values()) == {200}
    assert len(statuses) == 6
