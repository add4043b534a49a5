"""Compressed bodies: scanned in plain, sent on plain, and never a bomb; over real sockets."""

import gzip
import json
import zlib

import pytest
import requests
import zstandard

from ogp.demo.server import DemoServer
from tests.support.proxy import WAIT_S, Proxy

CHAT = {"model": "demo", "stream": False, "max_tokens": 50}
ENCODERS = {"zstd": zstandard.compress, "gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions", "/v1/messages"])
def test_a_compressed_body_is_scanned_and_sent_on_plain(
    proxy: Proxy, upstream: DemoServer, encoding: str, path: str
) -> None:
    headers = {**proxy.headers(), "Content-Encoding": encoding}

    def ask(text: str) -> requests.Response:
        document = {**CHAT, "messages": [{"role": "user", "content": text}]}
        body = ENCODERS[encoding](json.dumps(document).encode())
        return requests.post(proxy.url + path, data=body, headers=headers, timeout=WAIT_S)

    assert ask("the violet submarine").status_code == 403
    assert upstream.requests == []
    assert ask("hi").status_code == 200
    (seen,) = upstream.requests
    assert "content-encoding" not in seen.headers
    assert json.loads(seen.body)["messages"][0]["content"] == "hi"


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("zstd", zstandard.compress(bytes(2**26)), 413),
        ("gzip", gzip.compress(bytes(2**26)), 413),
        ("deflate", zlib.compress(bytes(2**26)), 413),
        ("zstd", b"{}", 400),
        ("gzip", b"{}", 400),
        ("deflate", zlib.compress(b"{}")[:-1], 400),
        ("br", b"{}", 415),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}")), 415),
    ],
)
def test_a_body_that_does_not_decode_reaches_no_server(
    proxy: Proxy, upstream: DemoServer, encoding: str, body: bytes, status: int
) -> None:
    headers = {**proxy.headers(), "Content-Encoding": encoding}
    answer = requests.post(proxy.url + "/api/chat", data=body, headers=headers, timeout=WAIT_S)
    assert answer.status_code == status
    assert upstream.requests == []
