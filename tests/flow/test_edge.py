"""Who gets in, which paths exist, which headers pass: over real sockets."""

import json
from collections.abc import Iterable

import pytest
import requests

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import WAIT_S, Proxy, raw_connection

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": False}


def exchange(proxy: Proxy, sent: bytes | Iterable[bytes]) -> bytes:
    """Everything the proxy answers to raw bytes until it closes the connection."""
    with raw_connection(proxy) as connection:
        connection.sendall(sent if isinstance(sent, bytes) else b"".join(sent))
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def raw_request(proxy: Proxy, method: str, target: str, body: bytes = b"", *lines: str) -> bytes:
    head = [
        f"{method} {target} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {proxy.token}",
        "Connection: close",
        *(lines or (f"Content-Length: {len(body)}",)),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


@pytest.mark.parametrize("path", ["/health", "/ready", "/up", "/"])
def test_what_is_public_needs_no_token(proxy: Proxy, path: str) -> None:
    answer = requests.get(proxy.url + path, timeout=WAIT_S)
    assert answer.status_code == 200
    assert proxy.token not in answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/chat"), ("GET", "/api/tags"), ("GET", "/config"), ("GET", "/queue/stats"),
     ("GET", "/queue/memory"), ("GET", "/api/version"), ("POST", "/api/show")],
)  # fmt: skip
def test_everything_else_does(proxy: Proxy, upstream: DemoServer, method: str, path: str) -> None:
    answer = requests.request(method, proxy.url + path, json=CHAT, timeout=WAIT_S)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert upstream.requests_to("/api/chat") == []


@pytest.mark.parametrize(
    "target",
    ["//api/generate", "/./api/generate", "/api/../api/generate", "/api/generate/",
     "/API/generate", "/api/generate;x=1", "/api/generate%20", "/api/generate%00",
     "/api/generate%0a", "/api\\generate", "/api/%2e%2e/api/generate", "/api/pull/",
     "//api/pull", "/api/blobs", "/api/blobs/a/b", "/api/user/keys", "/debug/pprof",
     "/v1/files", "/v1/messages/batches", "//v1/models/demo", "/v1/chat"],
)  # fmt: skip
def test_paths_that_are_not_in_the_table_do_not_exist(
    proxy: Proxy, upstream: DemoServer, target: str
) -> None:
    answer = exchange(proxy, raw_request(proxy, "POST", target, b'{"model":"m","prompt":"x"}'))
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), answer[:200]
    assert upstream.requests == []


@pytest.mark.parametrize("target", ["/api%2fgenerate", "/%61pi/generate", "/api/%67enerate"])
def test_an_encoded_path_is_the_same_path_with_the_same_guard(
    proxy: Proxy, upstream: DemoServer, target: str
) -> None:
    body = b'{"model":"demo","prompt":"violet submarine"}'
    assert b" 403 " in exchange(proxy, raw_request(proxy, "POST", target, body))[:20]
    body = b'{"model":"demo","prompt":"x","stream":false}'
    assert b" 200 " in exchange(proxy, raw_request(proxy, "POST", target, body))[:20]
    (seen,) = upstream.requests
    assert seen.path == "/api/generate"


def test_another_hosts_target_stays_here(proxy: Proxy, upstream: DemoServer) -> None:
    body = b'{"model":"demo","prompt":"violet submarine"}'
    target = "http://example.com/api/generate"
    answer = exchange(proxy, raw_request(proxy, "POST", target, body))
    assert answer.startswith((b"HTTP/1.1 403", b"HTTP/1.1 400", b"HTTP/1.1 404"))
    assert upstream.requests == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "post"])
def test_other_methods_are_refused(proxy: Proxy, upstream: DemoServer, method: str) -> None:
    answer = exchange(proxy, raw_request(proxy, method, "/api/generate", b""))
    assert answer.startswith((b"HTTP/1.1 405", b"HTTP/1.1 400", b"HTTP/1.1 200"))
    assert upstream.requests == []


def test_an_override_header_overrides_nothing(proxy: Proxy, upstream: DemoServer) -> None:
    answer = proxy.get("/api/generate", params={"x": 1})
    assert answer.status_code == 405
    answer = proxy.post("/api/chat", CHAT, headers={"X-HTTP-Method-Override": "DELETE"})
    assert answer.status_code == 404  # the look-alike knows no model m
    assert upstream.requests_to("/api/chat")


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: +5",),
        ("Content-Length: 5_0",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding : chunked",),
        ("Authorization_: x", "Content-Length: 0"),
    ],
)
def test_ambiguous_framing_is_refused(
    proxy: Proxy, upstream: DemoServer, lines: tuple[str, ...]
) -> None:
    answer = exchange(proxy, raw_request(proxy, "POST", "/api/chat", b"0\r\n\r\nX", *lines))
    assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 501"), answer[:200]
    assert upstream.requests == []


