"""What no scanner can read: pictures pass and are marked, the rest needs the operator's word."""

from collections.abc import Iterator
from typing import Any

import pytest

from ogp.demo.server import DemoServer
from tests.support.clients import asked_of, last_row
from tests.support.planted import PICTURE
from tests.support.proxy import Proxy

URL = "https://pictures.example/cat.png"
BASE64 = {"type": "base64", "media_type": "image/png", "data": "aGk="}


def chat(*content: Any) -> dict[str, Any]:
    return {"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": content}]}


def items(*content: Any) -> dict[str, Any]:
    return {"model": "demo", "input": [{"role": "user", "content": content}]}


def link(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


GENERATE = {"model": "demo", "prompt": "hi"}
LOOK = {"type": "text", "text": "look"}
PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "ollama": ("/api/generate", {**GENERATE, "images": ["aGk="], "stream": False}),
    "ollama chat": (
        "/api/chat",
        {
            "model": "demo",
            "messages": [{"role": "user", "content": "look", "images": ["aGk="]}],
            "stream": False,
        },
    ),
    "openai": ("/v1/chat/completions", chat(LOOK, link(PICTURE))),
    "openai, bare": (
        "/v1/chat/completions",
        chat(LOOK, {"type": "image_url", "image_url": PICTURE}),
    ),
    "responses": (
        "/v1/responses",
        items({"type": "input_image", "detail": "auto", "image_url": PICTURE}),
    ),
    "anthropic": ("/v1/messages", chat(LOOK, {"type": "image", "source": BASE64})),
    "anthropic, in a result": (
        "/v1/messages",
        chat(
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [{"type": "image", "source": BASE64}],
            }
        ),
    ),
}
SOUND = {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}
DOCUMENT = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
}
MESSAGES = [{"role": "user", "content": "hi"}]
CLOUD: list[tuple[str, str, dict[str, Any]]] = [
    ("m:cloud", "/api/generate", GENERATE),
    ("m:7b-cloud", "/api/chat", {"messages": MESSAGES}),
    ("M:Cloud", "/v1/completions", {"prompt": "hi"}),
    ("m-cloud", "/v1/chat/completions", {"messages": MESSAGES}),
    ("u/m:cloud", "/v1/responses", {"input": "hi"}),
    ("m:cloud", "/v1/embeddings", {"input": "hi"}),
    ("m:cloud", "/v1/messages", chat(LOOK)),
]
"""Model, path, body."""
RESTRICTED: dict[str, tuple[str, dict[str, Any], str]] = {
    "context": ("/api/generate", {**GENERATE, "context": [1, 2]}, "context"),
    "raw": ("/api/generate", {**GENERATE, "raw": True}, "raw"),
    "template": ("/v1/generate", {**GENERATE, "template": "{{ .Prompt }}"}, "template"),
    "rendering": ("/api/generate", {**GENERATE, "_debug_render_only": True}, "debug_render"),
    "rendered chat": (
        "/v1/chat/completions",
        {"model": "demo", "messages": MESSAGES, "_DEBUG_render_only": True},
        "debug_render",
    ),
    "sound": ("/v1/chat/completions", chat(LOOK, SOUND), "audio"),
    "sound in a response": ("/v1/responses", items(SOUND), "audio"),
    "a document": ("/v1/messages", chat(DOCUMENT), "documents"),
    "a search": (
        "/v1/messages",
        {**chat(LOOK), "tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        "web_search",
    ),
    "other servers": (
        "/v1/messages",
        {**chat(LOOK), "mcp_servers": [{"type": "url", "url": URL, "name": "n"}]},
        "mcp_servers",
    ),
    **{
        f"cloud, {path}": (path, {**body, "model": model}, "cloud_model")
        for model, path, body in CLOUD
    },
}
"""Path, body, and what the operator would have to allow."""
FETCHED: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", chat(LOOK, link(URL))),
    "openai, bare": ("/v1/chat/completions", chat({"type": "image_url", "image_url": URL})),
    "openai, a text with a link beside": (
        "/v1/chat/completions",
        chat({**LOOK, "image_url": {"url": URL}}),
    ),
    "openai, a file": (
        "/v1/chat/completions",
        chat({"type": "file", "file": {"file_id": "f"}}),
    ),
    "responses": ("/v1/responses", items({"type": "input_image", "image_url": URL})),
    "responses, a file": ("/v1/responses", items({"type": "input_file", "file_url": URL})),
    "anthropic": (
        "/v1/messages",
        chat({"type": "image", "source": {"type": "url", "url": URL}}),
    ),
    "anthropic, beside base64": (
        "/v1/messages",
        chat({"type": "image", "source": {**BASE64, "url": URL}}),
    ),
    "anthropic, stored": (
        "/v1/messages",
        chat({"type": "document", "source": {"type": "file", "file_id": "f"}}),
    ),
    "ollama": ("/api/generate", {**GENERATE, "images": [URL]}),
}


