import json
import re
from pathlib import Path

import pytest

from ogp.dialects.coverage import DIALECTS, Coverage, coverage
from ogp.dialects.forms import Body
from ogp.settings.schema import LimitSettings

ROUTES = {(route.method, route.path): route for route in coverage()}
API = (Path(__file__).resolve().parents[3] / "docs/api.md").read_text("utf-8")

OLLAMA_SERVES = """
    GET /api/version  HEAD /api/version  GET /api/status  GET /api/tags  HEAD /api/tags
    GET /api/ps  POST /api/show  POST /api/generate  POST /api/chat  POST /api/embed
    POST /api/embeddings  POST /api/pull  POST /api/push  POST /api/create
    POST /api/blobs/{}  HEAD /api/blobs/{}  POST /api/copy  DELETE /api/delete
    POST /api/me  POST /api/signout  DELETE /api/user/keys/{}
    POST /api/experimental/web_search  POST /api/experimental/web_fetch
    GET /api/experimental/model-recommendations
    POST /v1/chat/completions  POST /v1/completions  POST /v1/embeddings  GET /v1/models
    GET /v1/models/{}  POST /v1/responses  POST /v1/audio/transcriptions  POST /v1/messages
"""
"""All that Ollama 0.33 routes, but `/`, which the edge answers itself."""
OTHERS = {
    ("POST", "/v1/generate"),
    ("POST", "/v1/systemone"),
    ("POST", "/v1/messages/count_tokens"),
}
"""An alias of ours, what the official client calls though no server has it, what others have."""


def test_every_route_of_ollama_is_declared_and_no_other() -> None:
    pairs = re.findall(r"(\w+) (\S+)", OLLAMA_SERVES)
    declared = {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in ROUTES}
    assert declared == set(pairs) | OTHERS


def test_dangerous_routes_are_nobodys() -> None:
    refused = {path for (_, path), route in ROUTES.items() if route.caller == "nobody"}
    assert refused == {
        "/api/me",
        "/api/signout",
        "/api/user/keys/{key}",
        "/api/experimental/web_search",
        "/api/experimental/web_fetch",
        "/api/experimental/model-recommendations",
        "/v1/systemone",
        "/v1/audio/transcriptions",
    }
    assert all(bool(route.why) == (route.caller == "nobody") for route in ROUTES.values())


def test_what_changes_models_is_for_managers() -> None:
    managed = {path for (_, path), route in ROUTES.items() if route.caller == "manager"}
    changing = ("pull", "push", "create", "copy", "delete", "blobs/{digest}")
    assert managed == {f"/api/{name}" for name in changing}


@pytest.mark.parametrize("route", ROUTES.values(), ids=lambda route: f"{route.method} {route.path}")
def test_what_waits_for_a_slot_has_text_and_the_other_way_round(route: Coverage) -> None:
    costless = route.path == "/v1/messages/count_tokens"
    assert route.queued is (bool(route.text_in) and not costless)
    assert not route.text_out or route.text_in
    assert (route.streams == "never") == (route.answer == "document")
    assert (route.takes == "bytes") == (
        (route.method, route.path) in {("POST", "/api/blobs/{digest}")}
    )


@pytest.mark.parametrize(
    ("method", "path", "text_in"),
    [
        ("POST", "/api/generate", ("prompt", "suffix", "system", "template")),
        ("POST", "/api/chat", ("messages[].content", "messages[].thinking")),
        ("POST", "/api/embed", ("input", "input[]")),
        ("POST", "/v1/completions", ("prompt", "suffix")),
    ],
)
def test_text_stands_in_the_fields_of_the_route(
    method: str, path: str, text_in: tuple[str, ...]
) -> None:
    assert ROUTES[method, path].text_in == text_in


ASKED = {"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 9}


def test_parsed_requests_are_as_the_table_says() -> None:
    for kind in DIALECTS:
        for operation in kind(LimitSettings()).operations:
            route = ROUTES[operation.method, operation.path]
            if operation.form.body is Body.JSON and route.caller == "user":
                request = operation.parse(json.dumps(ASKED).encode())
                assert (request.queued, request.dialect) == (route.queued, route.dialect)
                assert request.scanned == bool(route.text_in)


def documented() -> dict[tuple[str, str], tuple[str, str, str]]:
    """Method and path -> who may call it, whether it is guarded and queued, how it answers."""
    found = {}
    for line in API.partition("## Inference and models")[2].partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for method, path in re.findall(r"`([A-Z]+) (/\S+)`", cells[0]):
            found[method, path] = (cells[1], cells[2], cells[3])
    return found


def words_for(route: Coverage) -> tuple[str, str, str]:
    caller = {"user": "any", "manager": "administrator", "nobody": "nobody"}[route.caller]
    guarded = "guarded, queued" if route.queued else "guarded" if route.text_in else ""
    kinds = {"ndjson": "NDJSON", "sse": "SSE"}
    if route.caller == "nobody":
        return caller, guarded, "403"
    if route.streams == "never":
        return caller, guarded, "document"
    return caller, guarded, f"{kinds[route.answer]} {route.streams}"


def test_the_document_has_every_route_as_the_table_says() -> None:
    assert documented() == {key: words_for(route) for key, route in ROUTES.items()}


def test_a_route_is_told_to_programs_as_well() -> None:
    told = ROUTES["POST", "/api/pull"].as_dict()
    assert json.loads(json.dumps(told))["caller"] == "manager"
