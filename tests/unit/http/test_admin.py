from typing import Any

import pytest
from falcon import App
from falcon.testing import TestClient

from ogp.admission.addresses import AddressGate
from ogp.admission.fields import FieldPolicy
from ogp.core.clock import SystemClock
from ogp.core.types import GuardState, Verdict
from ogp.dialects.ollama import OllamaDialect
from ogp.gateway import Gateway
from ogp.guard.cache import VerdictCache
from ogp.http.admin import CacheCleanupResource, CacheClearResource
from ogp.http.app import build_app
from ogp.http.scope import EXCHANGE_KEY, ExchangeScope
from ogp.settings.schema import CacheSettings, Settings
from tests.support.edge import ALICE, ROOT, NameVerifier
from tests.support.stages import NoWatch, RecordingAudit, Stages, make_exchange

KEY = bytes(32)
CLEAN = Verdict(GuardState.CLEAN)


class Hand(SystemClock):
    """A clock that is set by hand."""

    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


def full_cache(hand: Hand | None = None) -> VerdictCache:
    cache = VerdictCache(CacheSettings(ttl_s=10), hand or SystemClock())
    cache.put(KEY, CLEAN)
    return cache


def post(resource: object) -> Any:
    app = App()
    app.add_route("/", resource)
    client = TestClient(
        lambda environ, start: app({**environ, EXCHANGE_KEY: make_exchange()}, start)
    )
    return client.simulate_post("/")


def test_clear_forgets_every_verdict() -> None:
    cache = full_cache()
    answer = post(CacheClearResource(cache))
    assert answer.status_code == 200
    assert answer.json == {"status": "success", "message": "Cache cleared"}
    assert cache.get(KEY) is None


def test_cleanup_forgets_what_is_too_old_and_counts_it() -> None:
    hand = Hand()
    cache = full_cache(hand)
    assert post(CacheCleanupResource(cache)).json == {"status": "success", "removed": 0}
    hand.now_s = 10.0
    assert post(CacheCleanupResource(cache)).json == {"status": "success", "removed": 1}


class Edge:
    """The whole edge with the two endpoints."""

    def __init__(self, cache: VerdictCache | None, **access: Any) -> None:
        settings = Settings.model_validate({"access": access})
        stages: Any = Stages()
        self.audit = RecordingAudit()
        dialect = OllamaDialect(settings.limits)
        gateway = Gateway(
            dialects={dialect.name: dialect},
            policy=FieldPolicy(()),
            router=stages,
            input_guard=stages,
            queue=stages,
            audit=stages,
            upstreams=stages,
            output_guard=stages,
            max_answer_bytes=1000,
        )
        app = build_app(
            settings=settings,
            gateway=gateway,
            dialects=[dialect],
            gate=AddressGate(settings.access),
            verifier=NameVerifier(),
            own={
                "/admin/cache/clear": CacheClearResource(cache),
                "/admin/cache/cleanup": CacheCleanupResource(cache),
            },
        )
        scope = ExchangeScope(
            app, watch=NoWatch(), audit=self.audit, clock=SystemClock(), timeout_s=5.0
        )
        self.client = TestClient(scope)

    def post(self, action: str, headers: dict[str, str] | None = None) -> Any:
        return self.client.simulate_post(
            f"/admin/cache/{action}", headers=headers, remote_addr="127.0.0.1"
        )


ACTIONS = pytest.mark.parametrize("action", ["clear", "cleanup"])


@ACTIONS
def test_only_administrators_are_let_in_and_nothing_happens_for_others(action: str) -> None:
    cache = full_cache()
    edge = Edge(cache)
    assert edge.post(action).status_code == 401
    assert edge.post(action, ALICE).status_code == 403
    assert cache.get(KEY) is not None
    assert edge.post(action, ROOT).status_code == 200


@ACTIONS
def test_no_setting_makes_it_public(action: str) -> None:
    edge = Edge(full_cache(), public_paths=[f"/admin/cache/{action}"])
    assert edge.post(action).status_code == 401
    assert edge.post(action, ALICE).status_code == 403


@ACTIONS
def test_every_call_is_recorded_with_its_caller(action: str) -> None:
    edge = Edge(full_cache())
    for headers in (ROOT, ALICE):
        edge.post(action, headers)
    found = [(row.path, row.username, row.response_status) for row, _ in edge.audit.finished]
    path = f"/admin/cache/{action}"
    assert found == [(path, "root", 200), (path, "alice", 403)]


@ACTIONS
def test_a_cache_that_is_off_is_not_there(action: str) -> None:
    answer = Edge(None).post(action, ROOT)
    assert answer.status_code == 404
    assert answer.json["code"] == "not_found"
    assert answer.json["message"] == "Cache not available: cache.enabled is false."


@ACTIONS
def test_reading_changes_nothing(action: str) -> None:
    cache = full_cache()
    answer = Edge(cache).client.simulate_get(f"/admin/cache/{action}", headers=ROOT)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
    assert cache.get(KEY) is not None
