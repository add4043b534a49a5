"""`ogp doctor` on the real proxy, and on a real nginx in front of it, as it should be and not."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ogp.cli.doctor_checks import CHECKS
from ogp.cli.main import main
from ogp.demo.server import DemoServer
from tests.support.nginx import nginx
from tests.support.proxy import ROOT, Proxy

MODEL = "demo-tokens-40-10ms"
NEVER_HERE = {"forwarded-for"}
"""Cannot be told from loopback, which is trusted."""
DOCUMENTED = re.findall(
    r"location / \{\n(.*?)\n +\}", (ROOT / "docs" / "doctor.md").read_text("utf-8"), re.DOTALL
)[0].partition("\n")[2]
"""The lines of the example in the document, without its `proxy_pass`."""
SERVER = "server_tokens off; client_max_body_size 32m;"


@pytest.fixture(scope="module")
def shared_proxy(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """Without scanners that hold answers back."""
    with Proxy(tmp_path_factory.mktemp("proxy"), shared_upstream.url) as proxy:
        yield proxy


def doctor(url: str, proxy: Proxy, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, results by name of the check, and the whole report."""
    tokens = ["--token", proxy.token, "--admin-token", proxy.admin_token]
    result = CliRunner().invoke(
        main, ["doctor", url, *tokens, "--model", MODEL, "--json", *arguments]
    )
    report = json.loads(result.stdout)
    return result.exit_code, {each["name"]: each for each in report["checks"]}, result.output


def only(*names: str) -> list[str]:
    return [word for name in names for word in ("--only", name)]


def results(checks: dict[str, Any], *names: str) -> dict[str, str]:
    return {name: checks[name]["result"] for name in names or checks}


STREAMS = tuple(check.name for check in CHECKS if check.name.startswith("stream-"))


def test_the_proxy_itself_passes_every_check(proxy: Proxy, upstream: DemoServer) -> None:
    status, checks, output = doctor(proxy.url, proxy, "--direct", upstream.url)
    wrong = {name: each for name, each in checks.items() if each["result"] != "ok"}
    assert set(wrong) == NEVER_HERE, wrong
    assert status == 0
    assert proxy.token not in output
    assert proxy.admin_token not in output
    assert set(checks) == {check.name for check in CHECKS}


def test_nothing_is_changed_and_little_is_asked(proxy: Proxy, upstream: DemoServer) -> None:
    before = len(proxy.rows())
    doctor(proxy.url, proxy)
    generated = [
        request for request in upstream.requests
        if isinstance(request.document, dict) and request.document.get("model") == MODEL
        and request.path != "/api/show"
    ]  # fmt: skip
    assert len(generated) <= 10
    assert {request.method for request in upstream.requests} <= {"GET", "HEAD", "POST"}
    changing = ("/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete", "/api/blobs")
    assert not [request for request in upstream.requests if request.path.startswith(changing)]
    assert len(proxy.rows()) - before < 120


def test_nginx_as_documented_passes_every_check(
    proxy: Proxy, upstream: DemoServer, tmp_path: Path
) -> None:
    with nginx(tmp_path, proxy.url, server=SERVER, location=DOCUMENTED) as url:
        status, checks, _ = doctor(url, proxy, "--direct", upstream.url)
    wrong = {name: each for name, each in checks.items() if each["result"] != "ok"}
    assert set(wrong) == NEVER_HERE, wrong
    assert status == 0


def test_nginx_without_a_line_streams_as_the_proxy_asks_it_to(
    proxy: Proxy, upstream: DemoServer, tmp_path: Path
) -> None:
    with nginx(tmp_path, proxy.url) as url:
        _, checks, _ = doctor(url, proxy, *only(*STREAMS, "server-header", "body-room"))
    assert set(results(checks, *STREAMS).values()) == {"ok"}
    assert results(checks, "server-header", "body-room") == {
        "server-header": "warn",
        "body-room": "warn",
    }


@pytest.mark.parametrize(
    "lines",
    [
        "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;",
        "proxy_ignore_headers X-Accel-Buffering; proxy_http_version 1.1; gzip on; gzip_types *; "
        "gzip_min_length 0; gzip_proxied any;",
    ],
)
def test_nginx_that_buffers_is_found_out(
    proxy: Proxy, upstream: DemoServer, tmp_path: Path, lines: str
) -> None:
    with nginx(tmp_path, proxy.url, location=lines) as url:
        status, checks, _ = doctor(url, proxy, *only(*STREAMS))
    assert set(results(checks).values()) == {"fail"}, checks
    assert "proxy_buffering off" in checks["stream-ollama"]["hint"]
    assert status == 1


