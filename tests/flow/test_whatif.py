"""`ogp guard whatif` over the request log of a service that runs."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest

from ogp.demo.server import DemoServer
from tests.support.proxy import ROOT, Proxy

SCANNER = '''
"""The risk of a text is the number that it ends with."""
class Grade:
    def scan(self, text, prompt):
        last = text.split()[-1]
        return float(last) if last.replace(".", "").isdigit() else 0.0
'''
CONFIG = """
guard:
  overrides:
    - {scanner: grade, users: [vera], action: flag}
  custom:
    - {name: grade, import: "acme_grades:Grade", direction: input, threshold: 0.5}
"""
RISKS = {"alice": (0.1, 0.3, 0.3, 0.6, 0.9), "vera": (0.1, 0.3, 0.6)}


@pytest.fixture(scope="module")
def shared_proxy(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    directory = tmp_path_factory.mktemp("proxy")
    (directory / "config.yaml").write_text(CONFIG, "utf-8")
    (directory / "acme_grades.py").write_text(SCANNER, "utf-8")
    with Proxy(directory, shared_upstream.url) as proxy:
        proxy.output.wait_for("guard model ready", 60)
        tokens = {"alice": proxy.token, "vera": proxy.new_token("vera")}
        for name, risks in RISKS.items():
            for risk in risks:
                proxy.post("/api/generate", asked(risk), token=tokens[name])
        yield proxy


def asked(risk: float) -> dict[str, Any]:
    return {"model": "demo", "prompt": f"a text of risk {risk}", "stream": False}


def whatif(proxy: Proxy, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "ogp", "guard", "whatif", *arguments]
    environ = {**proxy.environment(), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=proxy.directory, env=environ, capture_output=True, timeout=60, check=False
    )


def answer(proxy: Proxy, threshold: float, *arguments: str) -> dict[str, Any]:
    done = whatif(proxy, "--scanner", "grade", "--threshold", str(threshold), "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found = orjson.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def changes(pass_to_block: int, block_to_pass: int, pass_to_flag: int, flag_to_pass: int) -> Any:
    return {
        "pass_to_block": pass_to_block,
        "block_to_pass": block_to_pass,
        "pass_to_flag": pass_to_flag,
        "flag_to_pass": flag_to_pass,
    }


def test_a_lower_threshold_would_have_blocked_more(proxy: Proxy) -> None:
    found = answer(proxy, 0.2)
    assert (found["requests"], found["scored"], found["cached"]) == (8, 8, 1)
    assert found["changes"] == changes(2, 0, 1, 0)
    assert {user["name"]: user["scored"] for user in found["users"]} == {"alice": 5, "vera": 3}


def test_a_higher_threshold_would_have_let_more_pass(proxy: Proxy) -> None:
    assert answer(proxy, 0.8)["changes"] == changes(0, 1, 0, 1)


def test_the_threshold_that_is_set_changes_nothing(proxy: Proxy) -> None:
    found = answer(proxy, 0.5)
    assert found["changes"] == changes(0, 0, 0, 0)
    assert found["users"] == []
    assert {(each["threshold"], each["action"]) for each in found["configurations"]} == {
        (0.5, "block"),
        (0.5, "flag"),
    }


def test_one_user_may_be_asked_about(proxy: Proxy) -> None:
    assert answer(proxy, 0.2, "--user", "vera")["changes"] == changes(0, 0, 1, 0)


def test_a_scanner_without_scores_is_told(proxy: Proxy) -> None:
    done = whatif(proxy, "--scanner", "toxicity", "--threshold", "0.5")
    assert done.returncode == 1
    assert b"scores there are of" in done.stderr
    assert b"grade" in done.stderr


def test_the_service_goes_on_meanwhile(proxy: Proxy, upstream: DemoServer) -> None:
    token = proxy.new_token("wanda")
    with ThreadPoolExecutor(1) as thread:
        report = thread.submit(whatif, proxy, "--scanner", "grade", "--threshold", "0.2")
        served = 0
        while not report.done():
            document = {"model": "demo", "prompt": f"number {served}, x", "stream": False}
            assert proxy.post("/api/generate", document, token=token).status_code == 200
            served += 1
    assert report.result().returncode == 0
    assert b"pass to block: 2" in report.result().stdout
    assert b"a text of risk" not in report.result().stdout
    assert served > 1
    assert len(proxy.rows("username = 'wanda'")) == served
