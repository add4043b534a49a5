"""Bodies that Go and Python read differently: what is scanned is what is sent, or nothing is.

The look-alike reads bodies as Go does, so what reaches it is what Ollama would have seen.
"""

import gzip
import json
from typing import Any

import pytest
import requests

from ogp.demo.server import DemoServer
from tests.support.proxy import BANNED, WAIT_S, Proxy

ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in BANNED)

REFUSED = {
    "duplicate key": f'{{"model":"demo","prompt":"fine","prompt":"{BANNED}"}}',
    "duplicate key in another case": f'{{"model":"demo","prompt":"fine","PROMPT":"{BANNED}"}}',
    "long s folds to s": f'{{"model":"demo","prompt":"x","system":"a","\u017fystem":"{BANNED}"}}',
    "long s, escaped": f'{{"model":"demo","system":"a","\\u017fystem":"{BANNED}"}}',
    "kelvin sign folds to k": '{"model":"demo","keep_alive":1,"\u212aeep_alive":0}',
    "null after a value": f'{{"model":"demo","prompt":"{BANNED}","prompt":null}}',
    "duplicate object": '{"model":"demo","options":{"a":1},"options":{"b":2}}',
    "duplicate array": f'{{"model":"demo","messages":[],"messages":[{{"content":"{BANNED}"}}]}}',
    "model twice": '{"model":"demo","MODEL":"other","prompt":"x"}',
    "second document": f'{{"model":"demo","prompt":"x"}}{{"prompt":"{BANNED}"}}',
    "trailing garbage": '{"model":"demo","prompt":"x"}garbage',
    "NaN": '{"model":"demo","prompt":"x","options":{"a":NaN}}',
    "infinity by size": '{"model":"demo","prompt":"x","options":{"a":1e999}}',
    "trailing comma": '{"model":"demo","prompt":"x",}',
    "comment": '{"model":"demo"/**/,"prompt":"x"}',
    "array body": '[{"model":"demo"}]',
    "null body": "null",
    "string body": '"demo"',
    "no body": "",
    "raw control character": '{"model":"demo","prompt":"a\nb"}',
    "lone surrogate": '{"model":"demo","prompt":"\\ud800"}',
    "reversed surrogates": '{"model":"demo","prompt":"\\udc00\\ud800"}',
    "deep nesting": '{"model":"demo","x":' + "[" * 5000 + "]" * 5000 + "}",
    "deep nesting, never closed": '{"model":"demo","x":' + "[" * 100_000,
    "integer of thousands of digits": '{"model":"demo","x":' + "9" * 10_000 + "}",
}
REFUSED_BYTES = {
    "byte order mark": b'\xef\xbb\xbf{"model":"demo","prompt":"x"}',
    "UTF-16": f'{{"model":"demo","prompt":"{BANNED}"}}'.encode("utf-16"),
    "UTF-16 without mark": f'{{"model":"demo","prompt":"{BANNED}"}}'.encode("utf-16-le"),
    "UTF-32": b"\x00\x00\x00{\x00\x00\x00}",
    "invalid UTF-8": b'{"model":"demo","prompt":"\xff\xfe"}',
    "overlong UTF-8": b'{"model":"demo","prompt":"\xc0\xaf"}',
    "surrogate as UTF-8": b'{"model":"demo","prompt":"\xed\xa0\x80"}',
}
EVERY_BODY = {**{name: text.encode() for name, text in REFUSED.items()}, **REFUSED_BYTES}


def send(proxy: Proxy, body: bytes, path: str = "/api/generate", **headers: str) -> Any:
    return requests.post(
        proxy.url + path, data=body, headers={**proxy.headers(), **headers}, timeout=WAIT_S
    )


