"""Asking a running service: real HTTP, and a server that answers what a test wants."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ogp.cli.service import (
    Service,
    ServiceAwayError,
    ServiceError,
    checked_token,
    checked_url,
    printable,
    service_options,
)
from ogp.demo.script import Script
from ogp.demo.server import DemoServer

PATH = "/queue/stats"
TOKEN = "ogp_some-token"


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with DemoServer() as server:
        yield server


@pytest.fixture
def service(server: DemoServer) -> Iterator[Service]:
    service = Service(server.url, TOKEN, timeout_s=5)
    yield service
    service.close()


def refusal(status: int, document: object) -> Script:
    return Script.document(document, status=status)


def test_a_document_comes_back_and_the_token_goes_along(
    server: DemoServer, service: Service
) -> None:
    server.script(PATH, Script.document({"models": {}}))
    assert service.get(PATH, model="a&b") == {"models": {}}
    (seen,) = server.requests_to(PATH)
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert seen.target == f"{PATH}?model=a%26b"


def test_without_a_token_none_is_sent(server: DemoServer) -> None:
    server.script(PATH, Script.document({}))
    service = Service(server.url, None)
    service.get(PATH)
    service.close()
    assert "authorization" not in server.requests_to(PATH)[0].headers


def test_what_is_posted_is_json(server: DemoServer, service: Service) -> None:
    server.script("/admin/queue/update", Script.document({"status": "updated"}))
    assert service.post("/admin/queue/update", {"model": "m"}) == {"status": "updated"}
    assert json.loads(server.requests[0].body) == {"model": "m"}


def test_proxies_and_passwords_of_the_environment_are_not_asked(
    server: DemoServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.script(PATH, Script.document({}))
    service = Service(server.url, TOKEN)
    service.get(PATH)
    service.close()
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_refusal_is_told_in_the_service_s_own_words(server: DemoServer, service: Service) -> None:
    server.script(PATH, refusal(403, {"error": "forbidden: x", "message": "Only for them."}))
    with pytest.raises(ServiceError, match=r"^Only for them\.$") as caught:
        service.get(PATH)
    assert not isinstance(caught.value, ServiceAwayError)


def test_a_missing_token_is_told_with_where_to_put_it(server: DemoServer, service: Service) -> None:
    server.script(PATH, refusal(401, {"error": "unauthorized", "message": "No."}))
    with pytest.raises(ServiceError, match=r"No\. Give a token by OGP_TOKEN or --token-file\."):
        service.get(PATH)


@pytest.mark.parametrize(("known", "told"), [(["a", "b"], "a, b"), ([], "none")])
def test_an_unknown_model_is_told_with_those_there_are(
    server: DemoServer, service: Service, known: list[str], told: str
) -> None:
    document = {"error": "No queue found for model 'x'", "available_models": known}
    server.script(PATH, refusal(404, document))
    with pytest.raises(ServiceError) as caught:
        service.get(PATH)
    assert caught.value.message == f"No queue found for model 'x'; there are: {told}"


@pytest.mark.parametrize(
    "script",
    [
        refusal(404, "not found"),
        refusal(400, {"error": {"message": "of another kind"}}),
        Script.document([1]),
        Script(chunks=[b"<html>"], headers={"Content-Type": "text/html"}),
        Script.document({}, status=302, headers={"Location": "/elsewhere"}),
    ],
    ids=["text", "other error", "list", "html", "redirect"],
)
def test_what_no_proxy_of_ours_would_say_is_told_as_such(
    server: DemoServer, service: Service, script: Script
) -> None:
    server.script(PATH, script)
    with pytest.raises(ServiceError, match=r"answers with status \d+, and not as this proxy would"):
        service.get(PATH)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_web_server_whose_service_restarts_is_no_refusal(
    server: DemoServer, service: Service, status: int
) -> None:
    server.script(PATH, refusal(status, {"error": "x", "message": "Later."}))
    with pytest.raises(ServiceAwayError, match=r"^Later\.$"):
        service.get(PATH)


def test_nobody_there_and_nobody_in_time_are_told_apart(server: DemoServer) -> None:
    server.script(PATH, Script(hold_before_head=Event()))
    slow = Service(server.url, TOKEN, timeout_s=0.2)
    with pytest.raises(ServiceAwayError, match=r"does not answer in time$"):
        slow.get(PATH)
    slow.close()
    server.stop()
    gone = Service(server.url, TOKEN)
    with pytest.raises(ServiceAwayError, match=r"does not answer$"):
        gone.get(PATH)
    gone.close()


def test_what_would_steer_a_terminal_is_taken_out(server: DemoServer, service: Service) -> None:
    server.script(PATH, refusal(400, {"error": "\x1b[2Jgone\nbut\x07"}))
    with pytest.raises(ServiceError) as caught:
        service.get(PATH)
    assert caught.value.message == "?[2Jgone\nbut?"
    assert printable("as it is: ä") == "as it is: ä"


@pytest.mark.parametrize("url", ["http://a:1", "https://a", "http://[::1]:8080/", "http://a/ogp"])
def test_addresses(url: str) -> None:
    assert checked_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    ["a:1", "ftp://a", "http://", "http://a:x", "http://a:0", "http://me:pw@a", "http://a?b", ""],
)
def test_addresses_of_nothing(url: str) -> None:
    with pytest.raises(click.BadParameter, match="must look like http://HOST:PORT"):
        checked_url(url)


def test_tokens_that_cannot_be_are_refused_and_not_shown() -> None:
    assert checked_token(f"{TOKEN}\n") == TOKEN
    assert checked_token(" \n") is None
    for text in ("two words", "bell\x07", "ümlaut"):
        with pytest.raises(click.BadParameter) as caught:
            checked_token(text)
        assert text not in str(caught.value)


@click.command()
@service_options
def show(service: Service) -> None:
    click.echo(service.get(PATH)["seen"])


Run = Callable[..., Result]


@pytest.fixture
def run(server: DemoServer) -> Run:
    server.script(PATH, Script.document({"seen": "yes"}))

    def run(*arguments: str, **environ: str) -> Result:
        clean: dict[str, Any] = {"OGP_TOKEN": None, "OGP_URL": None}
        return CliRunner().invoke(show, list(arguments), env={**clean, **environ})

    return run


def test_address_and_token_come_from_the_environment(run: Run, server: DemoServer) -> None:
    result = run(OGP_URL=server.url, OGP_TOKEN=TOKEN)
    assert result.stdout == "yes\n"
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_file_wins_over_the_environment(run: Run, server: DemoServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("ogp_other\n")
    run("--url", server.url, "--token-file", str(file), OGP_TOKEN=TOKEN)
    assert server.requests[0].headers["authorization"] == "Bearer ogp_other"


def test_a_file_that_holds_no_text_is_refused(run: Run, server: DemoServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xff")
    result = run("--url", server.url, "--token-file", str(file))
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


def test_a_service_that_is_away_is_exit_status_1(run: Run, server: DemoServer) -> None:
    server.stop()
    result = run("--url", server.url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"Error: {server.url} does not answer\n" in result.stderr
