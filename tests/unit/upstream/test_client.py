from collections.abc import Iterator
from threading import Event, Thread

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import (
    ClientGoneError,
    GatewayError,
    Refused,
    RequestTimeoutError,
    UpstreamError,
)
from ogp.core.exchange import Exchange
from ogp.core.types import InferenceRequest, Route
from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from ogp.settings.schema import UpstreamSettings
from ogp.upstream.client import UpstreamClient

WAIT_S = 5.0
REQUEST = InferenceRequest(
    dialect="ollama",
    operation="chat",
    method="POST",
    upstream_path="/api/chat",
    body=b'{"model":"demo","messages":[]}',
    model="demo",
    stream=True,
)


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as server:
        yield server


@pytest.fixture
def client() -> Iterator[UpstreamClient]:
    client = UpstreamClient(
        UpstreamSettings(idle_timeout_s=0.2, connect_timeout_s=1.0), max_connections=8
    )
    yield client
    client.stop()


def make_exchange(timeout_s: float = WAIT_S) -> Exchange:
    return Exchange(
        request_id="r1", method="POST", path="/api/chat", clock=SystemClock(), timeout_s=timeout_s
    )


def route_to(server: DemoServer) -> Route:
    return Route("lab", server.url)


def receive(client: UpstreamClient, server: DemoServer, timeout_s: float = WAIT_S) -> list[bytes]:
    with client.send(REQUEST, route_to(server), make_exchange(timeout_s)) as response:
        return list(response.chunks)


def test_chunks_arrive_one_by_one_and_unchanged(client: UpstreamClient, server: DemoServer) -> None:
    chunks = [b'{"a":1}\n', b'{"b":', b"2}\n"]
    server.script("/api/chat", Script(chunks=chunks))
    assert receive(client, server) == chunks


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_every_framing_is_read_to_its_end(
    client: UpstreamClient, server: DemoServer, framing: str
) -> None:
    server.script("/api/chat", Script(chunks=[b"one", b"two"], framing=framing))
    assert b"".join(receive(client, server)) == b"onetwo"


def test_head_says_whether_the_answer_is_a_stream(
    client: UpstreamClient, server: DemoServer
) -> None:
    server.script("/api/chat", Script(chunks=[b"{}\n"]), Script.document({"done": True}))
    for streamed in (True, False):
        with client.send(REQUEST, route_to(server), make_exchange()) as response:
            assert response.streamed is streamed
            assert response.status == 200


def test_only_harmless_headers_are_kept(client: UpstreamClient, server: DemoServer) -> None:
    headers = {"Content-Type": "text/plain", "Set-Cookie": "a=b", "X-Internal": "1"}
    server.script("/api/chat", Script(chunks=[b"x"], headers=headers))
    with client.send(REQUEST, route_to(server), make_exchange()) as response:
        assert response.headers == {"content-type": "text/plain"}


def test_what_is_sent_is_ours_alone(client: UpstreamClient, server: DemoServer) -> None:
    server.script("/api/chat", Script(chunks=[b"{}\n"]))
    receive(client, server)
    (seen,) = server.requests_to("/api/chat")
    sent = seen.headers
    assert seen.body == REQUEST.body
    assert sent["host"] == server.url.removeprefix("http://")
    assert sent["accept-encoding"] == "identity"
    assert sent["x-request-id"] == "r1"
    assert set(sent) <= {
        "host", "accept-encoding", "user-agent", "x-request-id", "content-type", "content-length"
    }  # fmt: skip


def test_a_connection_read_to_its_end_is_used_again(
    client: UpstreamClient, server: DemoServer
) -> None:
    for _ in range(3):
        server.script("/api/chat", Script(chunks=[b"{}\n"]))
        receive(client, server)
    assert server.connections == 1


def test_an_answer_left_unread_costs_its_connection(
    client: UpstreamClient, server: DemoServer
) -> None:
    hold = Event()
    server.script("/api/chat", Script(chunks=[b"a\n", b"b\n"], hold_after=(1, hold)))
    with client.send(REQUEST, route_to(server), make_exchange()) as response:
        assert next(iter(response.chunks)) == b"a\n"
    assert server.wait_for(lambda: server.disconnects, WAIT_S)


def test_a_refused_connection_names_the_server(client: UpstreamClient) -> None:
    with DemoServer() as server:
        route = route_to(server)
    with (
        pytest.raises(UpstreamError, match="'lab' cannot be reached") as failed,
        client.send(REQUEST, route, make_exchange()),
    ):
        pass
    assert failed.value.facts == {"server": "lab"}
    assert failed.value.refused is Refused.AWAY


def test_a_busy_server_is_told_apart_only_where_another_may_do(
    client: UpstreamClient, server: DemoServer
) -> None:
    server.script("/api/chat", Script.document({"error": "server busy"}, status=503))
    with client.send(REQUEST, route_to(server), make_exchange()) as response:
        assert response.status == 503
    with (
        pytest.raises(UpstreamError, match="has too much to do") as failed,
        client.send(REQUEST, route_to(server), make_exchange(), has_spare=True),
    ):
        pass
    assert failed.value.refused is Refused.BUSY


def test_what_breaks_before_the_first_byte_may_have_begun(
    client: UpstreamClient, server: DemoServer
) -> None:
    server.script("/api/chat", Script(framing="raw", end="close"))
    with pytest.raises(UpstreamError) as failed:
        receive(client, server)
    assert failed.value.refused is None


