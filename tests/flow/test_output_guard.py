"""A banned phrase in the model's answer never leaves, however it is cut; all else is unchanged."""

import json
from threading import Event
from typing import Any

import ollama
import pytest

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import BANNED, Proxy

BEFORE, AFTER = "The captain stepped aboard the ", " and dived into the deep, where it was dark."
ANSWER = BEFORE + BANNED + AFTER
CHAT = {"model": "m", "messages": [{"role": "user", "content": "tell me"}]}


def texts_of(body: bytes) -> str:
    lines = [json.loads(line) for line in body.splitlines()]
    return "".join(line["message"]["content"] for line in lines if "error" not in line)


def error_of(body: bytes) -> dict[str, Any]:
    last = json.loads(body.splitlines()[-1])
    assert isinstance(last, dict)
    return last


@pytest.mark.parametrize("cut", range(1, len(ANSWER), 1))
def test_a_phrase_cut_into_two_tokens_anywhere_never_leaves(
    proxy: Proxy, upstream: DemoServer, cut: int
) -> None:
    upstream.script("m", Script.chat(ANSWER[:cut], ANSWER[cut:], model="m"))
    answer = proxy.post("/api/chat", CHAT)
    assert BANNED not in texts_of(answer.content)
    assert error_of(answer.content)["error"] == "response_blocked"


def test_a_phrase_that_comes_letter_by_letter_never_leaves(
    proxy: Proxy, upstream: DemoServer
) -> None:
    upstream.script("m", Script.chat(*ANSWER, model="m"))
    answer = proxy.post("/api/chat", CHAT)
    seen = texts_of(answer.content)
    assert ANSWER.startswith(seen)
    assert len(seen) <= len(BEFORE) + 1
    last = error_of(answer.content)
    assert last["code"] == "response_blocked"
    assert "done" not in last
    (row,) = proxy.rows("outcome = 'blocked_mid_stream'")[-1:]
    assert row["guard_output"] == "blocked:ban_substrings"
    assert row["error_code"] == "response_blocked"


WHOLE = b"".join(Script.chat(ANSWER, model="m").chunks)


@pytest.mark.parametrize("cut", range(1, len(WHOLE)))
def test_a_line_cut_into_chunks_at_any_byte_never_leaves(
    proxy: Proxy, upstream: DemoServer, cut: int
) -> None:
    upstream.script("m", Script(chunks=[WHOLE[:cut], WHOLE[cut:]]))
    answer = proxy.post("/api/chat", CHAT)
    assert answer.status_code == 403
    assert BANNED.encode() not in answer.content


@pytest.mark.parametrize(
    "line",
    [
        {"message": {"role": "assistant", "thinking": ANSWER}},
        {"message": {"role": "assistant", "tool_calls": [
            {"function": {"name": "f", "arguments": {"a": {"b": [ANSWER]}}}}]}},
        {"message": {"role": "assistant", "tool_calls": [
            {"function": {"name": "f", "arguments": {BANNED: 1}}}]}},
        {"error": f"bad {BANNED}"},
        {"logprobs": [{"token": BANNED, "logprob": -1}]},
        {"anything": {"new": [BANNED]}},
    ],
)  # fmt: skip
def test_every_field_of_an_answer_is_scanned(
    proxy: Proxy, upstream: DemoServer, line: dict[str, Any]
) -> None:
    upstream.script("m", Script.lines({"model": "m", **line, "done": False}))
    answer = proxy.post("/api/chat", CHAT)
    assert answer.status_code == 403
    assert BANNED not in answer.text


def test_escapes_hide_nothing(proxy: Proxy, upstream: DemoServer) -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in BANNED)
    line = f'{{"model":"m","message":{{"role":"assistant","content":"{escaped}"}}}}\n'
    upstream.script("m", Script(chunks=[line.encode()]))
    assert proxy.post("/api/chat", CHAT).status_code == 403


