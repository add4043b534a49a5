from ogp.core.errors import UpstreamError
from tests.support.edge import ALICE, Edge
from tests.support.stages import Stages

CHAT = {"model": "demo:latest", "messages": [{"role": "user", "content": "hi"}]}


def test_a_whole_answer_has_its_length() -> None:
    answer = Edge(Stages([b'{"done":true}'])).post("/api/chat", {**CHAT, "stream": False})
    assert answer.status_code == 200
    assert answer.content == b'{"done":true}'
    assert answer.headers["Content-Length"] == "13"


def test_a_stream_is_marked_for_proxies_that_would_gather_it() -> None:
    answer = Edge(Stages([b"1\n", b"2\n"], streamed=True)).post("/api/chat", CHAT)
    assert answer.content == b"1\n2\n"
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "Content-Length" not in answer.headers


def test_a_stream_that_breaks_ends_in_an_error_line() -> None:
    stages = Stages([b"1\n"], streamed=True, refuse={"end of answer": UpstreamError("cut")})
    answer = Edge(stages).post("/api/chat", CHAT)
    assert answer.status_code == 200
    assert answer.text.splitlines()[1].startswith('{"error":"upstream_error: cut"')


def test_the_guards_words_are_in_a_header() -> None:
    whole = Edge(Stages([b"{}"])).post("/api/chat", {**CHAT, "stream": False})
    assert whole.headers["X-OGP-Guard"] == 'input="clean", output="clean"'
    stream = Edge(Stages([b"1\n"], streamed=True)).post("/api/chat", CHAT)
    assert stream.headers["X-OGP-Guard"] == 'input="clean", output="streamed"'


def test_the_upstreams_status_passes() -> None:
    answer = Edge(Stages([b'{"error":"x"}'], status=404)).post("/api/chat", CHAT)
    assert (answer.status_code, answer.content) == (404, b'{"error":"x"}')


def test_a_bad_body_is_refused_before_any_stage() -> None:
    edge = Edge()
    assert edge.post("/api/chat", {"messages": []}).status_code == 400
    assert edge.stages.passed == []


def test_the_record_knows_dialect_model_and_size() -> None:
    edge = Edge()
    edge.post("/api/chat", CHAT)
    ((record, _),) = edge.audit.finished
    assert (record.dialect, record.model) == ("ollama", "demo")
    assert record.request_bytes
    assert record.username == "alice"


def test_head_takes_the_same_path_as_get() -> None:
    edge = Edge(Stages([b""]))
    answer = edge.client.simulate_head("/api/tags", headers=ALICE)
    assert (answer.status_code, answer.content) == (200, b"")
    assert "send" in edge.stages.passed
