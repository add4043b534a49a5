import pytest

from ogp.admission.fields import FieldPolicy
from ogp.core.errors import (
    AuditUnavailableError,
    ForbiddenError,
    GatewayError,
    QueueFullError,
    UpstreamError,
)
from ogp.core.exchange import Exchange
from ogp.core.types import Answer, InferenceRequest, Outcome, Principal, Role
from ogp.dialects.ollama import OllamaDialect
from ogp.gateway import Gateway
from ogp.settings.schema import LimitSettings
from tests.support.stages import Stages, make_exchange

ALICE = Principal("alice", Role.USER, user_id=1)
REQUEST = InferenceRequest(
    dialect="ollama",
    operation="chat",
    method="POST",
    upstream_path="/api/chat",
    model="demo",
    stream=True,
)
DONE = b'{"done":true,"prompt_eval_count":3,"eval_count":5}\n'


def make_gateway(stages: Stages, keepalive_s: float | None = None) -> Gateway:
    return Gateway(
        dialects={"ollama": OllamaDialect(LimitSettings())},
        policy=FieldPolicy(()),
        router=stages,
        input_guard=stages,
        queue=stages,
        audit=stages,
        upstreams=stages,
        output_guard=stages,
        max_answer_bytes=1000,
        keepalive_s=keepalive_s,
    )


def handle(
    stages: Stages,
    request: InferenceRequest = REQUEST,
    exchange: Exchange | None = None,
    keepalive_s: float | None = None,
) -> Answer:
    gateway = make_gateway(stages, keepalive_s)
    return gateway.handle(request, ALICE, exchange or make_exchange())


def test_the_stages_are_passed_in_order_and_only_forward() -> None:
    stages = Stages()
    handle(stages)
    assert stages.passed == [
        "candidates",
        "input guard",
        "slot of alice",
        "lease",
        "audit",
        "send",
        "output guard",
        "end of answer",
    ]


@pytest.mark.parametrize(
    ("stage", "error"),
    [
        ("candidates", GatewayError("none")),
        ("input guard", GatewayError("blocked")),
        ("slot of alice", QueueFullError("demo")),
        ("audit", AuditUnavailableError("disk full")),
        ("send", UpstreamError("down")),
        ("output guard", GatewayError("blocked")),
    ],
)
def test_a_refusal_ends_the_path_where_it_arises(stage: str, error: Exception) -> None:
    stages, exchange = Stages(refuse={stage: error}), make_exchange()
    with pytest.raises(type(error)):
        handle(stages, exchange=exchange)
    assert stages.passed[-1] == stage
    exchange.release()
    borrowed = [name for name in ("slot of alice", "lease") if name in stages.passed[:-1]]
    if "send" in stages.passed[:-1]:
        borrowed.append("connection")
    assert sorted(stages.given_back) == sorted(name.split()[0] for name in borrowed)


def test_a_field_that_blinds_the_guard_is_refused_before_anything_else() -> None:
    stages = Stages()
    request = InferenceRequest("ollama", "generate", "POST", "/x", restricted=("raw",))
    with pytest.raises(ForbiddenError):
        handle(stages, request)
    assert stages.passed == []


def test_requests_that_take_no_slot_pass_by_the_queue() -> None:
    stages = Stages()
    handle(stages, InferenceRequest("ollama", "tags", "GET", "/api/tags", queued=False))
    assert "slot of alice" not in stages.passed
    assert "audit" in stages.passed


def test_an_answer_that_is_no_stream_comes_whole_and_gives_everything_back() -> None:
    stages, exchange = Stages([b"one", b"two"]), make_exchange()
    answer = handle(stages, exchange=exchange)
    assert (answer.status, answer.body, answer.chunks) == (200, b"onetwo", None)
    assert stages.given_back == ["connection", "lease", "slot"]
    assert exchange.record.outcome is Outcome.COMPLETE


def test_an_answer_too_large_to_hold_is_refused() -> None:
    stages = Stages([b"x" * 600, b"x" * 600])
    with pytest.raises(UpstreamError, match="more than 1000 bytes"):
        handle(stages)


