"""What installs, copies and removes models: by the official client, sync and async, and raw."""

import asyncio
import http.client
import json
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import Any

import ollama
import pytest
from pydantic import BaseModel

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import WAIT_S, Proxy, raw_connection

MIB = 1024 * 1024
ASK = [{"role": "user", "content": "Why is the sky blue?"}]
TIMES = {"created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration"}

Step = tuple[str, Sequence[Any], dict[str, Any]]


def step(method: str, *arguments: Any, **options: Any) -> Step:
    return method, arguments, options


MANAGING: dict[str, Sequence[Step]] = {
    "pull": [step("pull", "llama2"), step("show", "llama2")],
    "pull, streamed": [step("pull", "user/llama3:8b", stream=True)],
    "push": [step("push", "demo")],
    "push, streamed": [step("push", "demo", stream=True)],
    "create": [step("create", "mine", from_="demo", system="be kind")],
    "create, streamed": [step("create", "ours", from_="demo", license=["MIT"], stream=True)],
    "copy": [step("copy", "demo", "copied"), step("show", "copied")],
    "delete": [step("copy", "demo", "gone"), step("delete", "gone")],
}
FOR_EVERYBODY: dict[str, Sequence[Step]] = {
    "list": [step("list")],
    "show": [step("show", "demo")],
    "ps": [step("generate", "demo"), step("ps")],
    "generate": [step("generate", "demo", "Why?")],
    "generate, streamed": [step("generate", "demo", "Why?", stream=True)],
    "chat": [step("chat", "demo", ASK)],
    "chat, streamed": [step("chat", "demo", ASK, stream=True)],
    "embed": [step("embed", "demo", ["hello", "world"])],
    "embeddings": [step("embeddings", "demo", "hello")],
}


@pytest.fixture
def twin() -> Iterator[DemoServer]:
    """What the client says to it it says without a proxy."""
    with DemoServer() as server:
        yield server