def test_a_chunked_body_is_read_and_sent_with_its_length(
    proxy: Proxy, upstream: DemoServer
) -> None:
    body = json.dumps(CHAT | {"model": "demo"}).encode()
    chunked = b"".join(b"%x\r\n%s\r\n" % (1, bytes([byte])) for byte in body) + b"0\r\n\r\n"
    answer = exchange(
        proxy, raw_request(proxy, "POST", "/api/chat", chunked, "Transfer-Encoding: chunked")
    )
    assert b" 200 " in answer[:20]
    headers = upstream.requests[0].headers
    assert "transfer-encoding" not in headers
    assert int(headers["content-length"]) == len(upstream.requests[0].body)


def test_a_broken_chunk_is_refused(proxy: Proxy, upstream: DemoServer) -> None:
    answer = exchange(
        proxy,
        raw_request(proxy, "POST", "/api/chat", b"zz\r\n{}\r\n", "Transfer-Encoding: chunked"),
    )
    assert b" 400 " in answer[:20]
    assert upstream.requests == []


def test_a_declared_body_over_the_limit_is_refused_before_it_comes(proxy: Proxy) -> None:
    with raw_connection(proxy) as connection:
        connection.sendall(
            raw_request(proxy, "POST", "/api/chat", b"", "Content-Length: 99999999999")
        )
        assert connection.recv(20).startswith(b"HTTP/1.1 413")


def test_http_1_0_gets_its_stream_without_chunks(proxy: Proxy, upstream: DemoServer) -> None:
    body = json.dumps({**CHAT, "model": "demo", "stream": True}).encode()
    sent = raw_request(proxy, "POST", "/api/chat", body).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    answer = exchange(proxy, sent)
    head, _, received = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert received.rstrip().endswith(b"}")
    assert b'"done":true' in received


def test_a_client_that_waits_for_the_go_ahead_gets_it(proxy: Proxy, upstream: DemoServer) -> None:
    body = json.dumps({**CHAT, "model": "demo"}).encode()
    with raw_connection(proxy) as connection:
        length = f"Content-Length: {len(body)}"
        connection.sendall(
            raw_request(proxy, "POST", "/api/chat", b"", length, "Expect: 100-continue")
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        assert connection.recv(20).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("value", ["202-continue", "100-continue, x", "x"])
def test_another_expectation_is_not_met(proxy: Proxy, upstream: DemoServer, value: str) -> None:
    body = json.dumps({**CHAT, "model": "demo"}).encode()
    lines = (f"Content-Length: {len(body)}", f"Expect: {value}")
    answer = exchange(proxy, raw_request(proxy, "POST", "/api/chat", body, *lines))
    assert answer.startswith(b"HTTP/1.1 417")
    assert upstream.requests == []


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_http_1_0_gets_every_dialects_stream_until_the_connection_ends(
    proxy: Proxy, upstream: DemoServer, path: str
) -> None:
    document = {**CHAT, "model": "demo", "stream": True, "max_tokens": 50, "input": "hi"}
    body = json.dumps(document).encode()
    sent = raw_request(proxy, "POST", path, body).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    head, _, received = exchange(proxy, sent).partition(b"\r\n\r\n")
    assert b" 200 " in head.partition(b"\r\n")[0]
    assert b"chunked" not in head.lower()
    assert received.startswith((b"data: ", b"event: "))
    assert received.endswith(b"\n\n")


def test_nothing_of_the_clients_headers_goes_upstream(proxy: Proxy, upstream: DemoServer) -> None:
    secret = "marker-7f3a"
    headers = {
        "Cookie": secret, "X-Forwarded-For": "10.9.8.7", "X-Api-Key": proxy.token,
        "Accept-Encoding": "gzip", "X-Custom": secret, "User-Agent": secret, "Origin": secret,
    }  # fmt: skip
    proxy.post("/api/chat", {**CHAT, "model": "demo"}, headers=headers)
    (seen,) = upstream.requests
    text = str(seen.headers)
    assert secret not in text
    assert proxy.token not in text
    assert "10.9.8.7" not in text


def test_nothing_of_the_upstreams_headers_comes_back(proxy: Proxy, upstream: DemoServer) -> None:
    headers = {"Content-Type": "application/json", "Set-Cookie": "a=b", "X-Internal": "host-7"}
    upstream.script("m", Script(chunks=[b"{}"], headers=headers, framing="length"))
    answer = proxy.post("/api/chat", CHAT)
    assert "Set-Cookie" not in answer.headers
    assert "X-Internal" not in answer.headers
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Basic {token}", "{token}", "Bearer {token} x", "Bearer  {token}",
     "Bearer {token},Bearer {token}", "Bearer {token}a", "Bearer x{token}", "Bearer {short}",
     "Bearer ogp_' OR 1=1--", "Bearer ogp_%", "Bearer {upper}"],
)  # fmt: skip
def test_tokens_have_one_spelling(proxy: Proxy, upstream: DemoServer, value: str) -> None:
    token = proxy.token
    header = value.format(token=token, short=token[:-1], upper=token.upper())
    answer = requests.post(
        proxy.url + "/api/chat", json=CHAT, headers={"Authorization": header}, timeout=WAIT_S
    )
    assert answer.status_code == 401
    assert upstream.requests == []
    assert token not in answer.text


