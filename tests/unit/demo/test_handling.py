"""Routing, binding and recording of one request after the other on a connection."""

import http.client
import json
import socket
from collections.abc import Iterator

import pytest

from ogp.demo.handling import is_local_host
from ogp.demo.script import Script
from ogp.demo.server import DemoServer


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running


@pytest.fixture
def client(server: DemoServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    yield connection
    connection.close()


def ask(
    client: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    **headers: str,
) -> tuple[int, bytes, http.client.HTTPMessage]:
    client.request(method, path, body, headers)
    response = client.getresponse()
    return response.status, response.read(), response.headers


def test_request_is_recorded_as_it_came_and_as_go_reads_it(
    server: DemoServer, client: http.client.HTTPConnection
) -> None:
    body = b'{"model":"demo","prompt":"fine","PROMPT":"evil","extra":1,"stream":false}'
    _, answer, _ = ask(client, "POST", "/api/gener%61te?x=1", body, Authorization="Bearer t")
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/api/generate")
    assert (request.target, request.body) == ("/api/gener%61te?x=1", body)
    assert request.headers["authorization"] == "Bearer t"
    assert request.document == {"model": "demo", "prompt": "evil", "extra": 1, "stream": False}
    assert json.loads(answer)["response"].startswith("You said: evil ")


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 400, "missing request body"),
        (b"[]", 400, "json: cannot unmarshal array into Go value of type GenerateRequest"),
        (b"{", 400, "unexpected EOF"),
        (b"null", 404, "model '' not found"),
        (b'{"model":"nope","prompt":"x"}', 404, "model 'nope' not found"),
    ],
)
def test_bad_bodies_are_refused_as_by_ollama_and_recorded(
    server: DemoServer,
    client: http.client.HTTPConnection,
    body: bytes,
    status: int,
    error: str,
) -> None:
    found, answer, headers = ask(client, "POST", "/api/generate", body)
    assert (found, json.loads(answer)) == (status, {"error": error})
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert server.requests[0].body == body


def test_errors_of_v1_have_the_shape_of_their_dialect(client: http.client.HTTPConnection) -> None:
    _, openai, _ = ask(client, "POST", "/v1/chat/completions", b"{")
    _, anthropic, _ = ask(client, "POST", "/v1/messages", b"{")
    assert json.loads(openai)["error"]["type"] == "invalid_request_error"
    assert json.loads(anthropic)["error"] == {
        "type": "invalid_request_error",
        "message": "unexpected EOF",
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/nothing", 404, b"404 page not found"),
        ("PUT", "/api/generate", 405, b"405 method not allowed"),
    ],
)
def test_missed_routes_are_answered_in_text_and_recorded(
    server: DemoServer,
    client: http.client.HTTPConnection,
    method: str,
    path: str,
    status: int,
    text: bytes,
) -> None:
    found, answer, headers = ask(client, method, path, b"body")
    assert (found, answer, headers["content-type"]) == (status, text, "text/plain")
    assert (server.requests[0].path, server.requests[0].body) == (path, b"body")


def test_unclean_path_is_redirected(client: http.client.HTTPConnection) -> None:
    status, _, headers = ask(client, "POST", "/api/./generate", b"{}")
    assert (status, headers["location"]) == (301, "/api/generate")


def test_preflight_is_answered(client: http.client.HTTPConnection) -> None:
    assert ask(client, "OPTIONS", "/api/chat")[0] == 204


def test_foreign_host_is_refused_with_an_empty_body(client: http.client.HTTPConnection) -> None:
    assert ask(client, "GET", "/api/tags", Host="evil.example")[:2] == (403, b"")


def test_any_host_is_taken_where_the_address_is_not_loopback() -> None:
    with DemoServer("0.0.0.0") as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        assert ask(client, "GET", "/api/version", Host="evil.example")[0] == 200
        client.close()


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("", True),
        ("localhost:11434", True),
        ("a.localhost", True),
        ("box.local", True),
        ("host.docker.internal:1", True),
        ("127.0.0.1:11434", True),
        ("10.1.2.3", True),
        ("0.0.0.0", True),
        ("[::1]:11434", True),
        ("[::1]", True),
        ("example.com", False),
        ("8.8.8.8:80", False),
        ("localhost.evil.example", False),
    ],
)
def test_local_hosts_are_told_from_foreign_ones(host: str, is_local: bool) -> None:
    assert is_local_host(host) is is_local


def test_connection_serves_one_request_after_the_other(
    server: DemoServer, client: http.client.HTTPConnection
) -> None:
    for _ in range(3):
        assert ask(client, "GET", "/api/version")[0] == 200
    assert server.connections == 1


def test_pipelined_requests_are_answered_in_order(server: DemoServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        first = b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
        last = b"GET /api/version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        client.sendall(first + last)
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert received.count(b"HTTP/1.1 ") == 2
    assert received.index(b" 404 ") < received.index(b" 200 ")


def test_malformed_request_is_refused_and_ends_the_connection(server: DemoServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert received.endswith(b"400 Bad Request: missing required Host header")


def test_scripted_path_answers_any_method_and_counts_as_no_generation(
    server: DemoServer, client: http.client.HTTPConnection
) -> None:
    server.script("/api/tags", Script.document({"models": []}, status=500))
    status, answer, _ = ask(client, "POST", "/api/tags", b"x")
    assert (status, answer) == (500, b'{"models":[]}')
    assert (server.max_active(), server.requests[0].body) == (0, b"x")


def test_scripted_model_does_not_change_other_operations(
    server: DemoServer, client: http.client.HTTPConnection
) -> None:
    server.script("llama2", Script.generate("x"))
    status, answer, _ = ask(client, "POST", "/api/show", b'{"model":"llama2"}')
    assert status == 200
    assert b"capabilities" in answer
