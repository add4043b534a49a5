"""What `ogp doctor` takes, as a shell gives it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ogp.cli.main import main
from tests.support.little_server import CERTIFICATE, Asked, answer, little_server

TOKEN = "ogp_12345678_secret"


@pytest.fixture(autouse=True)
def no_tokens_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OGP_TOKEN", "OGP_ADMIN_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def up(asked: Asked) -> bytes:
    if asked.path == "/api/tags":
        status = 200 if asked.token == TOKEN else 401
        return answer(status, {"models": [{"name": "llama2"}]}, WWW_Authenticate="Bearer")
    if asked.path.startswith("/admin/"):
        return answer({"": 401, TOKEN: 403}.get(asked.token, 405))
    return answer(200, {"status": "up"})


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments], env=environ)


def only(name: str) -> list[str]:
    return ["--only", name]


def token_used(*arguments: str, **environ: str) -> bool:
    with little_server(up) as server:
        document = json.loads(
            run(server.url, "--json", *only("token"), *arguments, **environ).stdout
        )
        shown = {asked.token for asked in server.asked}
    (check,) = document["checks"]
    assert TOKEN not in json.dumps(document)
    return bool(check["result"] == "ok" and TOKEN in shown)


def test_the_token_comes_from_option_file_or_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert token_used("--token", TOKEN, OGP_TOKEN="other")
    assert token_used("--token-file", str(file), OGP_TOKEN="other")
    assert token_used(OGP_TOKEN=TOKEN)
    assert not token_used(OGP_TOKEN="other")
    assert not token_used()


def test_the_administrators_token_is_shown_to_endpoints_of_administrators_only() -> None:
    with little_server(up) as server:
        run(server.url, "--token", TOKEN, *only("admin"), OGP_ADMIN_TOKEN="t-admin")
        run(server.url, "--token", TOKEN, "--admin-token", "t-admin", "--json")
        paths = {asked.path for asked in server.asked if asked.token == "t-admin"}
    assert paths
    assert all(path.startswith("/admin/") for path in paths)


@pytest.mark.parametrize(
    "arguments",
    [
        ["ftp://a"],
        [f"http://user:{TOKEN}@a"],
        ["http://a", "--direct", "b"],
        ["http://a", "--only", "nothing"],
        ["http://a", "--timeout", "0"],
        ["http://a", "--token", f"{TOKEN}\r\nX: y"],
        ["http://a", "--token", f"{TOKEN}ä"],
        ["http://a", "--admin-token", 5000 * "x"],
        ["http://a", "--token-file", "/nowhere"],
        ["http://a", "--ca", "/nowhere"],
        ["http://a", "--ca", __file__],
        ["http://a", "--model", "a\udcff"],
        [],
    ],
)  # fmt: skip
def test_a_wrong_call_is_exit_status_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert TOKEN not in result.output


def test_certificates_of_ones_own_can_be_trusted() -> None:
    with little_server(up, tls=True) as server:
        refused = run(server.url, *only("reach"), "--json")
        trusted = run(server.url, *only("reach"), "--json", "--ca", str(CERTIFICATE))
    assert refused.exit_code == 1
    assert "certificate is refused" in refused.stdout
    assert trusted.exit_code == 0


def test_the_time_for_a_request_can_be_set() -> None:
    with little_server(lambda _: iter(())) as server:
        result = run(server.url, "--timeout", "0.2", *only("reach"))
    assert result.exit_code == 1