@pytest.fixture(scope="module")
def lenient(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    allowed = ",".join(sorted({name for _, _, name in RESTRICTED.values()}))
    with Proxy(
        tmp_path_factory.mktemp("lenient"),
        shared_upstream.url,
        access__allow_restricted_fields=allowed,
    ) as proxy:
        yield proxy


@pytest.mark.parametrize(("path", "body"), PICTURES.values(), ids=PICTURES.keys())
def test_a_picture_passes_and_is_marked_in_the_record(
    path: str, body: dict[str, Any], proxy: Proxy, upstream: DemoServer
) -> None:
    answer = proxy.post(path, body)
    assert answer.status_code == 200
    assert "I see 1 image." in answer.text
    (request,) = asked_of(upstream)
    assert b"aGk=" in request.body
    row = last_row(proxy)
    assert row["guard_input"].split(";")[-1] == "unscanned:images"
    assert '"unscanned":["images"]' in row["guard_input_details"].replace(" ", "")


@pytest.mark.parametrize(("path", "body", "name"), RESTRICTED.values(), ids=RESTRICTED.keys())
def test_what_would_blind_the_guard_is_refused(
    path: str, body: dict[str, Any], name: str, proxy: Proxy, upstream: DemoServer
) -> None:
    answer = proxy.post(path, body)
    assert answer.status_code == 403
    error = answer.json()["error"]
    told = answer.json() if isinstance(error, str) else error
    assert (told["code"], told["fields"]) == ("forbidden", [name])
    assert asked_of(upstream) == []
    row = last_row(proxy)
    assert (row["response_status"], row["error_code"]) == (403, "forbidden")


@pytest.mark.parametrize(("path", "body", "name"), RESTRICTED.values(), ids=RESTRICTED.keys())
def test_what_the_operator_allows_goes_on(
    path: str, body: dict[str, Any], name: str, lenient: Proxy, upstream: DemoServer
) -> None:
    assert lenient.post(path, body).status_code in (200, 404)
    assert len(asked_of(upstream)) == 1
    marked = {"audio": "audio", "documents": "documents", "context": "context"}.get(name)
    assert ("unscanned" in last_row(lenient)["guard_input"]) == bool(marked)


@pytest.mark.parametrize(("path", "body"), FETCHED.values(), ids=FETCHED.keys())
def test_what_would_be_fetched_from_elsewhere_is_malformed(
    path: str, body: dict[str, Any], proxy: Proxy, lenient: Proxy, upstream: DemoServer
) -> None:
    for one, token in ((proxy, proxy.token), (proxy, proxy.admin_token), (lenient, lenient.token)):
        assert one.post(path, body, token=token).status_code == 400
    assert asked_of(upstream) == []


@pytest.mark.parametrize("token", ["user", "admin"])
def test_transcriptions_are_refused_to_everybody(
    token: str, lenient: Proxy, upstream: DemoServer
) -> None:
    answer = lenient.post(
        "/v1/audio/transcriptions",
        token=lenient.token if token == "user" else lenient.admin_token,
        files={"file": ("a.wav", b"RIFF")},
    )
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "forbidden"
    assert asked_of(upstream) == []
