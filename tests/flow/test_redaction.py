"""What is redacted on the way in never reaches the model, on the way out never the client."""

import json
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import ollama
import pytest

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import BANNED, Proxy

KEY = "AKIA" + "QWERTYUI12345678"
DISGUISED = BANNED.replace("i", "i\u0301")
LABEL = "[REDACTED:phrase no. 1]"
ANSWER = (
    f"The captain of the {BANNED} gave {KEY} away, \u4f60\u597d, and \U0001f469\u200d\U0001f467."
)
SAFE = ANSWER.replace(BANNED, LABEL).replace(KEY, "[REDACTED:aws access key]")


@pytest.fixture(scope="module")
def shared_proxy(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    settings = {}
    for direction in ("input", "output"):
        section = f"guard__{direction}_scanners"
        settings[f"{section}__ban_substrings__substrings"] = BANNED
        settings[f"{section}__ban_substrings__action"] = "redact"
        settings[f"{section}__secrets__enabled"] = "true"
        settings[f"{section}__secrets__action"] = "redact"
        settings[f"{section}__invisible_text__action"] = "redact"
    directory = tmp_path_factory.mktemp("proxy")
    with Proxy(directory, shared_upstream.url, **settings) as proxy:
        yield proxy


def client_of(proxy: Proxy) -> ollama.Client:
    return ollama.Client(proxy.url, headers=proxy.headers())


def ask(content: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": content}]


def text_of(parts: Any) -> str:
    return "".join(part.message.content for part in parts)


def last_row(proxy: Proxy) -> dict[str, Any]:
    return proxy.rows()[-1]


def test_the_model_gets_the_prompt_without_the_secret(proxy: Proxy, upstream: DemoServer) -> None:
    upstream.script("m", Script.chat("fine", model="m"))
    with client_of(proxy) as client:
        parts = list(client.chat("m", ask(f"use {KEY} on the {BANNED}"), stream=True))
    assert text_of(parts) == "fine"
    (request,) = upstream.requests_to("/api/chat")
    sent = json.loads(request.body)
    assert sent["messages"] == ask(f"use [REDACTED:aws access key] on the {LABEL}")
    assert last_row(proxy)["guard_input"] == "clean;redacted:ban_substrings,secrets"


def test_a_prompt_in_disguise_does_not_reach_the_model(proxy: Proxy, upstream: DemoServer) -> None:
    with client_of(proxy) as client, pytest.raises(ollama.ResponseError, match="prompt_blocked"):
        client.chat("m", ask(DISGUISED))
    assert upstream.requests_to("/api/chat") == []


@pytest.mark.parametrize("cut", range(len(ANSWER) + 1))
def test_a_streamed_answer_arrives_without_the_secret_wherever_it_is_cut(
    proxy: Proxy, upstream: DemoServer, cut: int
) -> None:
    upstream.script("m", Script.chat(ANSWER[:cut], ANSWER[cut:], model="m"))
    with client_of(proxy) as client:
        parts = list(client.chat("m", ask("hi"), stream=True))
    assert text_of(parts) == SAFE
    assert parts[-1].done
    assert parts[-1].eval_count


def test_an_answer_letter_by_letter_keeps_its_lines_and_their_order(
    proxy: Proxy, upstream: DemoServer
) -> None:
    script = Script.chat(*ANSWER, model="m")
    upstream.script("m", script)
    answer = proxy.post("/api/chat", {"model": "m", "messages": ask("hi")})
    lines = answer.content.splitlines(keepends=True)
    assert len(lines) == len(script.chunks)
    assert "".join(json.loads(line)["message"]["content"] for line in lines) == SAFE
    before = ANSWER.index(BANNED)
    assert lines[:before] == list(script.chunks[:before])
    assert lines[-1] == script.chunks[-1]
    row = last_row(proxy)
    assert row["guard_output"] == "clean;redacted:ban_substrings,secrets"
    assert row["completion_tokens"] is not None
    assert row["response_bytes"] == len(answer.content)


def test_an_answer_in_one_document_arrives_without_the_secret(
    proxy: Proxy, upstream: DemoServer
) -> None:
    call = {"function": {"name": "f", "arguments": {"to": [KEY], "seed": 12345678901234567890}}}
    message = {"role": "assistant", "content": ANSWER, "thinking": BANNED, "tool_calls": [call]}
    upstream.script("m", Script.document({"model": "m", "message": message, "done": True}))
    answer = proxy.post("/api/chat", {"model": "m", "messages": ask("hi"), "stream": False})
    got = answer.json()["message"]
    assert got["content"] == SAFE
    assert got["thinking"] == LABEL
    assert got["tool_calls"][0]["function"]["arguments"] == {
        "to": ["[REDACTED:aws access key]"],
        "seed": 12345678901234567890,
    }


def test_what_is_hit_in_disguise_ends_the_stream(proxy: Proxy, upstream: DemoServer) -> None:
    upstream.script("m", Script.chat("well, ", *DISGUISED, model="m"))
    with client_of(proxy) as client, pytest.raises(ollama.ResponseError, match="response_blocked"):
        list(client.chat("m", ask("hi"), stream=True))


def test_benign_answers_keep_every_byte(proxy: Proxy, upstream: DemoServer) -> None:
    tokens = [
        "Hello ",
        "gr\u00fc\u00dfe ",
        "\u4f60\u597d ",
        "a\u2028b ",
        "\U0001f1e9\U0001f1ea",
    ] * 40
    script = Script.chat(*tokens, model="m")
    upstream.script("m", script)
    answer = proxy.post("/api/chat", {"model": "m", "messages": ask("hi")})
    assert answer.content == b"".join(script.chunks)
    assert last_row(proxy)["guard_output"] == "clean"


def test_answers_at_the_same_time_are_redacted_each_by_itself(
    proxy: Proxy, upstream: DemoServer
) -> None:
    go = Event()
    for name in "ab":
        answer = (f"{name} violet ", f"submarine {name}")
        upstream.script(name, Script.chat(*answer, model=name, hold_after=(1, go)))
    texts: dict[str, str] = {}

    def read(name: str) -> None:
        with client_of(proxy) as client:
            texts[name] = text_of(client.chat(name, ask("hi"), stream=True))

    threads = [Thread(target=read, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    assert upstream.wait_for(lambda: upstream.active() == 2, 5)
    go.set()
    for thread in threads:
        thread.join(10)
    assert texts == {name: f"{name} {LABEL} {name}" for name in "ab"}


def test_no_secret_is_written_into_logs_or_the_audit(proxy: Proxy, upstream: DemoServer) -> None:
    upstream.script("m", Script.chat(ANSWER, model="m"))
    proxy.post("/api/chat", {"model": "m", "messages": ask(KEY)})
    assert KEY not in proxy.output.text()
    assert KEY not in json.dumps(proxy.rows())
