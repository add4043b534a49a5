"""Starting, stopping, and holding hundreds of streams."""

import gc
import http.client
import json
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from threading import Event
from typing import cast

import ollama
import pytest

from ogp.demo.script import Script
from ogp.demo.server import DemoServer

TIMEOUT_S = 10.0


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running


def request_bytes(model: str) -> bytes:
    body = json.dumps({"model": model, "prompt": "x"}).encode()
    head = f"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def connect(server: DemoServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S)


def listed(server: DemoServer) -> dict[str | None, int | None]:
    """Models and their sizes in bytes."""
    with ollama.Client(server.url) as client:
        return {model.model: model.size for model in client.list().models}


def test_url_names_the_port_that_was_chosen(server: DemoServer) -> None:
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert server.port > 0


def test_ipv6_works() -> None:
    with DemoServer("::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert listed(server)


def test_port_that_is_taken_is_an_error_and_leaves_nothing_open(server: DemoServer) -> None:
    with pytest.raises(OSError, match="in use"):
        DemoServer(port=server.port).start()


def test_stop_frees_the_port_and_start_takes_it_again() -> None:
    server = DemoServer(models=["llama2"])
    with server:
        port = server.port
        assert listed(server)
    with pytest.raises(ConnectionRefusedError):
        connect(server)
    with server:
        assert server.port == port
        assert listed(server)
    assert len(server.requests) == 2


def test_stop_without_start_does_nothing() -> None:
    DemoServer().stop()


def test_stop_ends_streams_waits_and_idle_connections_within_a_second() -> None:
    server = DemoServer().start()
    server.script("gated", Script([b"a"], hold_before_head=Event()))
    clients = [connect(server) for _ in range(30)]
    for index, client in enumerate(clients):
        if index % 3:
            client.sendall(request_bytes("hang-prefill" if index % 3 == 1 else "gated"))
    assert server.wait_for(lambda: server.active() == 20, TIMEOUT_S)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 1.0
    assert server.connections == 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("demo")]
    for client in clients:
        client.close()


def test_six_hundred_streams_run_at_once_and_are_all_whole(server: DemoServer) -> None:
    gate, count = Event(), 600
    server.script("m", Script.generate("a", "b", hold_after=(1, gate)))
    clients = [connect(server) for _ in range(count)]
    for client in clients:
        client.sendall(request_bytes("m"))
    try:
        assert server.wait_for(
            lambda: sum(run.stage == "decode" for run in server.running) == count, 30
        )
        assert server.max_active("m") == count
        gate.set()
        assert read_whole(clients) == count
        assert server.wait_for(lambda: server.finished("m") == count, TIMEOUT_S)
    finally:
        for client in clients:
            client.close()


def read_whole(clients: list[socket.socket]) -> int:
    """How many of the streams came to their end."""
    received: dict[int, bytes] = {}
    whole = 0
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while whole < len(clients):
            ready = selector.select(TIMEOUT_S)
            assert ready
            for key, _ in ready:
                piece = key.fileobj.recv(65536)  # type: ignore[union-attr]  # all are sockets
                assert piece
                received[key.fd] = received.get(key.fd, b"") + piece
                if received[key.fd].endswith(b"0\r\n\r\n"):
                    selector.unregister(key.fileobj)
                    whole += 1
    return whole


def test_hundreds_of_clients_that_leave_are_all_noticed_at_once(server: DemoServer) -> None:
    clients = [connect(server) for _ in range(200)]
    for client in clients:
        client.sendall(request_bytes("hang-prefill"))
    assert server.wait_for(lambda: server.active() == 200, TIMEOUT_S)
    for client in clients:
        client.close()
    left_at_s = time.monotonic()
    assert server.wait_for(lambda: len(server.disconnects) == 200, TIMEOUT_S)
    assert server.disconnects[-1].at_s - left_at_s < 1.0
    assert (server.active(), server.running) == (0, [])
    assert server.wait_for(lambda: server.connections == 0, TIMEOUT_S)


def test_client_that_does_not_read_holds_up_nobody_else(server: DemoServer) -> None:
    with connect(server) as deaf:
        deaf.sendall(request_bytes("huge"))
        assert server.wait_for(lambda: server.active("huge") == 1, TIMEOUT_S)
        with ollama.Client(server.url) as client:
            assert client.generate("demo", "x").done
    assert server.wait_for(lambda: server.active("huge") == 0, TIMEOUT_S)


def test_requests_can_be_asked_for_by_path(server: DemoServer) -> None:
    with ollama.Client(server.url) as client:
        client.list()
        client.ps()
    assert [request.path for request in server.requests_to("/api/ps")] == ["/api/ps"]


def test_installed_model_is_listed_with_its_size_until_it_is_uninstalled(
    server: DemoServer,
) -> None:
    server.install("llama2", 123)
    assert listed(server)["llama2:latest"] == 123
    server.uninstall("llama2")
    assert "llama2:latest" not in listed(server)


def test_reset_gives_models_their_own_answers_back(server: DemoServer) -> None:
    server.script("demo", Script.document({"response": "scripted"}))
    with ollama.Client(server.url) as client:
        assert client.generate("demo", "x").response == "scripted"
        server.reset()
        assert server.requests == []
        assert client.generate("demo", "x").response.startswith("You said")


def test_exhausted_file_table_does_not_end_the_listener(
    server: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Event()
    accept = socket.socket.accept

    def exhausted(listener: socket.socket) -> object:
        if not failed.is_set():
            failed.set()
            raise OSError(24, "Too many open files")
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", exhausted)
    assert listed(server)
    assert failed.wait(TIMEOUT_S)
    assert listed(server)


def test_connection_that_comes_while_stopping_is_closed() -> None:
    server = DemoServer()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        class StoppingListener:
            """Hands out a client at the very moment of `stop()`."""

            def accept(self) -> object:
                accepted = listener.accept()
                server._stopping.set()
                return accepted

        with socket.create_connection(listener.getsockname(), timeout=TIMEOUT_S) as client:
            server._accept(cast("socket.socket", StoppingListener()))
            assert client.recv(1) == b""
    assert server.connections == 0


def test_no_socket_is_left_to_the_garbage_collector(server: DemoServer) -> None:
    for path in ("/api/version", "/nothing"):
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_S)
        client.request("GET", path)
        client.getresponse().read()
        client.close()
    server.stop()
    gc.collect()  # a leaked socket warns, and warnings are errors