@pytest.mark.parametrize("stream", [True, False])
def test_a_block_before_the_first_byte_is_a_403(
    proxy: Proxy, upstream: DemoServer, stream: bool
) -> None:
    document = {"model": "m", "message": {"role": "assistant", "content": ANSWER}, "done": True}
    script = Script.lines(document) if stream else Script.document(document)
    upstream.script("m", script)
    answer = proxy.post("/api/chat", {**CHAT, "stream": stream})
    assert answer.status_code == 403
    body = answer.json()
    assert body["error"] == "response_blocked"
    assert body["language"] == "en"
    assert body["details"]["scanners"]["ban_substrings"]["passed"] is False
    assert BANNED not in answer.text


def test_errors_of_the_server_are_scanned_as_well(proxy: Proxy, upstream: DemoServer) -> None:
    upstream.script("m", Script.document({"error": f"no {BANNED}"}, status=500))
    answer = proxy.post("/api/chat", CHAT)
    assert answer.status_code == 403
    assert BANNED not in answer.text


def test_a_block_stops_the_generation(proxy: Proxy, upstream: DemoServer) -> None:
    upstream.script("m", Script.chat(ANSWER, "more", model="m", hold_after=(1, Event())))
    assert proxy.post("/api/chat", CHAT).status_code == 403
    assert upstream.wait_for(lambda: upstream.disconnects, 5)


def test_the_official_client_raises_and_shows_why(proxy: Proxy, upstream: DemoServer) -> None:
    upstream.script("m", Script.chat(*ANSWER, model="m"))
    with (
        ollama.Client(proxy.url, headers=proxy.headers()) as client,
        pytest.raises(ollama.ResponseError, match="response_blocked"),
    ):
        list(client.chat("m", CHAT["messages"], stream=True))  # type: ignore[call-overload]


BENIGN = {
    "plain": ["Hello", ", ", "world", "."],
    "near the phrase": ["a violet sub", "marina", " and a violet submarin", " at sea"],
    "many scripts": [
        "gr\u00fc\u00dfe ",
        "\u4f60\u597d",
        " \u0645\u0631\u062d\u0628\u0627 ",
        "\u0928\u092e\u0938\u094d\u0924\u0947",
    ],
    "emoji": [
        "\U0001f469\u200d\U0001f469\u200d\U0001f467 ",
        "\u2764\ufe0f",
        "\U0001f1e9\U0001f1ea",
    ],
    "line separators": ["a\u2028b", "c\u0085d", "\n\n", "\r\n"],
    "long": [f"word{number} " for number in range(400)],
}  # fmt: skip


@pytest.mark.parametrize("tokens", BENIGN.values(), ids=BENIGN.keys())
def test_benign_streams_arrive_unchanged(
    proxy: Proxy, upstream: DemoServer, tokens: list[str]
) -> None:
    script = Script.chat(*tokens, model="m")
    upstream.script("m", script)
    answer = proxy.post("/api/chat", CHAT)
    assert answer.content == b"".join(script.chunks)
    assert proxy.rows()[-1]["guard_output"] == "clean"


def test_a_short_hold_does_not_keep_a_stream_back(proxy: Proxy, upstream: DemoServer) -> None:
    hold = Event()
    tokens = [f"word{number} " for number in range(30)]
    script = Script.chat(*tokens, model="m", hold_after=(30, hold))
    upstream.script("m", script)
    with proxy.post("/api/chat", CHAT, stream=True) as answer:
        lines = answer.iter_lines(chunk_size=1)
        got = "".join(json.loads(next(lines))["message"]["content"] for _ in range(20))
        assert "".join(tokens).startswith(got)
        hold.set()
        list(lines)


@pytest.mark.parametrize(
    "raw",
    [
        b"not json at all\n",
        b'{"model":"m","message":{"content":"unfinished',
        b'{"a":1}\n{"b":2}',
        b"\n\n",
        b'\xff\xfe{"broken"}\n',
    ],
)
def test_odd_answers_pass_byte_for_byte(proxy: Proxy, upstream: DemoServer, raw: bytes) -> None:
    upstream.script("m", Script(chunks=[raw]))
    assert proxy.post("/api/chat", CHAT).content == raw
