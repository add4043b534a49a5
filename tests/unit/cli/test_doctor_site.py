import pytest

from ogp.cli.doctor_reply import Piece, Reply
from ogp.cli.doctor_site import Caller, RateLimitedError, Site, code_of, said, scrubbed
from ogp.cli.doctor_wire import Wire, parse_url
from tests.support.little_server import Asked, always, answer, site_of


def echo(asked: Asked) -> bytes:
    return answer(200, {"token": asked.token, "body": asked.body.decode()})


@pytest.mark.parametrize(
    ("caller", "token"),
    [(Caller.NOBODY, ""), (Caller.USER, "t-user"), (Caller.ADMIN, "t-admin")],
)
def test_a_check_asks_in_the_name_it_chooses(caller: Caller, token: str) -> None:
    with site_of(echo) as site:
        reply = site.ask("POST", "/x", {"a": 1}, caller=caller)
    assert reply.document == {"token": token, "body": '{"a":1}'}


def test_bytes_are_sent_as_they_are() -> None:
    with site_of(echo) as site:
        assert site.ask("POST", "/x", b"{").document["body"] == "{"


def test_without_a_token_none_is_sent() -> None:
    with site_of(echo, token=None) as site:
        assert site.ask("GET", "/x").document["token"] == ""


def test_a_rate_limit_is_an_error_of_its_own() -> None:
    with site_of(always(answer(429))) as site, pytest.raises(RateLimitedError, match="429"):
        site.ask("GET", "/x")


def test_a_request_on_an_open_connection_is_the_users() -> None:
    with site_of(echo) as site, site.wire.connected() as connection:
        site.send(connection, "POST", "/x", body=b"hi")
        assert connection.begin().whole().document == {"token": "t-user", "body": "hi"}


@pytest.mark.parametrize("document", ["<html>", [1], None])
def test_an_endpoint_that_says_nothing_is_empty(document: object) -> None:
    with site_of(always(answer(200, document))) as site:
        assert site.own("/health") == {}
        assert site.limit("max_messages", 7) == 7


@pytest.mark.parametrize(
    ("limits", "number"),
    [({"n": 3}, 3), ({"n": 0}, 7), ({"n": True}, 7), ({"n": "3"}, 7), ({}, 7), (None, 7)],
)
def test_a_limit_is_what_the_configuration_tells_or_the_default(
    limits: object, number: int
) -> None:
    with site_of(always(answer(200, {"limits": limits}))) as site:
        assert site.limit("n", 7) == number


def test_tokens_are_not_in_what_python_shows_of_a_site() -> None:
    site = Site(Wire(parse_url("http://a")), token="t-1", admin_token="t-2")
    assert "t-1" not in repr(site)
    assert "t-2" not in repr(site)
    assert list(site.secrets) == ["t-1", "t-2"]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"code": "not_found"}, "not_found"),
        ({"error": {"code": "too_large"}, "code": "x"}, "too_large"),
        ({"error": "text"}, ""),
        ({"code": "Not a code"}, ""),
        ({"code": 5}, ""),
        ("not_found", ""),
    ],
)
def test_codes_are_found_in_every_dialect(document: object, code: str) -> None:
    assert code_of(document) == code


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"code": "not_found"}', "404 not_found"),
        (b"{}", "404"),
        (b"<html>a secret</html>", "404 (text/html)"),
    ],
)
def test_of_an_answer_only_status_code_and_type_are_told(body: bytes, words: str) -> None:
    headers = (("Content-Type", "text/html; charset=x"),)
    assert said(Reply(404, headers, 0.0, (Piece(0.0, body),))) == words


def test_an_answer_without_type_is_told_so() -> None:
    assert said(Reply(502, (), 0.0)) == "502 (-)"


def test_what_is_shown_has_no_secrets_and_no_control_characters() -> None:
    assert scrubbed("a t-1\x1b[31m\nb t-2", ["t-1", "t-2"]) == "a ***?[31m?b ***"


def test_what_is_shown_is_not_too_long() -> None:
    assert len(scrubbed("x" * 400, [])) == 400
    assert scrubbed("x" * 401, []).endswith("x...")
    assert len(scrubbed("x" * 5000, [])) == 400
