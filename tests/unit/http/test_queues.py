"""What the queues tell over HTTP, and what administrators may change of them."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import falcon
import pytest
from falcon.testing import Result, TestClient

from ogp.core.clock import SystemClock
from ogp.core.exchange import Cancellation
from ogp.core.slots import Claim, SlotLimits
from ogp.core.types import InferenceRequest, Principal, Role
from ogp.dialects.ollama import OllamaDialect
from ogp.http.errors import ErrorRenderer
from ogp.http.queues import (
    QueuePositionResource,
    QueueResetResource,
    QueueStatsResource,
    QueueUpdateResource,
)
from ogp.http.scope import EXCHANGE_KEY
from ogp.queueing.queues import Queues
from ogp.settings.schema import Settings
from ogp.state.memory import MemorySlotTable, MemoryTallyBook
from ogp.storage.engine import Database
from ogp.storage.model_limits import ModelLimitsStore
from ogp.storage.tables import Table
from ogp.storage.writer import GroupCommitWriter
from tests.support.stages import make_exchange

ALICE, ROOT = Principal("alice", Role.USER), Principal("root", Role.ADMIN)
FORM = "application/x-www-form-urlencoded"
UPDATE, RESET = "/admin/queue/update", "/admin/queue/reset"


class Ticket:
    def __init__(self, claim: Claim) -> None:
        self.claim = claim

    def grant(self) -> None:
        pass


class Bench:
    """The four endpoints over real queues and a real database."""

    def __init__(self, path: Path) -> None:
        settings = Settings.model_validate({"queue": {"parallel": 2, "max_queue": 8}})
        clock = SystemClock()
        self.database = Database(path)
        self.database.start()
        with self.database.write() as connection:
            Table.metadata.create_all(connection)
        self.writer = GroupCommitWriter(self.database, max_pending=10, name="test")
        self.writer.start()
        self.table = MemorySlotTable(clock, batch_patience_s=60)
        self.store = ModelLimitsStore(self.database, self.writer)
        self.queues = Queues(settings, self.table, MemoryTallyBook(clock), clock, self.store)
        self.principal: Principal | None = ROOT
        app: falcon.App[Any, Any] = falcon.App()
        ErrorRenderer({"ollama": OllamaDialect(settings.limits)}, "ollama").install(app)
        report, limits = self.queues.report, settings.limits
        app.add_route("/queue/stats", QueueStatsResource(report))
        app.add_route("/queue/position/{request_id}", QueuePositionResource(report))
        app.add_route(UPDATE, QueueUpdateResource(self.queues.live, limits))
        app.add_route(RESET, QueueResetResource(report, limits))
        self.client = TestClient(
            lambda environ, start: app({**environ, EXCHANGE_KEY: self._exchange()}, start)
        )

    def _exchange(self) -> Any:
        exchange = make_exchange()
        exchange.principal = self.principal
        return exchange

    def serve_one(self, model: str = "llama2") -> None:
        with self.queues.manager.turn(
            InferenceRequest("ollama", "chat", "POST", "/api/chat", model=model),
            ALICE,
            request_id="r0",
            timeout_s=1,
            cancellation=Cancellation(),
        ) as turn:
            assert turn.wait()

    def update(self, body: object = None, query: str = "", content_type: str = "") -> Result:
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        headers = {"Content-Type": content_type} if content_type else {}
        return self.client.simulate_post(UPDATE, body=text, query_string=query, headers=headers)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "ogp.db")
    yield bench
    bench.writer.stop(10)
    bench.database.stop()


def test_queue_statistics_have_every_documented_field(bench: Bench) -> None:
    bench.serve_one()
    document = bench.client.simulate_get("/queue/stats").json
    assert set(document) == {
        "default_parallel", "default_queue_limit", "total_models", "models", "status", "reasons"
    }  # fmt: skip
    assert set(document["models"]["llama2"]) == {
        "model", "parallel_limit", "queue_limit", "active_requests", "queued_requests",
        "available_slots", "queue_available", "total_processed", "total_rejected",
        "avg_wait_time_ms", "avg_processing_time_ms", "uptime_seconds", "rejection_rate",
        "wait_ms", "service_ms", "predicted_wait_s", "status", "reasons",
    }  # fmt: skip
    assert set(document["models"]["llama2"]["wait_ms"]) == {"p50", "p90", "p99"}


def test_one_models_statistics_are_asked_for_by_any_of_its_names(bench: Bench) -> None:
    bench.serve_one()
    for name in ("llama2", "llama2:latest", "LLAMA2"):
        answer = bench.client.simulate_get("/queue/stats", params={"model": name})
        assert list(answer.json["models"]) == ["llama2"]


def test_an_unknown_model_is_404_with_the_known_ones(bench: Bench) -> None:
    bench.serve_one()
    for answer in (
        bench.client.simulate_get("/queue/stats?model=nope"),
        bench.client.simulate_post(f"{RESET}?model=nope"),
    ):
        assert answer.status_code == 404
        assert answer.json == {
            "error": "No queue found for model 'nope'",
            "available_models": ["llama2"],
        }


@pytest.fixture
def waiting(bench: Bench) -> Iterator[Bench]:
    """Alice's request `r2` waits behind two that run."""
    with ExitStack() as stack:
        for number in range(3):
            ticket = Ticket(Claim("alice", request_id=f"r{number}"))
            bench.table.enter("llama2", ticket, SlotLimits(2, 8))
            stack.callback(bench.table.leave, "llama2", ticket)
        yield bench


