"""Timing, faults and scripts, seen from the client's end of a raw socket."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from ogp.demo.script import Script
from ogp.demo.server import DemoServer

TIMEOUT_S = 5.0


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running


def ask(
    server: DemoServer, model: str, path: str = "/api/generate", **fields: Any
) -> socket.socket:
    """Send a request; the answer is to be read from the socket."""
    body = json.dumps({"model": model, "prompt": "hello there", **fields}).encode()
    head = f"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    client = socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S)
    client.sendall(head.encode() + body)
    return client


def read_all(client: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = b""
    with client:
        while piece := client.recv(65536):
            received += piece
    return received


def read_until(client: socket.socket, mark: bytes) -> bytes:
    received = b""
    while mark not in received:
        piece = client.recv(65536)
        assert piece, received
        received += piece
    return received


def test_each_token_is_a_chunk_of_its_own(server: DemoServer) -> None:
    with ask(server, "demo-tokens-3") as client:
        raw = read_until(client, b"0\r\n\r\n")
    lines = [json.loads(line) for line in raw.split(b"\r\n") if line.startswith(b"{")]
    assert [line["done"] for line in lines] == [False, False, False, True]
    assert lines[-1]["eval_count"] == 3


def test_tokens_come_at_their_interval(server: DemoServer) -> None:
    began = time.monotonic()
    with ask(server, "demo-tokens-5-first-20ms-10ms") as client:
        read_until(client, b"0\r\n\r\n")
    assert time.monotonic() - began >= 0.02 + 4 * 0.01


def test_whole_answer_takes_as_long_as_its_tokens(server: DemoServer) -> None:
    began = time.monotonic()
    with ask(server, "demo-tokens-5-first-20ms-10ms", stream=False) as client:
        read_until(client, b"}")
    assert time.monotonic() - began >= 0.02 + 4 * 0.01


def test_defaults_of_the_server_apply_to_ordinary_models() -> None:
    with DemoServer(first_byte_ms=20, token_interval_ms=10) as server:
        began = time.monotonic()
        with ask(server, "demo-tokens-3") as client:
            read_until(client, b"0\r\n\r\n")
        slow_s = time.monotonic() - began
        began = time.monotonic()
        with ask(server, "demo-tokens-3:fast") as client:
            read_until(client, b"0\r\n\r\n")
        fast_s = time.monotonic() - began
    assert slow_s >= 0.04 > fast_s


def test_hang_prefill_sends_not_a_byte_until_the_client_leaves(server: DemoServer) -> None:
    client = ask(server, "hang-prefill")
    assert server.wait_for(lambda: server.active("hang-prefill") == 1, TIMEOUT_S)
    client.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.recv(1)
    left_at_s = time.monotonic()
    client.close()
    assert server.wait_for(lambda: server.disconnects, TIMEOUT_S)
    (left,) = server.disconnects
    assert (left.model, left.path, left.stage) == ("hang-prefill", "/api/generate", "prefill")
    assert 0 <= left.at_s - left_at_s < 0.5
    assert server.active("hang-prefill") == 0


def test_hang_decode_falls_silent_after_some_tokens(server: DemoServer) -> None:
    client = ask(server, "hang-decode-after-2")
    raw = read_until(client, b" said:")
    client.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.recv(1)
    assert raw.count(b'"response"') == 2
    client.close()
    assert server.wait_for(lambda: server.disconnects, TIMEOUT_S)
    assert server.disconnects[0].stage == "decode"


def test_hang_decode_without_a_stream_sends_nothing(server: DemoServer) -> None:
    client = ask(server, "hang-decode", stream=False)
    assert server.wait_for(lambda: server.active() == 1, TIMEOUT_S)
    client.close()
    assert server.wait_for(lambda: server.disconnects, TIMEOUT_S)
    assert server.disconnects[0].stage == "prefill"


def test_cut_ends_a_stream_without_its_terminator(server: DemoServer) -> None:
    raw = read_all(ask(server, "cut-after-2"))
    assert raw.count(b'"response"') == 2
    assert b'"done":true' not in raw
    assert not raw.endswith(b"0\r\n\r\n")


def test_fault_after_the_last_token_still_happens(server: DemoServer) -> None:
    raw = read_all(ask(server, "cut-tokens-2-after-9"))
    assert raw.count(b'"response"') == 2
    assert b'"done":true' not in raw


def test_reset_ends_a_stream_with_an_rst(server: DemoServer) -> None:
    with ask(server, "reset") as client, pytest.raises(ConnectionResetError):
        while client.recv(65536):
            pass


@pytest.mark.parametrize(("model", "stream"), [("cut-json", True), ("cut", False)])
def test_cut_document_is_shorter_than_its_length(
    server: DemoServer, model: str, stream: bool
) -> None:
    head, _, body = read_all(ask(server, model, stream=stream)).partition(b"\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
    assert 0 < len(body) < length


def test_cut_head_hangs_up_before_any_byte(server: DemoServer) -> None:
    assert read_all(ask(server, "cut-head")) == b""


def test_garbage_is_not_http(server: DemoServer) -> None:
    raw = read_all(ask(server, "garbage"))
    assert raw
    assert not raw.startswith(b"HTTP/")


def test_garbage_json_is_http_but_not_json(server: DemoServer) -> None:
    with ask(server, "garbage-json") as client:
        raw = read_until(client, b"</html>")
    assert raw.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("model", "stream", "status", "error"),
    [
        ("error-500", True, 500, "demo error 500"),
        ("error-429", False, 429, "demo error 429"),
        (
            "error-busy",
            True,
            503,
            "server busy, please try again.  maximum pending requests exceeded",
        ),
        ("error-in-stream", False, 500, "demo error in the stream"),
        ("error-in-stream-after-0", True, 500, "demo error in the stream"),
    ],
)
def test_error_before_the_first_byte_has_a_status(
    server: DemoServer, model: str, stream: bool, status: int, error: str
) -> None:
    with ask(server, model, stream=stream) as client:
        raw = read_until(client, b"}")
    assert raw.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(raw.partition(b"\r\n\r\n")[2]) == {"error": error}


def test_error_in_the_stream_is_its_last_line(server: DemoServer) -> None:
    raw = read_all(ask(server, "error-in-stream-after-1"))
    lines = [json.loads(line) for line in raw.split(b"\r\n") if line.startswith(b"{")]
    assert lines[0]["response"] == "You"
    assert lines[1:] == [{"error": "demo error in the stream"}]
    assert raw.endswith(b"0\r\n\r\n")


def test_header_drip_sends_the_head_byte_by_byte(server: DemoServer) -> None:
    with ask(server, "header-drip-tokens-1-1ms") as client:
        first = client.recv(65536)
        raw = first + read_until(client, b"0\r\n\r\n")
    assert len(first) < 20
    assert raw.startswith(b"HTTP/1.1 200 OK\r\n")


def test_huge_tokens_are_a_mebibyte_each(server: DemoServer) -> None:
    with ask(server, "huge-tokens-2", stream=False) as client:
        head = read_until(client, b"\r\n\r\n").partition(b"\r\n\r\n")[0]
    length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
    assert length > 2 * 1024 * 1024


def test_script_is_sent_byte_for_byte_with_its_status_and_headers(server: DemoServer) -> None:
    server.script("m", Script([b"a", b"bc"], status=418, headers={"X-A": "b"}))
    with ask(server, "m") as client:
        raw = read_until(client, b"0\r\n\r\n")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 418 I'm a Teapot\r\nX-A: b\r\n")
    assert body == b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"


def test_scripted_document_may_lie_about_its_length(server: DemoServer) -> None:
    server.script("m", Script([b"abc"], framing="length", content_length=99, end="close"))
    raw = read_all(ask(server, "m"))
    assert b"Content-Length: 99\r\n" in raw
    assert raw.endswith(b"\r\n\r\nabc")


def test_scripted_empty_document_ends_at_its_head(server: DemoServer) -> None:
    server.script("m", Script([], framing="length"))
    with ask(server, "m") as client:
        assert b"Content-Length: 0" in read_until(client, b"\r\n\r\n")
    assert server.wait_for(lambda: server.finished("m") == 1, TIMEOUT_S)


def test_scripted_stream_may_end_with_the_connection(server: DemoServer) -> None:
    server.script("m", Script([b"a", b"b"], framing="close"))
    assert read_all(ask(server, "m")).endswith(b"\r\n\r\nab")


def test_raw_script_has_no_head_of_its_own(server: DemoServer) -> None:
    server.script(
        "m", Script([b"HTTP/1.1 200 OK\r\n", b"Content-Length: 0\r\n\r\n"], framing="raw")
    )
    assert read_all(ask(server, "m")) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("end", ["close", "reset"])
def test_script_may_hang_up(server: DemoServer, end: Any) -> None:
    server.script("m", Script([b"a"], end=end))
    received = b""
    with ask(server, "m") as client:
        try:
            while piece := client.recv(65536):
                received += piece
            ended = "close"
        except ConnectionResetError:
            ended = "reset"
    assert ended == end
    assert not received.endswith(b"0\r\n\r\n")


def test_script_may_hang_at_its_end(server: DemoServer) -> None:
    server.script("m", Script([b"a"], end="hang"))
    with ask(server, "m") as client:
        read_until(client, b"1\r\na\r\n")
        assert server.active("m") == 1
    assert server.wait_for(lambda: server.disconnects, TIMEOUT_S)


def test_script_holds_before_its_head(server: DemoServer) -> None:
    gate = Event()
    server.script("m", Script([b"a"], hold_before_head=gate))
    with ask(server, "m") as client:
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(TIMEOUT_S)
        gate.set()
        read_until(client, b"0\r\n\r\n")


@pytest.mark.parametrize("after", [0, 1, 2])
def test_script_holds_after_some_chunks(server: DemoServer, after: int) -> None:
    gate = Event()
    server.script("m", Script([b"a", b"b"], hold_after=(after, gate)))
    with ask(server, "m") as client:
        assert server.wait_for(
            lambda: [run.chunks_sent for run in server.running] == [after], TIMEOUT_S
        )
        raw = read_until(client, b"\r\n\r\n")
        gate.set()
        raw += read_until(client, b"0\r\n\r\n")
    assert raw.endswith(b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n")


def test_script_takes_its_time(server: DemoServer) -> None:
    server.script("m", Script([b"a", b"b"], first_byte_s=0.02, interval_s=0.02))
    began = time.monotonic()
    with ask(server, "m") as client:
        read_until(client, b"0\r\n\r\n")
    assert time.monotonic() - began >= 0.04


def test_active_has_fallen_when_the_end_of_a_stream_is_read(server: DemoServer) -> None:
    for _ in range(50):
        with ask(server, "demo-tokens-1") as client:
            read_until(client, b"0\r\n\r\n")
            assert server.active("demo-tokens-1") == 0


@pytest.mark.parametrize(("stream", "end"), [(False, b"}"), (True, b"0\r\n\r\n")])
def test_requests_one_after_the_other_never_overlap(
    server: DemoServer, stream: bool, end: bytes
) -> None:
    for _ in range(50):
        with ask(server, "demo-tokens-2", stream=stream) as client:
            read_until(client, end)
    assert server.max_active("demo-tokens-2") == 1


def test_scripted_document_is_over_when_its_last_byte_is_read(server: DemoServer) -> None:
    server.script("m", Script([b"x", b"."], framing="length"))
    for _ in range(50):
        with ask(server, "m") as client:
            read_until(client, b"x.")
            assert server.active("m") == 0


def test_limit_of_generations_lets_no_more_run_at_once() -> None:
    with DemoServer(max_generations=2) as server:
        gates = [Event() for _ in range(3)]
        server.script("unlimited", Script([b"a"]))  # scripts wait for nobody
        with ThreadPoolExecutor(3) as pool:
            began = time.monotonic()
            answers = [
                pool.submit(read_all, ask(server, "cut-tokens-2-after-2-30ms")) for _ in gates
            ]
            for answer in answers:
                assert answer.result(TIMEOUT_S)
        assert time.monotonic() - began >= 0.06


def test_client_that_leaves_while_it_waits_for_its_turn_gives_it_up() -> None:
    with DemoServer(max_generations=1) as server:
        first = ask(server, "hang-decode")
        read_until(first, b"response")
        waiting = ask(server, "demo-tokens-1")
        assert server.wait_for(lambda: server.active() == 2, TIMEOUT_S)
        waiting.close()
        assert server.wait_for(lambda: server.active() == 1, TIMEOUT_S)
        last = ask(server, "demo-tokens-1")
        assert server.wait_for(lambda: server.active() == 2, TIMEOUT_S)
        first.close()
        with last:
            read_until(last, b"0\r\n\r\n")