def shown(value: Any) -> Any:
    """What a call gave, without its times."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, dict):
        return {k: shown(v) for k, v in value.items() if k not in TIMES | {"expires_at"}}
    return [shown(item) for item in value] if isinstance(value, list) else value


def run_sync(url: str, headers: dict[str, str], steps: Sequence[Step]) -> list[Any]:
    with ollama.Client(url, headers=headers) as client:
        results = []
        for method, arguments, options in steps:
            result = getattr(client, method)(*arguments, **options)
            results.append(list(result) if options.get("stream") else result)
    return shown(results)


def run_async(url: str, headers: dict[str, str], steps: Sequence[Step]) -> list[Any]:
    async def all_steps() -> list[Any]:
        results = []
        async with ollama.AsyncClient(url, headers=headers) as client:
            for method, arguments, options in steps:
                result = await getattr(client, method)(*arguments, **options)
                results.append([part async for part in result] if options.get("stream") else result)
        return results

    return shown(asyncio.run(all_steps()))


Runner = Callable[[str, dict[str, str], Sequence[Step]], list[Any]]
RUNNERS = pytest.mark.parametrize("run", [run_sync, run_async])


def as_admin(proxy: Proxy) -> dict[str, str]:
    return proxy.headers(proxy.admin_token)


@RUNNERS
@pytest.mark.parametrize("steps", [*MANAGING.values(), *FOR_EVERYBODY.values()], ids=str)
def test_every_call_gives_administrators_what_the_server_itself_gives(
    run: Runner, steps: Sequence[Step], proxy: Proxy, upstream: DemoServer, twin: DemoServer
) -> None:
    upstream.install("demo")
    direct = run(twin.url, {}, steps)
    if steps[-1][0] in ("list", "ps"):  # of a server that others use, too
        assert run(proxy.url, as_admin(proxy), steps)
        return
    assert run(proxy.url, as_admin(proxy), steps) == direct
    assert upstream.requests[-1].path == twin.requests[-1].path


@RUNNERS
@pytest.mark.parametrize("steps", MANAGING.values(), ids=MANAGING.keys())
def test_ordinary_users_change_nothing(
    run: Runner, steps: Sequence[Step], proxy: Proxy, upstream: DemoServer
) -> None:
    with pytest.raises(ollama.ResponseError) as raised:
        run(proxy.url, proxy.headers(), steps)
    assert raised.value.status_code == 403
    assert "access.allow_model_management" in raised.value.error
    assert upstream.requests == []


@RUNNERS
@pytest.mark.parametrize("steps", FOR_EVERYBODY.values(), ids=FOR_EVERYBODY.keys())
def test_ordinary_users_may_do_all_the_rest(
    run: Runner, steps: Sequence[Step], proxy: Proxy, upstream: DemoServer
) -> None:
    assert run(proxy.url, proxy.headers(), steps)


@RUNNERS
def test_a_file_is_sent_in_the_form_in_which_it_came(
    run: Runner, proxy: Proxy, upstream: DemoServer, tmp_path: Path
) -> None:
    file = tmp_path / "weights"
    file.write_bytes(run.__name__.encode() * 100_000)
    digest = f"sha256:{sha256(file.read_bytes()).hexdigest()}"
    steps = [step("create_blob", str(file))]
    with pytest.raises(ollama.ResponseError) as raised:
        run(proxy.url, proxy.headers(), steps)
    assert (raised.value.status_code, upstream.requests) == (403, [])
    assert run(proxy.url, as_admin(proxy), steps) == [digest]
    (seen,) = upstream.requests_to(f"/api/blobs/{digest}")
    length = None if run is run_async else str(file.stat().st_size)
    assert seen.headers.get("content-length") == length
    assert seen.headers.get("transfer-encoding") == ("chunked" if length is None else None)
    assert proxy.rows()[-1]["request_bytes"] == file.stat().st_size
    create = [step("create", "filed", files={"weights": digest})]
    assert run(proxy.url, as_admin(proxy), create)[0]["status"] == "success"


def send(
    proxy: Proxy, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=WAIT_S)
    try:
        connection.request(
            method,
            path,
            body,
            {**as_admin(proxy), **headers},
            encode_chunked="Transfer-Encoding" in headers,
        )
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def pieces(size_mib: int, seed: int) -> Iterator[bytes]:
    return (bytes([seed, number]) * (MIB // 2) for number in range(size_mib))


def digest_of(size_mib: int, seed: int) -> str:
    found = sha256()
    for piece in pieces(size_mib, seed):
        found.update(piece)
    return f"sha256:{found.hexdigest()}"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_file_passes_in_constant_memory(
    chunked: bool, proxy: Proxy, upstream: DemoServer
) -> None:
    def upload(size_mib: int, seed: int) -> int:
        path = f"/api/blobs/{digest_of(size_mib, seed)}"
        framing = (
            {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(size_mib * MIB)}
        )
        return send(proxy, "POST", path, pieces(size_mib, seed), **framing)[0]

    seed = 10 + chunked
    assert upload(1, seed) == 201  # whatever is loaded on the first use is loaded now
    worker = proxy.worker()
    before = worker.memory_info().rss
    assert upload(64, seed + 10) == 201
    assert worker.memory_info().rss - before < 20 * MIB
    assert proxy.rows()[-1]["request_bytes"] == 64 * MIB


def test_a_file_is_asked_for_sent_once_and_found_again(proxy: Proxy, upstream: DemoServer) -> None:
    content = b"a model"
    path = f"/api/blobs/sha256:{sha256(content).hexdigest()}"
    assert send(proxy, "HEAD", path)[0] == 404
    assert send(proxy, "POST", path, content)[:2] == (201, b"")
    assert send(proxy, "HEAD", path)[:2] == (200, b"")
    assert send(proxy, "POST", path, content)[:2] == (200, b"")


def test_a_digest_that_is_another_files_is_refused_by_the_server(
    proxy: Proxy, upstream: DemoServer
) -> None:
    status, body, _ = send(proxy, "POST", f"/api/blobs/sha256:{'0' * 64}", b"x")
    assert status == 400
    assert json.loads(body)["error"].startswith("digest mismatch")


@pytest.mark.parametrize(
    "name",
    ["sha256:00", "sha256-" + "0" * 64, "md5:" + "0" * 64, "sha256:" + "A" * 64, "..%2Ftags",
     "sha256:" + "0" * 64 + "%2F..", "sha256:" + "0" * 64 + "/x"],
)  # fmt: skip
def test_what_is_no_digest_names_no_file(name: str, proxy: Proxy, upstream: DemoServer) -> None:
    for method in ("HEAD", "POST"):
        assert send(proxy, method, f"/api/blobs/{name}")[0] in (400, 404)
    assert upstream.requests == []


def test_a_file_whose_client_leaves_is_not_installed(proxy: Proxy, upstream: DemoServer) -> None:
    path = f"/api/blobs/sha256:{sha256(b'x' * MIB).hexdigest()}"
    with raw_connection(proxy) as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {proxy.admin_token}\r\n"
            f"Content-Length: {MIB}\r\n\r\n".encode()
            + b"x" * (MIB // 2)
        )
        assert upstream.wait_for(lambda: upstream.requests_to(path), WAIT_S)
    assert upstream.wait_for(lambda: upstream.connections <= 1, WAIT_S)
    assert send(proxy, "HEAD", path)[0] == 404
    row = proxy.rows(f"path = '{path}'")[0]
    assert (row["outcome"], row["error_code"]) == ("client_closed", "client_closed")


def test_copy_and_delete_answer_with_an_empty_body(proxy: Proxy, upstream: DemoServer) -> None:
    upstream.install("demo")
    copied = send(proxy, "POST", "/api/copy", b'{"source":"demo","destination":"a/b"}')
    assert copied[:2] == (200, b"")
    assert copied[2]["Content-Length"] == "0"
    deleted = send(proxy, "DELETE", "/api/delete", b'{"name":"a/b"}')
    assert deleted[:2] == (200, b"")
    (seen,) = upstream.requests_to("/api/delete")
    assert (seen.method, seen.body) == ("DELETE", b'{"model":"a/b"}')
    missing = send(proxy, "DELETE", "/api/delete", b'{"model":"a/b"}')
    assert missing[0] == 404


def test_progress_is_seen_while_it_is_made(proxy: Proxy, upstream: DemoServer) -> None:
    go_on = Event()
    lines = ({"status": "pulling manifest"}, {"status": "success"})
    upstream.script("/api/pull", Script.lines(*lines, hold_after=(1, go_on)))
    with ollama.Client(proxy.url, headers=as_admin(proxy)) as client:
        parts = client.pull("m", stream=True)
        assert next(iter(parts)).status == "pulling manifest"
        go_on.set()
        assert [part.status for part in parts] == ["success"]


def test_status_is_passed(proxy: Proxy, upstream: DemoServer) -> None:
    assert proxy.get("/api/status").json()["cloud"]["disabled"] is True
    assert upstream.requests[0].path == "/api/status"


REFUSED = [
    ("POST", "/api/me"),
    ("POST", "/api/signout"),
    ("DELETE", "/api/user/keys/abc"),
    ("POST", "/api/experimental/web_search"),
    ("POST", "/api/experimental/web_fetch"),
    ("GET", "/api/experimental/model-recommendations"),
    ("POST", "/v1/systemone"),
    ("POST", "/v1/audio/transcriptions"),
]


@pytest.mark.parametrize(("method", "path"), REFUSED)
def test_what_nobody_may_call_reaches_no_server(
    method: str, path: str, proxy: Proxy, upstream: DemoServer
) -> None:
    status, body, _ = send(proxy, method, path, b'{"model":"demo"}')
    assert status == 403
    assert b"forbidden" in body
    assert upstream.requests == []


def test_remote_models_are_installed_by_administrators_alone(
    proxy: Proxy, upstream: DemoServer
) -> None:
    body = {"model": "far", "from": "x:cloud"}
    answer = proxy.post("/api/create", body)
    assert (answer.status_code, upstream.requests) == (403, [])
    assert proxy.post("/api/create", body, token=proxy.admin_token).status_code == 200