@pytest.mark.parametrize("principal", [ALICE, ROOT])
def test_a_place_is_told_to_its_owner_and_to_administrators(
    waiting: Bench, principal: Principal
) -> None:
    waiting.principal = principal
    document = waiting.client.simulate_get("/queue/position/r2").json
    assert set(document) == {
        "request_id", "model", "state", "priority", "position", "ahead", "waiting", "waited_s",
        "predicted_wait_s",
    }  # fmt: skip
    assert (document["state"], document["position"], document["waiting"]) == ("waiting", 1, 1)


def test_somebody_elses_request_and_one_that_never_came_look_the_same(waiting: Bench) -> None:
    waiting.principal = Principal("mallory", Role.USER)
    others = waiting.client.simulate_get("/queue/position/r2")
    unknown = waiting.client.simulate_get("/queue/position/r9")
    assert others.status_code == unknown.status_code == 404
    assert others.json == unknown.json
    assert others.json["code"] == "not_found"


def test_a_request_that_runs_has_no_place(waiting: Bench) -> None:
    assert waiting.client.simulate_get("/queue/position/r0").status_code == 404


def test_nobody_is_the_owner_where_the_operator_opened_the_path(waiting: Bench) -> None:
    waiting.principal = None
    assert waiting.client.simulate_get("/queue/position/r2").status_code == 404


@pytest.mark.parametrize("content_type", ["application/json", FORM, "text/plain", ""])
def test_limits_change_by_a_json_body_whatever_it_is_called(
    bench: Bench, content_type: str
) -> None:
    answer = bench.update({"model": "llama2", "parallel_limit": 8, "queue_limit": 5},
                          content_type=content_type)  # fmt: skip
    assert answer.json == {
        "model": "llama2",
        "parallel_limit": 8,
        "queue_limit": 5,
        "status": "updated",
    }


def test_limits_change_by_the_query(bench: Bench) -> None:
    answer = bench.update(query="model=phi3:latest&parallel_limit=3")
    assert answer.json == {
        "model": "phi3",
        "parallel_limit": 3,
        "queue_limit": 8,
        "status": "updated",
    }


def test_body_and_query_may_share_the_fields(bench: Bench) -> None:
    answer = bench.update({"queue_limit": 5}, query="model=phi3")
    assert (answer.json["parallel_limit"], answer.json["queue_limit"]) == (2, 5)


def test_a_change_is_in_force_and_in_the_statistics_at_once(bench: Bench) -> None:
    bench.update({"model": "unseen", "parallel_limit": 7})
    document = bench.client.simulate_get("/queue/stats?model=unseen").json
    assert document["models"]["unseen"]["parallel_limit"] == 7


def test_more_places_than_threads_are_noted(bench: Bench) -> None:
    answer = bench.update({"model": "llama2", "queue_limit": 1024})
    assert answer.json["queue_limit"] == 1024
    assert "threads for 8 waiting requests" in answer.json["note"]