@pytest.mark.parametrize("body", EVERY_BODY.values(), ids=EVERY_BODY.keys())
def test_ambiguous_bodies_are_refused_and_nothing_is_sent(
    proxy: Proxy, upstream: DemoServer, body: bytes
) -> None:
    answer = send(proxy, body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_request"
    assert BANNED not in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize("key", ["prompt", "PROMPT", "pRompt", "\\u0070rompt"])
def test_one_key_in_any_spelling_is_scanned(proxy: Proxy, upstream: DemoServer, key: str) -> None:
    answer = send(proxy, f'{{"model":"demo","{key}":"a {BANNED}"}}'.encode())
    assert answer.status_code == 403
    assert upstream.requests == []


@pytest.mark.parametrize(
    "body",
    [
        f'{{"model":"demo","prompt":"{ESCAPED}"}}',
        f'{{"model":"demo","prompt":"x","unknown":{{"deep":["{BANNED}"]}}}}',
        f'{{"model":"demo","prompt":"x","{BANNED}":1}}',
        f'{{"model":"demo","prompt":"x","format":{{"enum":["{BANNED}"]}}}}',
        f'{{"model":"demo","prompt":"x","options":{{"stop":["{BANNED}"]}}}}',
        f'{{"model":"demo","prompt":"{BANNED[:6]}","suffix":"{BANNED[6:]}"}}',
        json.dumps({"model": "demo", "prompt": json.dumps({"nested": BANNED})}),
        json.dumps({"model": "demo", "system": BANNED.upper()}),
        json.dumps({"model": "demo", "prompt": BANNED.replace("i", "i\u200b")}),
        json.dumps({"model": "demo", "prompt": "".join(chr(ord(c) + 0xFEE0) if c != " " else c
                                                       for c in BANNED)}),
    ],
)  # fmt: skip
def test_the_phrase_is_found_wherever_and_however_it_is_written(
    proxy: Proxy, upstream: DemoServer, body: str
) -> None:
    assert send(proxy, body.encode()).status_code == 403
    assert upstream.requests == []


def test_the_phrase_split_over_messages_is_found(proxy: Proxy, upstream: DemoServer) -> None:
    messages = [{"role": "user", "content": part} for part in (BANNED[:9], BANNED[9:])]
    answer = proxy.post("/api/chat", {"model": "demo", "messages": messages})
    assert answer.status_code == 403
    assert upstream.requests == []


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/json; charset=utf-16"],
)  # fmt: skip
def test_the_content_type_changes_nothing(
    proxy: Proxy, upstream: DemoServer, content_type: str
) -> None:
    body = json.dumps({"model": "demo", "prompt": BANNED}).encode()
    assert send(proxy, body, **{"Content-Type": content_type}).status_code == 403
    body = json.dumps({"model": "demo", "prompt": "fine", "stream": False}).encode()
    assert send(proxy, body, **{"Content-Type": content_type}).status_code == 200
    (seen,) = upstream.requests
    assert seen.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("encoding", "status"),
    [("gzip", 400), ("zstd", 400), ("deflate", 400), ("br", 415), ("identity, gzip", 415)],
)
def test_a_body_that_is_not_what_its_encoding_says_is_refused(
    proxy: Proxy, upstream: DemoServer, encoding: str, status: int
) -> None:
    answer = send(proxy, b'{"model":"demo","prompt":"x"}', **{"Content-Encoding": encoding})
    assert answer.status_code == status
    assert upstream.requests == []


def test_a_compressed_body_is_scanned_and_goes_on_plain(proxy: Proxy, upstream: DemoServer) -> None:
    asked = '{"model":"demo","prompt":"%s","stream":false}'
    bad = gzip.compress((asked % BANNED).encode())
    assert send(proxy, bad, **{"Content-Encoding": "gzip"}).status_code == 403
    assert upstream.requests == []
    good = gzip.compress((asked % "hello").encode())
    assert send(proxy, good, **{"Content-Encoding": "gzip"}).status_code == 200
    (seen,) = upstream.requests_to("/api/generate")
    assert "content-encoding" not in seen.headers
    assert json.loads(seen.body)["prompt"] == "hello"


def test_what_is_sent_is_equal_to_what_came_in_order_and_value(
    proxy: Proxy, upstream: DemoServer
) -> None:
    body = (
        '{ "model" : "demo", "prompt":"gr\u00fc\u00df \\u2028 \\ud83d\\ude00 \\u0000",'
        '"stream":false,'
        '"zeta":{"b":1,"a":2}, "big":18446744073709551617, "float":0.1, "small":1e-7 }'
    )
    assert send(proxy, body.encode()).status_code == 200
    (seen,) = upstream.requests
    ordered = {"object_pairs_hook": list}
    assert json.loads(seen.body, **ordered) == json.loads(body, **ordered)
    assert b"18446744073709551617" in seen.body
    assert seen.body.isascii()


def test_routing_and_recording_use_the_one_model(proxy: Proxy, upstream: DemoServer) -> None:
    answer = send(proxy, b'{"MODEL":"Demo:Latest","prompt":"x","stream":false}')
    assert answer.status_code == 200
    (seen,) = upstream.requests
    assert list(seen.document).count("model") == 1
    assert proxy.rows()[-1]["model"] == "demo"


@pytest.mark.parametrize(
    "field",
    [{"raw": True}, {"template": "{{.Prompt}}"}, {"context": [1, 2]}, {"_debug_render_only": True}],
)
def test_fields_that_blind_the_guard_are_for_administrators(
    proxy: Proxy, upstream: DemoServer, field: dict[str, object]
) -> None:
    document = {"model": "demo", "prompt": "x", "stream": False, **field}
    assert proxy.post("/api/generate", document).status_code == 403
    assert upstream.requests == []
    answer = proxy.post("/api/generate", document, token=proxy.admin_token)
    assert answer.status_code == 200


@pytest.mark.parametrize("model", ["glm:cloud", "glm-cloud", "glm:120b-cloud"])
def test_models_that_run_elsewhere_are_refused(
    proxy: Proxy, upstream: DemoServer, model: str
) -> None:
    assert proxy.post("/api/generate", {"model": model, "prompt": "x"}).status_code == 403
    assert upstream.requests == []