def test_a_token_elsewhere_than_in_its_header_is_none(proxy: Proxy) -> None:
    for options in (
        {"params": {"token": proxy.token}},
        {"cookies": {"token": proxy.token}},
        {"headers": {"X-Forwarded-User": "root"}},
    ):
        answer = requests.post(proxy.url + "/api/chat", json=CHAT, timeout=WAIT_S, **options)
        assert answer.status_code == 401


def test_the_body_of_a_blocked_prompt_has_the_documented_form(
    proxy: Proxy, upstream: DemoServer
) -> None:
    answer = proxy.post("/api/generate", {"model": "m", "prompt": "the violet submarine"})
    assert answer.status_code == 403
    body = answer.json()
    assert set(body) == {"error", "code", "message", "language", "details"}
    assert (body["error"], body["language"]) == ("prompt_blocked", "en")
    details = body["details"]
    assert details["allowed"] is False
    assert details["scanner_count"] == len(details["scanners"])
    assert details["scanners"]["ban_substrings"] == {
        "passed": False, "risk_score": 1.0, "sanitized": False
    }  # fmt: skip
    assert upstream.requests == []


def test_the_alias_of_generate_is_generate(proxy: Proxy, upstream: DemoServer) -> None:
    answer = proxy.post("/v1/generate", {"model": "demo", "prompt": "x", "stream": False})
    assert answer.status_code == 200
    assert upstream.requests[0].path == "/api/generate"


def test_streams_arrive_token_by_token(proxy: Proxy, upstream: DemoServer) -> None:
    with proxy.post(
        "/api/chat", {**CHAT, "model": "demo-tokens-10-20ms", "stream": True}, stream=True
    ) as answer:
        pieces = [piece for piece in answer.raw.stream(decode_content=False) if piece]
    assert len(pieces) >= 8


def test_every_request_leaves_one_row_and_probes_none(proxy: Proxy, upstream: DemoServer) -> None:
    before = len(proxy.rows())
    proxy.post("/api/chat", {**CHAT, "model": "demo"})
    proxy.post("/api/chat", {"messages": []})
    requests.post(proxy.url + "/api/chat", json=CHAT, timeout=WAIT_S)
    proxy.get("/nowhere")
    proxy.get("/health")
    proxy.get("/queue/stats")
    rows = proxy.rows()[before:]
    assert [row["response_status"] for row in rows] == [200, 400, 401, 404]
    assert {row["state"] for row in rows} == {"finished"}
    served = rows[0]
    assert served["username"] == "alice"
    assert served["client_ip"] == "127.0.0.1"
    assert served["model"] == "demo"
    assert served["server_used"] == "ollama"
    assert served["completion_tokens"] > 0
    assert served["guard_input"] in ("clean", "clean;cached")
    assert served["request_bytes"] > 0
    assert served["response_bytes"] > 0


def test_no_prompt_answer_or_token_is_in_log_database_or_statistics(
    proxy: Proxy, upstream: DemoServer
) -> None:
    marker = "marker-3c91d"
    upstream.script("m", Script.document({"message": {"content": f"reply {marker}"}}))
    proxy.post("/api/chat", {**CHAT, "messages": [{"role": "user", "content": marker}]})
    proxy.post(
        "/api/chat",
        {**CHAT, "messages": [{"role": "user", "content": f"{marker} violet submarine"}]},
    )
    proxy.post("/api/chat", {"model": "m", "messages": marker})
    found = proxy.output.text() + str(proxy.rows())
    for path in ("/health", "/config", "/queue/stats"):
        found += proxy.get(path, token=proxy.admin_token).text
    for file in proxy.directory.rglob("*"):
        if file.is_file():
            found += file.read_bytes().decode("latin-1")
    assert marker not in found
    assert proxy.token not in found
    assert proxy.admin_token not in found


def test_files_belong_to_their_owner_alone(proxy: Proxy) -> None:
    data = proxy.directory / "data"
    assert data.stat().st_mode & 0o077 == 0
    for file in (*data.glob("ogp.db*"), *(proxy.directory / "logs").glob("*")):
        assert file.stat().st_mode & 0o077 == 0, file.name