@pytest.mark.parametrize(("query", "body"), [("persist=true", {}), ("", {"persist": True})])
def test_limits_that_persist_are_stored_with_who_set_them(
    bench: Bench, query: str, body: dict[str, bool]
) -> None:
    answer = bench.update({"model": "llama2", "parallel_limit": 3, **body}, query=query)
    assert answer.json["persist"] is True
    assert bench.store.read() == {"llama2": SlotLimits(3, 8)}
    answer = bench.update({"model": "llama2", "persist": False})
    assert (answer.json["persist"], answer.json["parallel_limit"]) == (False, 3)
    assert bench.store.read() == {}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"model": "m", "parallel_limit": 0}, "parallel_limit must be a number from 1"),
        ({"model": "m", "parallel_limit": -3}, "parallel_limit must be a number from 1"),
        ({"model": "m", "parallel_limit": True}, "parallel_limit must be a whole number"),
        ({"model": "m", "parallel_limit": "8"}, "parallel_limit must be a whole number"),
        ({"model": "m", "parallel_limit": 8.0}, "parallel_limit must be a whole number"),
        ({"model": "m", "parallel_limit": [8]}, "parallel_limit must be a whole number"),
        ({"model": "m", "parallel_limit": 10**30}, "parallel_limit must be a number from 1"),
        ({"model": "m", "parallel_limit": 1000}, "parallel_limit must be at most 112"),
        ({"model": "m", "queue_limit": -1}, "queue_limit must be a number from 0"),
        ({"model": "m", "queue_limit": False}, "queue_limit must be a whole number"),
        ({"model": "m", "queue_limit": 16385}, "queue_limit must be a number from 0 to 16384"),
        ({"model": "m", "parallel_limit": 1, "persist": 1}, "persist must be true or false"),
        ({"model": "m", "parallel_limit": 1, "persist": "true"}, "persist must be true or false"),
        ({"model": "m"}, "parallel_limit, queue_limit or persist must be given"),
        ({"model": "m", "parallel_limit": None}, "parallel_limit, queue_limit or persist"),
        ({"parallel_limit": 1}, "model is required"),
        ({"model": 7, "parallel_limit": 1}, "model is required"),
        ({"model": "../x", "parallel_limit": 1}, "model must look like"),
        ({"model": "m" * 300, "parallel_limit": 1}, "model has more than 256"),
        ({"model": "m", "paralel_limit": 1}, "A field is unknown; known here: model, parallel"),
        ([], "the body must be a JSON object"),
        ("parallel_limit=8", "the body is not one JSON document"),
        ('{"model": "m", "model": "n", "parallel_limit": 1}', "'model' stands more than once"),
        (None, "model is required"),
    ],
)
def test_what_cannot_be_meant_is_400_naming_the_field(
    bench: Bench, body: object, told: str
) -> None:
    answer = bench.update(body)
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_request")
    assert told in answer.json["message"]
    assert bench.table.resized() == {}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("model=m&parallel_limit=x", "parallel_limit must be a whole number"),
        ("model=m&parallel_limit=", "parallel_limit must be a whole number"),
        ("model=m&parallel_limit=1.5", "parallel_limit must be a whole number"),
        ("model=m&parallel_limit=0", "parallel_limit must be a number from 1"),
        ("model=m&parallel_limit=-2", "parallel_limit must be a number from 1"),
        ("model=m&parallel_limit=--2", "parallel_limit must be a whole number"),
        ("model=m&parallel_limit=%C2%B2", "parallel_limit must be a whole number"),
        ("model=m&parallel_limit=" + "9" * 5000, "parallel_limit must be a whole number"),
        ("model=m&parallel_limit=1&parallel_limit=2", "parallel_limit is given twice"),
        ("model=m&parallel_limit=1&persist=yes", "persist must be true or false"),
        ("model=&parallel_limit=1", "model is required"),
        ("model=m&limit=1", "A field is unknown"),
    ],
)
def test_the_query_is_read_as_strictly(bench: Bench, query: str, told: str) -> None:
    answer = bench.update(query=query)
    assert answer.status_code == 400
    assert told in answer.json["message"]
    assert bench.table.resized() == {}


def test_a_field_in_both_places_is_refused(bench: Bench) -> None:
    answer = bench.update({"model": "m", "parallel_limit": 1}, query="parallel_limit=2")
    assert answer.json["message"] == "parallel_limit is given twice."


def test_a_model_named_by_digits_alone_is_a_model(bench: Bench) -> None:
    assert bench.update(query="model=7&parallel_limit=1").json["model"] == "7"


def test_limits_that_cannot_be_stored_are_503_and_nothing_changes(bench: Bench) -> None:
    bench.writer.stop(10)
    answer = bench.update({"model": "m", "parallel_limit": 1, "persist": True})
    assert (answer.status_code, answer.json["code"]) == (503, "limits_unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert bench.table.resized() == {}


def processed(bench: Bench) -> dict[str, int]:
    models = bench.queues.report.statistics()["models"]
    return {name: entry["total_processed"] for name, entry in models.items()}


def test_all_statistics_are_reset(bench: Bench) -> None:
    bench.serve_one("a")
    bench.serve_one("b")
    answer = bench.client.simulate_post(RESET)
    assert answer.json == {"status": "success", "message": "Statistics reset for all models"}
    assert processed(bench) == {"a": 0, "b": 0}


@pytest.mark.parametrize(
    ("query", "body"), [("model=a:latest", None), ("", '{"model": "a:latest"}')]
)
def test_one_models_statistics_are_reset(bench: Bench, query: str, body: str | None) -> None:
    bench.serve_one("a")
    bench.serve_one("b")
    answer = bench.client.simulate_post(RESET, query_string=query, body=body)
    assert answer.json == {
        "status": "success",
        "message": "Statistics reset for model a:latest",
    }
    assert processed(bench) == {"a": 0, "b": 1}


@pytest.mark.parametrize("query", ["model=", "models=a", "model=a&model=b"])
def test_a_reset_that_is_not_understood_resets_nothing(bench: Bench, query: str) -> None:
    bench.serve_one("a")
    assert bench.client.simulate_post(RESET, query_string=query).status_code == 400
    assert processed(bench) == {"a": 1}


def test_changes_need_an_administrator_and_are_recorded() -> None:
    for resource in (QueueUpdateResource, QueueResetResource):
        assert (resource.access.name, resource.audited, resource.own) == ("ADMIN", True, False)
    for resource in (QueueStatsResource, QueuePositionResource):
        assert (resource.access.name, resource.audited, resource.own) == ("USER", False, True)