def test_nginx_that_keeps_the_model_busy_for_nobody_is_found_out(
    proxy: Proxy, upstream: DemoServer, tmp_path: Path
) -> None:
    model = ("--model", "demo-tokens-300-10ms")
    lines = (
        "proxy_ignore_client_abort on; proxy_ignore_headers X-Accel-Buffering; "
        "proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 64k;"
    )
    with nginx(tmp_path, proxy.url, location=lines) as url:
        _, checks, _ = doctor(url, proxy, *only("disconnect"), *model)
    assert results(checks) == {"disconnect": "fail"}, checks


@pytest.mark.parametrize(
    ("lines", "check", "result"),
    [
        ("proxy_set_header Authorization '';", "token", "fail"),
        ("proxy_hide_header X-Frame-Options;", "security-headers", "fail"),
        ("add_header X-Frame-Options DENY always;", "security-headers", "warn"),
        ("proxy_hide_header X-Request-ID;", "request-id", "fail"),
        ("proxy_hide_header X-OGP-Guard;", "guard", "warn"),
        ("add_header Access-Control-Allow-Origin * always;", "cors", "fail"),
        ("proxy_intercept_errors on; error_page 400 /oops;", "errors-ollama", "fail"),
        ("limit_except GET HEAD POST OPTIONS { deny all; }", "methods", "fail"),
        ("client_max_body_size 0;", "body-limit", "fail"),
    ],
)
def test_other_lines_that_spoil_something_are_found_out(
    proxy: Proxy, upstream: DemoServer, tmp_path: Path, lines: str, check: str, result: str
) -> None:
    page = "location = /oops { internal; return 400 '<html>'; }"
    with nginx(tmp_path, proxy.url, server=page, location=lines) as url:
        _, checks, _ = doctor(url, proxy, *only(check), "--timeout", "1")
    assert results(checks) == {check: result}, checks


def test_a_path_behind_the_port_makes_spellings_right_and_is_warned_of(
    proxy: Proxy, upstream: DemoServer, tmp_path: Path
) -> None:
    with nginx(tmp_path, proxy.url + "/") as url:
        _, checks, _ = doctor(url, proxy, *only("spellings"))
    assert results(checks) == {"spellings": "warn"}, checks
    assert upstream.requests_to("/api/generate") == []


def test_a_prefix_in_front_is_part_of_the_url(
    proxy: Proxy, upstream: DemoServer, tmp_path: Path
) -> None:
    lines = "rewrite ^/llm/(.*)$ /$1 break;"
    with nginx(tmp_path, proxy.url, location=lines) as url:
        status, checks, _ = doctor(f"{url}/llm", proxy, *only("reach", "token", "stream-openai"))
    assert set(results(checks).values()) == {"ok"}, checks
    assert status == 0


def test_a_way_past_the_proxy_is_found_out(proxy: Proxy, upstream: DemoServer) -> None:
    """A plain Ollama in the proxy's place: open, without guard, and nothing on it is changed."""
    status, checks, _ = doctor(upstream.url, proxy, "--timeout", "1")
    assert status == 1
    for name in ("reach", "token", "admin", "refused-routes", "guard", "request-id"):
        assert checks[name]["result"] == "fail", checks[name]
    changed = [r for r in upstream.requests if r.path in ("/api/signout", "/api/user/keys")]
    assert changed == []


def test_a_guard_that_is_off_is_found_out(upstream: DemoServer, tmp_path: Path) -> None:
    with Proxy(tmp_path, upstream.url, guard__input_enabled=False) as open_proxy:
        _, checks, _ = doctor(open_proxy.url, open_proxy, *only("guard", "spellings"))
    assert results(checks) == {"guard": "fail", "spellings": "fail"}, checks


def test_scanners_that_hold_answers_back_are_named(upstream: DemoServer, tmp_path: Path) -> None:
    settings = {"guard__output_scanners__secrets__enabled": True}
    with Proxy(tmp_path, upstream.url, **settings) as holding:
        status, checks, _ = doctor(holding.url, holding, *only("stream-ollama"))
    assert results(checks) == {"stream-ollama": "warn"}, checks
    assert "scanned: secrets;" in checks["stream-ollama"]["hint"]
    assert status == 0
