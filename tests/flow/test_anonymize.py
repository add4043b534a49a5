"""Personal data never reaches the model and comes back to the client who wrote it, and to no other.

The finder is the real one. The look-alike quotes its prompt, so an answer shows what reached it.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ollama
import pytest

from ogp.demo.ledger import RecordedRequest
from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import Proxy

MAIL, IBAN = "ada@example.org", "DE89 3704 0044 0532 0130 00"
PROMPT = f"Write to {MAIL} about {IBAN}, then to {MAIL} again"
HIDDEN = "Write to [EMAIL_ADDRESS_1] about [IBAN_CODE_1], then to [EMAIL_ADDRESS_1] again"
ANSWER = "I wrote to [EMAIL_ADDRESS_1] about [IBAN_CODE_1]."
SEEN = ANSWER.replace("[EMAIL_ADDRESS_1]", MAIL).replace("[IBAN_CODE_1]", IBAN)
CONFIG = """
guard:
  overrides:
    - {scanner: anonymize, users: [bruno], action: "off"}
  input_scanners:
    anonymize: {enabled: true}
"""


@pytest.fixture(scope="module")
def shared_proxy(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    directory = tmp_path_factory.mktemp("proxy")
    (directory / "config.yaml").write_text(CONFIG, "utf-8")
    with Proxy(directory, shared_upstream.url) as proxy:
        proxy.output.wait_for("guard finder ready", 60)
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[ollama.Client]:
    with ollama.Client(proxy.url, headers=proxy.headers()) as client:
        yield client


def ask(content: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": content}]


def posted(upstream: DemoServer) -> list[RecordedRequest]:
    """All but the probes."""
    return [request for request in upstream.requests if request.method == "POST"]


def sent(upstream: DemoServer) -> Any:
    """The one document that the server got."""
    (request,) = posted(upstream)
    assert MAIL.encode() not in request.body
    assert IBAN.encode() not in request.body
    return json.loads(request.body)


def test_chat_quotes_the_clients_words_and_the_server_never_had_them(
    client: ollama.Client, proxy: Proxy, upstream: DemoServer
) -> None:
    answer = client.chat("demo", ask(PROMPT))
    assert f"You said: {PROMPT} " in answer.message.content
    assert sent(upstream)["messages"] == ask(HIDDEN)
    row = proxy.rows()[-1]
    assert row["guard_input"] == "clean;redacted:anonymize"
    assert json.loads(row["guard_input_details"])["scanners"]["anonymize"]["redacted"] == 3


def test_a_streamed_chat_does_as_well(client: ollama.Client, upstream: DemoServer) -> None:
    parts = list(client.chat("demo", ask(PROMPT), stream=True))
    assert f"You said: {PROMPT} " in "".join(part.message.content for part in parts)
    assert sent(upstream)["messages"] == ask(HIDDEN)
    assert parts[-1].done


@pytest.mark.parametrize("stream", [False, True])
def test_generate_does_as_well(client: ollama.Client, upstream: DemoServer, stream: bool) -> None:
    system = f"You answer for {MAIL}"
    answer = client.generate("demo", PROMPT, system=system, stream=stream)
    parts = answer if stream else [answer]
    assert PROMPT in "".join(part.response for part in parts)
    document = sent(upstream)
    assert document["prompt"] == HIDDEN
    assert document["system"] == "You answer for [EMAIL_ADDRESS_1]"


@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
def test_a_placeholder_may_be_cut_anywhere(
    client: ollama.Client, upstream: DemoServer, cut: int
) -> None:
    upstream.script("m", Script.chat(ANSWER[:cut], ANSWER[cut:], model="m"))
    parts = client.chat("m", ask(PROMPT), stream=True)
    assert "".join(part.message.content for part in parts) == SEEN


def call(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"function": {"name": "send", "arguments": arguments}}


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_and_arguments_of_tools_get_the_words_back(
    client: ollama.Client, upstream: DemoServer, stream: bool
) -> None:
    message = {
        "role": "assistant",
        "content": "[EMAIL_ADDRESS_2]?",
        "thinking": ANSWER,
        "tool_calls": [call({"to": ["[EMAIL_ADDRESS_1]"], "seed": 12345678901234567890})],
    }
    document = {"model": "m", "message": message, "done": True}
    upstream.script("m", Script.lines(document) if stream else Script.document(document))
    answer = client.chat("m", ask(PROMPT), stream=stream)
    (part,) = answer if stream else [answer]
    assert part.message.content == "[EMAIL_ADDRESS_2]?"  # nobody gave that one
    assert part.message.thinking == SEEN
    assert part.message.tool_calls[0].function.arguments == {
        "to": [MAIL],
        "seed": 12345678901234567890,
    }


def test_earlier_calls_and_results_of_tools_are_hidden_too(
    client: ollama.Client, upstream: DemoServer
) -> None:
    earlier = {"role": "assistant", "content": "", "tool_calls": [call({"to": MAIL})]}
    result = {"role": "tool", "tool_name": "send", "content": f"sent to {MAIL}"}
    client.chat("demo", [*ask("go on"), earlier, result])
    messages = sent(upstream)["messages"]
    assert messages[1]["tool_calls"][0]["function"]["arguments"] == {"to": "[EMAIL_ADDRESS_1]"}
    assert messages[2]["content"] == "sent to [EMAIL_ADDRESS_1]"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_other_dialects_do_as_well(
    proxy: Proxy, upstream: DemoServer, path: str, stream: bool
) -> None:
    document = {"model": "demo", "max_tokens": 500, "messages": ask(f"mail {MAIL}")}
    answer = proxy.post(path, {**document, "stream": stream})
    assert answer.status_code == 200
    assert MAIL in answer.text
    assert "EMAIL_ADDRESS" not in answer.text
    assert sent(upstream)["messages"][0]["content"] == "mail [EMAIL_ADDRESS_1]"


def test_data_where_it_cannot_be_replaced_is_refused(proxy: Proxy, upstream: DemoServer) -> None:
    hidden = json.dumps({"to": MAIL}).replace("@", "\\u0040")
    answer = proxy.post("/api/chat", {"model": "demo", "messages": ask(hidden)})
    assert answer.status_code == 403
    assert MAIL not in answer.text
    assert posted(upstream) == []


def test_users_at_the_same_time_get_their_own_words_and_no_others(
    proxy: Proxy, upstream: DemoServer
) -> None:
    rounds = 12
    tokens = {name: proxy.new_token(name) for name in ("carla", "dimitri", "emma", "farid")}

    def talk(name: str) -> list[str]:
        with ollama.Client(proxy.url, headers=proxy.headers(tokens[name])) as client:
            said = [
                f"This is {name}{number}@example.org, friend of {name}.friend{number}@example.org"
                for number in range(rounds)
            ]
            answers = []
            for number, text in enumerate(said):
                parts = client.chat("demo", ask(text), stream=number % 2 == 0)
                texts = [part.message.content for part in (parts if number % 2 == 0 else [parts])]
                answers.append("".join(texts))
            assert all(text in answer for text, answer in zip(said, answers, strict=True))
            return answers

    with ThreadPoolExecutor(len(tokens)) as threads:
        answers = dict(zip(tokens, threads.map(talk, tokens), strict=True))
    for name, own in answers.items():
        found = set(re.findall(r"[\w.]+@example\.org", " ".join(own)))
        expected = {f"{name}{number}@example.org" for number in range(rounds)}
        assert found == expected | {
            f"{name}.friend{number}@example.org" for number in range(rounds)
        }
    assert len(upstream.requests) == rounds * len(tokens)
    assert not any(b"example.org" in request.body for request in upstream.requests)


def test_one_user_may_be_left_out(proxy: Proxy, upstream: DemoServer) -> None:
    token = proxy.new_token("bruno")
    document = {"model": "demo", "messages": ask(PROMPT), "stream": False}
    answer = proxy.post("/api/chat", document, token=token)
    assert PROMPT in answer.json()["message"]["content"]
    (request,) = posted(upstream)
    assert json.loads(request.body)["messages"] == ask(PROMPT)
    row = proxy.rows()[-1]
    assert row["guard_input"] == "clean"
    assert "anonymize" not in json.loads(row["guard_input_details"])["scanners"]


def test_nothing_of_it_is_written_anywhere(proxy: Proxy) -> None:
    proxy.post("/api/chat", {"model": "demo", "messages": ask(PROMPT)})
    files = [file for file in proxy.directory.rglob("*") if file.is_file()]
    assert proxy.database_path in files
    for file in files:
        assert not re.search(rb"example\.org|3704 0044", file.read_bytes()), file
    assert not re.search(r"example\.org|3704 0044", proxy.output.text())
    assert MAIL not in proxy.get("/health").text


def test_restore_false_leaves_the_placeholders(upstream: DemoServer, directory: Path) -> None:
    settings = {"enabled": True, "restore": False}
    fields = {f"guard__input_scanners__anonymize__{key}": it for key, it in settings.items()}
    with Proxy(directory, upstream.url, **fields) as proxy:
        answer = proxy.post("/api/chat", {"model": "demo", "messages": ask(PROMPT)})
    assert "[EMAIL_ADDRESS_1]" in answer.text
    assert MAIL not in answer.text
    assert sent(upstream)["messages"] == ask(HIDDEN)


@pytest.mark.parametrize(
    ("enabled", "status", "summary"),
    [("true", 503, "error:anonymize"), ("optional", 200, "clean;unscanned:anonymize")],
)
def test_a_finder_that_cannot_be_loaded(
    upstream: DemoServer, directory: Path, enabled: str, status: int, summary: str
) -> None:
    (directory / "phonenumbers.py").write_text("raise ImportError('broken on purpose')\n", "utf-8")
    with Proxy(directory, upstream.url, guard__input_scanners__anonymize__enabled=enabled) as proxy:
        proxy.output.wait_for("guard finder failed", 60)
        document = {"model": "demo", "prompt": PROMPT, "stream": False}
        answer = proxy.post("/api/generate", document)
        assert answer.status_code == status
        assert proxy.rows()[-1]["guard_input"] == summary
        health = proxy.get("/health").json()
        assert health["status"] == "degraded"
        assert health["guards"]["scanners"]["input"]["anonymize"]["state"] == "failed"
    if status == 503:
        assert answer.json()["code"] == "guard_unavailable"
        assert posted(upstream) == []
