import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import zstandard

from ogp.core.errors import UpstreamError
from ogp.core.exchange import Exchange
from ogp.core.types import InferenceRequest, Priority, Route, UpstreamResponse
from tests.support.edge import ALICE, ROOT, Edge
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


@pytest.mark.parametrize(
    ("header", "priority"),
    [("interactive", Priority.INTERACTIVE), (" Batch ", Priority.BATCH), (None, None)],
)
def test_the_class_that_a_client_asks_for_reaches_the_queue(
    header: str | None, priority: Priority | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages()
    asked: list[Priority | None] = []
    scan = stages.scan
    monkeypatch.setattr(
        stages,
        "scan",
        lambda request, *rest: asked.append(request.priority) or scan(request, *rest),
    )
    headers = {**ALICE, **({} if header is None else {"X-OGP-Priority": header})}
    assert Edge(stages).post("/api/chat", CHAT, headers=headers).status_code == 200
    assert asked == [priority]


@pytest.mark.parametrize("header", ["urgent", "", "batch, batch", "1"])
def test_a_class_that_does_not_exist_is_refused(header: str) -> None:
    edge = Edge()
    answer = edge.post("/api/chat", CHAT, headers={**ALICE, "X-OGP-Priority": header})
    assert answer.status_code == 400
    assert answer.json["message"] == "X-OGP-Priority must be interactive or batch."
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


BLOB = f"/api/blobs/sha256:{'0' * 64}"
FILE = bytes(range(256)) * 2048


class ReadingStages(Stages):
    """Reads the file as it passes, and keeps how long it may take."""

    def __init__(self, *, fails_after: int | None = None) -> None:
        super().__init__([b""])
        self.requests: list[InferenceRequest] = []
        self.read = b""
        self.remaining_s = 0.0
        self._fails_after = fails_after

    @contextmanager
    def send(
        self,
        request: InferenceRequest,
        route: Route,
        exchange: Exchange,
        *,
        has_spare: bool = False,
    ) -> Iterator[UpstreamResponse]:
        self.requests.append(request)
        self.remaining_s = exchange.remaining_s()
        for number, piece in enumerate(request.upload.chunks if request.upload else ()):
            self.read += piece
            if number == self._fails_after:
                raise UpstreamError("cut")
        with super().send(request, route, exchange) as response:
            yield response


def upload(edge: Edge, **headers: str) -> Any:
    return edge.client.simulate_post(BLOB, body=FILE, headers={**ROOT, **headers})


def test_a_file_goes_on_as_it_comes() -> None:
    stages = ReadingStages()
    edge = Edge(stages)
    assert upload(edge).status_code == 200
    assert stages.read == FILE
    (request,) = stages.requests
    assert request.upload is not None
    assert (request.upload.length, request.body, request.upstream_path) == (len(FILE), b"", BLOB)
    assert edge.audit.finished[0][0].request_bytes == len(FILE)


def test_the_record_knows_how_much_of_a_file_came() -> None:
    edge = Edge(ReadingStages(fails_after=0))
    assert upload(edge).status_code == 502
    assert 0 < (edge.audit.finished[0][0].request_bytes or 0) < len(FILE)


def test_a_file_of_somebody_who_may_not_send_one_is_not_read() -> None:
    stages = ReadingStages()
    answer = upload(Edge(stages), **ALICE)
    assert (answer.status_code, stages.requests) == (403, [])


def test_what_installs_models_may_take_hours() -> None:
    stages = ReadingStages()
    edge = Edge(stages)
    edge.post("/api/pull", {"model": "m"}, headers=ROOT)
    assert stages.remaining_s > 3600
    edge.post("/api/chat", CHAT, headers=ROOT)
    assert stages.remaining_s <= 5


def test_whom_the_operator_names_may_manage_models() -> None:
    for named, status in (("alice", 200), ("bo", 403)):
        edge = Edge(access={"allow_model_management": named})
        assert edge.post("/api/copy", {"source": "a", "destination": "b"}).status_code == status
        assert ("send" in edge.stages.passed) == (status == 200)


def test_a_refused_route_reads_no_body() -> None:
    edge = Edge(limits={"max_body_bytes": 1})
    for path in ("/api/me", "/v1/audio/transcriptions"):
        answer = edge.post(path, {"model": "m"})
        assert answer.status_code == 403
    assert edge.stages.passed == []


def test_a_compressed_body_goes_on_plain() -> None:
    stages = ReadingStages()
    plain = json.dumps(CHAT, separators=(",", ":")).encode()
    headers = {**ALICE, "Content-Encoding": "zstd"}
    edge = Edge(stages)
    answer = edge.client.simulate_post("/api/chat", body=zstandard.compress(plain), headers=headers)
    assert answer.status_code == 200
    assert stages.requests[0].body == plain
    assert edge.audit.finished[0][0].request_bytes == len(plain)