def test_a_stream_holds_its_slot_to_its_end() -> None:
    stages = Stages([b"1\n", b"2\n"], streamed=True)
    answer = handle(stages)
    assert answer.chunks is not None
    assert next(answer.chunks) == b"1\n"
    assert stages.given_back == []
    assert list(answer.chunks) == [b"2\n"]
    assert stages.given_back == ["connection", "lease", "slot"]


def test_a_failure_before_the_first_chunk_is_a_refusal_even_of_a_stream() -> None:
    stages = Stages([], streamed=True, refuse={"end of answer": UpstreamError("cut")})
    with pytest.raises(UpstreamError):
        handle(stages)


def test_the_record_knows_what_happened() -> None:
    exchange = make_exchange()
    answer = handle(Stages([DONE], streamed=True), exchange=exchange)
    assert answer.chunks is not None
    assert list(answer.chunks) == [DONE]
    record = exchange.finish_record()
    assert record.row_id == 1
    assert record.server_used == "lab"
    assert record.queue_wait_ms == 250.0
    assert record.first_byte_ms is not None
    assert (record.prompt_tokens, record.completion_tokens) == (3, 5)
    assert record.response_bytes == len(DONE)
    assert (record.guard_input, record.guard_output) == ("clean", "clean")


def test_the_upstreams_own_refusal_passes_with_its_status_and_body() -> None:
    answer = handle(Stages([b'{"error":"model not found"}'], status=404))
    assert (answer.status, answer.body) == (404, b'{"error":"model not found"}')


def test_what_was_measured_is_told_before_the_slot_is_given_back() -> None:
    stages = Stages([DONE])
    handle(stages)
    ((model, pace),) = stages.observed
    assert model == "demo"
    assert pace is not None
    assert pace.completion_tokens == 5
    assert 0 <= pace.first_byte_ms <= pace.held_ms


def test_an_answer_without_token_counts_measures_nothing() -> None:
    stages = Stages([b"answer"])
    handle(stages)
    assert stages.observed == [("demo", None)]


SIGN = OllamaDialect(LimitSettings()).keepalive(REQUEST)


def test_a_stream_that_waits_gets_signs_of_life_then_its_answer() -> None:
    stages, exchange = Stages([b"1\n", b"2\n"], streamed=True, waits=3), make_exchange()
    answer = handle(stages, exchange=exchange, keepalive_s=9)
    assert (answer.status, answer.headers) == (200, {"content-type": "application/x-ndjson"})
    assert answer.chunks is not None
    assert "send" not in stages.passed
    assert list(answer.chunks) == [SIGN, SIGN, SIGN, b"1\n", b"2\n"]
    assert stages.given_back == ["connection", "lease", "slot"]
    assert exchange.record.queue_wait_ms == 250.0


def test_a_stream_that_need_not_wait_gets_its_own_head() -> None:
    answer = handle(Stages([b"1\n"], streamed=True), keepalive_s=9)
    assert answer.chunks is not None
    assert list(answer.chunks) == [b"1\n"]


def test_an_answer_that_is_no_stream_gets_no_signs_of_life() -> None:
    request = InferenceRequest("ollama", "chat", "POST", "/api/chat", model="demo")
    assert handle(Stages([b"{}"], waits=3), request, keepalive_s=9).body == b"{}"


@pytest.mark.parametrize("stage", ["wait", "send"])
def test_a_refusal_after_signs_of_life_comes_in_the_stream(stage: str) -> None:
    stages = Stages([b"1\n"], streamed=True, waits=1, refuse={stage: QueueFullError("demo")})
    answer = handle(stages, keepalive_s=9)
    assert answer.chunks is not None
    assert next(answer.chunks) == SIGN
    with pytest.raises(QueueFullError):
        next(answer.chunks)


def test_an_upstreams_refusal_after_signs_of_life_is_an_error_in_the_stream() -> None:
    answer = handle(Stages([b'{"error":"x"}'], status=404, waits=1), keepalive_s=9)
    assert answer.chunks is not None
    assert next(answer.chunks) == SIGN
    with pytest.raises(UpstreamError, match="status 404"):
        next(answer.chunks)
