"""Scripts and records over HTTP."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from ogp.demo.control import Control
from ogp.demo.ledger import Ledger
from ogp.demo.models import Library
from ogp.demo.scripts import Scripts
from ogp.demo.server import DemoServer


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running


def ask(server: DemoServer, path: str, document: Any = None) -> tuple[int, bytes]:
    body = None if document is None else json.dumps(document).encode()
    try:
        with build_opener(ProxyHandler({})).open(Request(server.url + path, body), timeout=5) as r:
            return r.status, r.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def generate(server: DemoServer, model: str) -> bytes:
    return ask(server, "/api/generate", {"model": model, "prompt": "hi"})[1]


def test_script_is_set_from_another_process(server: DemoServer) -> None:
    script = {"chunks": ["a", "b"], "chunks_base64": ["/w=="], "status": 201, "headers": {}}
    assert ask(server, "/__demo/script", {"target": "m", "scripts": [script]}) == (200, b"{}")
    assert ask(server, "/api/generate", {"model": "m"}) == (201, b"ab\xff")


def test_all_of_a_script_can_be_told(server: DemoServer) -> None:
    script = {
        "chunks": ["abc"],
        "framing": "length",
        "content_length": 3,
        "first_byte_ms": 1,
        "interval_ms": 1,
        "end": "clean",
        "hold_before_head": "gate",
        "hold_after": {"chunks": 1, "gate": "gate"},
    }
    ask(server, "/__demo/release", {"gate": "gate"})
    ask(server, "/__demo/script", {"target": "m", "scripts": [script]})
    assert generate(server, "m") == b"abc"


def test_state_tells_what_was_seen(server: DemoServer) -> None:
    generate(server, "demo-tokens-1")
    state = json.loads(ask(server, "/__demo/state")[1])
    (request,) = state["requests"]
    assert request["document"] == {"model": "demo-tokens-1", "prompt": "hi"}
    assert json.loads(request["body"]) == request["document"]
    assert request["headers"]["content-length"] == str(len(request["body"]))
    assert state["models"]["demo-tokens-1"]["max_active"] == 1
    assert (state["disconnects"], state["scripts"]) == ([], {})


def test_reset_forgets_records_and_scripts_and_opens_gates(server: DemoServer) -> None:
    script = {"chunks": ["abc"], "hold_before_head": "gate"}
    ask(server, "/__demo/script", {"target": "demo", "scripts": [script]})
    assert json.loads(ask(server, "/__demo/state")[1])["scripts"] == {"demo:latest": 1}
    assert ask(server, "/__demo/reset", {}) == (200, b"{}")
    assert b"You" in generate(server, "demo")
    assert len(server.requests) == 1


def test_control_requests_are_not_recorded(server: DemoServer) -> None:
    ask(server, "/__demo/state")
    assert server.requests == []


@pytest.mark.parametrize(
    ("path", "document", "message"),
    [
        ("script", {}, "give target"),
        ("script", {"target": ""}, "give target"),
        ("script", {"target": 5}, "give target"),
        ("script", {"target": "m", "scripts": {}}, "give target"),
        ("script", {"target": "m", "scripts": ["x"]}, "each script is an object"),
        ("script", {"target": "m", "scripts": [{"chunk": 1}]}, "unknown key 'chunk'"),
        ("script", {"target": "m", "scripts": [{"framing": "x"}]}, "framing is one of chunked"),
        ("script", {"target": "m", "scripts": [{"end": "x"}]}, "end is one of clean"),
        ("script", {"target": "m", "scripts": [{"chunks_base64": ["?"]}]}, "chunks_base64 are"),
        ("script", {"target": "m", "scripts": [{"chunks": 5}]}, "chunks is a list"),
        ("script", {"target": "m", "scripts": [{"chunks": [5]}]}, "chunks are strings"),
        ("script", {"target": "m", "scripts": [{"interval_ms": "x"}]}, "interval_ms is a number"),
        ("script", {"target": "m", "scripts": [{"status": True}]}, "status is a whole"),
        ("script", {"target": "m", "scripts": [{"status": "x"}]}, "status is"),
        ("script", {"target": "m", "scripts": [{"headers": []}]}, "headers is"),
        ("script", {"target": "m", "scripts": [{"content_length": 1.5}]}, "content_length is"),
        ("script", {"target": "m", "scripts": [{"hold_after": 1}]}, "hold_after is"),
        ("script", {"target": "m", "scripts": [{"hold_after": {"gate": "x"}}]}, "hold_after has"),
        ("script", {"target": "m", "scripts": [{"hold_after": {"chunks": 1}}]}, "a gate has"),
        ("release", {}, "a gate has a name"),
        ("release", [], "the body is a JSON object"),
    ],
)
def test_senseless_control_is_refused_with_what_is_right(
    server: DemoServer, path: str, document: Any, message: str
) -> None:
    status, answer = ask(server, f"/__demo/{path}", document)
    assert status == 400
    assert message in json.loads(answer)["error"]


def test_unknown_control_is_not_found(server: DemoServer) -> None:
    assert ask(server, "/__demo/nothing")[0] == 404


def test_control_is_for_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ogp.demo.server._is_loopback", lambda _address: False)
    with DemoServer() as server:
        assert ask(server, "/__demo/state") == (404, b"404 page not found")


def test_reset_sets_gates_at_which_somebody_waits() -> None:
    library = Library([])
    scripts = Scripts(library)
    control = Control(Ledger(keep_requests=1, keep_bytes=1), scripts)
    body = b'{"target":"m","scripts":[{"hold_before_head":"g"}]}'
    control.answer("POST", "/__demo/script", body)
    script = scripts.for_model("m")
    assert script is not None
    assert script.hold_before_head is not None
    control.reset()
    assert script.hold_before_head.is_set()