def test_silence_past_the_deadline_is_a_timeout(client: UpstreamClient, server: DemoServer) -> None:
    server.script("/api/chat", Script(chunks=[b"x"], hold_before_head=Event()))
    with pytest.raises(RequestTimeoutError):
        receive(client, server, timeout_s=0.1)
    assert server.wait_for(lambda: server.disconnects, WAIT_S)


def test_a_head_without_a_body_is_not_yet_an_answer(
    client: UpstreamClient, server: DemoServer
) -> None:
    server.script("/api/chat", Script(chunks=[b"x"], hold_after=(0, Event())))
    with pytest.raises(RequestTimeoutError):
        receive(client, server, timeout_s=0.1)


def test_a_deadline_that_has_passed_sends_nothing(
    client: UpstreamClient, server: DemoServer
) -> None:
    with pytest.raises(RequestTimeoutError):
        receive(client, server, timeout_s=0.0)
    assert server.requests == []


@pytest.mark.parametrize("end", ["reset", "close"])
def test_a_stream_cut_off_is_an_error_and_no_end(
    client: UpstreamClient, server: DemoServer, end: str
) -> None:
    server.script("/api/chat", Script(chunks=[b"a\n"], end=end))
    got = []
    with (
        pytest.raises(UpstreamError, match="broke off"),
        client.send(REQUEST, route_to(server), make_exchange()) as response,
    ):
        got.extend(response.chunks)
    assert got in ([b"a\n"], [])


def test_a_body_shorter_than_declared_is_an_error(
    client: UpstreamClient, server: DemoServer
) -> None:
    script = Script(chunks=[b"short"], framing="length", content_length=50, end="close")
    server.script("/api/chat", script)
    with pytest.raises(UpstreamError, match="broke off"):
        receive(client, server)


def test_silence_inside_an_answer_is_an_error(client: UpstreamClient, server: DemoServer) -> None:
    server.script("/api/chat", Script(chunks=[b"a\n", b"b\n"], hold_after=(1, Event())))
    with pytest.raises(UpstreamError, match=r"sent nothing for 0\.2 s"):
        receive(client, server)


def test_garbage_instead_of_http_is_an_error(client: UpstreamClient, server: DemoServer) -> None:
    server.script("/api/chat", Script(chunks=[b"hello\r\n\r\n"], framing="raw", end="close"))
    with pytest.raises(UpstreamError):
        receive(client, server)


def test_redirects_are_not_followed(client: UpstreamClient, server: DemoServer) -> None:
    script = Script(status=307, headers={"Location": "http://127.0.0.1:1/"}, framing="length")
    server.script("/api/chat", script)
    with pytest.raises(UpstreamError, match="redirect"):
        receive(client, server)


def test_a_compressed_answer_cannot_be_read_and_is_refused(
    client: UpstreamClient, server: DemoServer
) -> None:
    server.script("/api/chat", Script(chunks=[b"x"], headers={"Content-Encoding": "gzip"}))
    with pytest.raises(UpstreamError, match="compressed"):
        receive(client, server)


@pytest.mark.parametrize("stage", ["before the head", "in the answer"])
def test_a_cancel_ends_the_wait_and_hangs_up(
    client: UpstreamClient, server: DemoServer, stage: str
) -> None:
    if stage == "before the head":
        server.script("/api/chat", Script(chunks=[b"a"], hold_before_head=Event()))
    else:
        server.script("/api/chat", Script(chunks=[b"a", b"b"], hold_after=(1, Event())))
    client = UpstreamClient(UpstreamSettings(), max_connections=8)
    exchange, raised = make_exchange(60), []

    def run() -> None:
        try:
            with client.send(REQUEST, route_to(server), exchange) as response:
                list(response.chunks)
        except GatewayError as error:
            raised.append(error)

    thread = Thread(target=run)
    thread.start()
    assert server.wait_for(lambda: server.requests, WAIT_S)
    exchange.cancellation.cancel(ClientGoneError("gone"))
    thread.join(WAIT_S)
    assert [type(error) for error in raised] == [ClientGoneError]
    assert server.wait_for(lambda: server.disconnects, WAIT_S)
    client.stop()


def test_a_request_cancelled_before_is_not_sent(client: UpstreamClient, server: DemoServer) -> None:
    exchange = make_exchange()
    exchange.cancellation.cancel(ClientGoneError("gone"))
    with pytest.raises(ClientGoneError), client.send(REQUEST, route_to(server), exchange):
        pass
    assert server.requests == []


def test_a_cancel_of_a_close_delimited_answer_is_no_clean_end(server: DemoServer) -> None:
    server.script(
        "/api/chat", Script(chunks=[b"a", b"b"], framing="close", hold_after=(1, Event()))
    )
    client, exchange = UpstreamClient(UpstreamSettings(), max_connections=8), make_exchange()
    with client.send(REQUEST, route_to(server), exchange) as response:
        chunks = iter(response.chunks)
        assert next(chunks) == b"a"
        exchange.cancellation.cancel(ClientGoneError("gone"))
        with pytest.raises(ClientGoneError):
            next(chunks)


def test_an_empty_answer_has_no_chunks(client: UpstreamClient, server: DemoServer) -> None:
    server.script("/api/chat", Script(framing="length"))
    assert receive(client, server) == []
