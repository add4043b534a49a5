"""Other rules for some callers: what they get, and what header and log say of it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from ogp.core.types import Role
from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import BANNED, Proxy
from tests.support.tiny_models import write_classifier

TRIGGER = "wolf"
CONFIG = f"""
guard:
  models: {{path: MODELS}}
  overrides:
    - {{scanner: ban_substrings, users: [vera], action: flag}}
    - {{scanner: prompt_injection, roles: [admin], threshold: 0.00004}}
    - {{scanner: prompt_injection, users: [nadia, boss], action: "off"}}
    - {{scanner: secrets, roles: [user, admin], action: flag}}
  input_scanners:
    ban_substrings: {{substrings: ["{BANNED}"]}}
    toxicity: {{enabled: false}}
    prompt_injection: {{enabled: true}}
  output_scanners:
    ban_substrings: {{substrings: ["{BANNED}"]}}
    toxicity: {{enabled: false}}
"""
WOLF, PHRASE = f"here comes the {TRIGGER}", f"about the {BANNED}"
KEY = "AKIA" + "QWERTYUI12345678"


@pytest.fixture(scope="module")
def shared_proxy(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    directory = tmp_path_factory.mktemp("proxy")
    models = tmp_path_factory.mktemp("models")
    write_classifier(models / "prompt_injection", verdict="INJECTION", trigger=TRIGGER, form="onnx")
    (directory / "config.yaml").write_text(CONFIG.replace("MODELS", str(models)), "utf-8")
    with Proxy(directory, shared_upstream.url) as proxy:
        proxy.output.wait_for("guard model ready", 60)
        yield proxy


@pytest.fixture(scope="module")
def tokens(shared_proxy: Proxy) -> dict[str, str]:
    made = {name: shared_proxy.new_token(name) for name in ("vera", "nadia")}
    made["boss"] = shared_proxy.new_token("boss", Role.ADMIN)
    return {**made, "alice": shared_proxy.token, "root": shared_proxy.admin_token}


def ask(proxy: Proxy, token: str, prompt: str, **fields: Any) -> requests.Response:
    document = {"model": "demo", "prompt": prompt, "stream": False, **fields}
    return proxy.post("/api/generate", document, token=token)


def details(proxy: Proxy, column: str = "guard_input_details") -> dict[str, Any]:
    """Of the newest row."""
    found = json.loads(proxy.rows()[-1][column])
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("name", "prompt", "status", "summary"),
    [
        ("alice", PHRASE, 403, "blocked:ban_substrings"),
        ("vera", PHRASE, 200, "clean;flagged:ban_substrings"),
        ("root", PHRASE, 403, "blocked:ban_substrings"),
        ("alice", WOLF, 403, "blocked:prompt_injection"),
        ("vera", WOLF, 403, "blocked:prompt_injection"),
        ("nadia", WOLF, 200, "clean"),
        ("alice", "good morning", 200, "clean"),
        ("root", "good morning", 403, "blocked:prompt_injection"),
        ("boss", WOLF, 200, "clean"),
        ("alice", KEY, 200, "clean;flagged:secrets"),
        ("boss", KEY, 200, "clean;flagged:secrets"),
    ],
)
def test_each_caller_is_judged_by_the_entries_for_it(
    proxy: Proxy,
    upstream: DemoServer,
    tokens: dict[str, str],
    name: str,
    prompt: str,
    status: int,
    summary: str,
) -> None:
    answer = ask(proxy, tokens[name], f"{prompt}, says {name}")
    assert answer.status_code == status
    row = proxy.rows()[-1]
    assert (row["username"], row["guard_input"]) == (name, summary)
    assert len(upstream.requests_to("/api/generate")) == (status == 200)
    if status == 200:
        assert answer.headers["X-OGP-Guard"].startswith(f'input="{summary}", output=')


def test_another_threshold_is_another_verdict_on_the_same_score(
    proxy: Proxy, tokens: dict[str, str]
) -> None:
    said = {}
    for name in ("alice", "root"):
        ask(proxy, tokens[name], "good day")
        said[name] = details(proxy)["scanners"]["prompt_injection"]
    assert said["alice"]["score"] == said["root"]["score"] == pytest.approx(0.000045, abs=1e-6)
    assert (said["alice"]["passed"], said["root"]["passed"]) == (True, False)


def test_of_a_scanner_that_is_off_for_the_caller_nothing_is_said(
    proxy: Proxy, tokens: dict[str, str]
) -> None:
    for name in ("nadia", "boss"):  # the later entry counts for the administrator
        ask(proxy, tokens[name], WOLF)
        assert "prompt_injection" not in details(proxy)["scanners"]


@pytest.mark.parametrize("stream", [False, True])
def test_answers_are_judged_by_them_as_well(
    proxy: Proxy, upstream: DemoServer, tokens: dict[str, str], stream: bool
) -> None:
    for name, is_blocked in (("alice", True), ("vera", False)):
        script = Script.generate("all ", f"about the {BANNED}", model="demo")
        if not stream:
            script = Script.document({"response": PHRASE, "done": True})
        upstream.script("demo", script)
        answer = ask(proxy, tokens[name], "tell me", stream=stream)
        assert ("response_blocked" in answer.text) == is_blocked
        assert (BANNED in answer.text) != is_blocked
        summary = "blocked:ban_substrings" if is_blocked else "clean;flagged:ban_substrings"
        assert proxy.rows()[-1]["guard_output"] == summary


def test_a_verdict_for_one_caller_is_not_remembered_for_another(
    proxy: Proxy, tokens: dict[str, str]
) -> None:
    prompt = f"{PHRASE}, for everybody"
    for _ in range(2):
        assert ask(proxy, tokens["alice"], prompt).status_code == 403
        assert ask(proxy, tokens["vera"], prompt).status_code == 200
    assert [row["guard_input"] for row in proxy.rows()[-4:]] == [
        "blocked:ban_substrings",
        "clean;flagged:ban_substrings",
        "blocked:ban_substrings;cached",
        "clean;cached;flagged:ban_substrings",
    ]


def test_the_log_tells_under_which_rules_each_request_was_judged(
    proxy: Proxy, tokens: dict[str, str]
) -> None:
    for token in tokens.values():
        ask(proxy, token, "good morning")
    query = """
        SELECT username,
               json_extract(document, '$.scanners.ban_substrings.action'),
               json_extract(document, '$.scanners.prompt_injection.threshold'),
               json_extract(document, '$.direction')
        FROM request_logs JOIN guard_configurations AS configuration
             ON configuration.id = json_extract(guard_input_details, '$.configuration')
        ORDER BY request_logs.id DESC LIMIT 5
    """
    uri = f"file:{proxy.database_path}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        found = {name: facts for name, *facts in connection.execute(query)}
    assert found == {
        "alice": ["block", 0.92, "input"],
        "vera": ["flag", 0.92, "input"],
        "nadia": ["block", None, "input"],
        "root": ["block", 0.00004, "input"],
        "boss": ["block", None, "input"],
    }


def test_an_entry_that_cannot_have_an_effect_ends_the_start(
    upstream: DemoServer, directory: Path
) -> None:
    entry = "{scanner: secretes, users: [vera], action: flag}"
    (directory / "config.yaml").write_text(f"guard: {{overrides: [{entry}]}}\n", "utf-8")
    proxy = Proxy(directory, upstream.url)
    with pytest.raises(AssertionError, match="there is no such scanner"):
        proxy.start()
    assert proxy.wait() != 0
