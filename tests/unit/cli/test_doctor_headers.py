from functools import partial

import pytest

from ogp.cli.doctor_headers import (
    FOREIGN_HOST,
    cors,
    forwarded_for,
    host,
    judge_forwarded,
    request_id,
    security_headers,
    server_header,
)
from ogp.cli.doctor_site import Result
from tests.support.little_server import SECURITY, Asked, always, answer, site_of


def named(asked: Asked) -> bytes:
    name = asked.headers["x-request-id"]
    return answer(200, X_Request_ID="made-here" if " " in name else name)


def test_a_name_that_comes_back_is_right() -> None:
    with site_of(named) as site:
        assert request_id(site).result is Result.OK


@pytest.mark.parametrize(
    ("said", "told"),
    [(answer(200), "missing"), (answer(200, X_Request_ID="other"), "another one")],
)
def test_a_name_that_gets_lost_is_wrong(said: bytes, told: str) -> None:
    with site_of(always(said)) as site:
        found = request_id(site)
    assert found.result is Result.FAIL
    assert told in found.evidence


def test_a_name_that_cannot_be_must_not_come_back() -> None:
    with site_of(lambda asked: answer(200, X_Request_ID=asked.headers["x-request-id"])) as site:
        assert request_id(site).result is Result.FAIL


def test_answers_with_all_security_headers_are_right() -> None:
    with site_of(always(answer(200, **SECURITY))) as site:
        assert security_headers(site).result is Result.OK


@pytest.mark.parametrize("bare", ["/up", "/api/tags", "/api/ogp-doctor"])
def test_a_refusal_without_security_headers_is_wrong(bare: str) -> None:
    headers = {**SECURITY, "X-Frame-Options": ""}

    def say(asked: Asked) -> bytes:
        return answer(200, **(headers if asked.path == bare else SECURITY))

    with site_of(say) as site:
        found = security_headers(site)
    assert found.result is Result.FAIL
    assert "lacks X-Frame-Options" in found.evidence


def test_security_headers_that_come_twice_are_warned_of() -> None:
    with site_of(always(answer(200, **SECURITY, **{"x-frame-options": "SAMEORIGIN"}))) as site:
        found = security_headers(site)
    assert found.result is Result.WARN
    assert "X-Frame-Options twice" in found.evidence


@pytest.mark.parametrize(
    ("headers", "result", "evidence"),
    [
        ({}, Result.OK, "nothing is told"),
        ({"Server": "nginx"}, Result.OK, "Server: nginx"),
        ({"Server": "nginx/1.22.1"}, Result.WARN, "Server: nginx/1.22.1"),
        ({"Server": "a", "Via": "1.1 b"}, Result.WARN, "Server: a, Via: 1.1 b"),
    ],
)
def test_versions_of_software_are_nobodys_business(
    headers: dict[str, str], result: Result, evidence: str
) -> None:
    with site_of(always(answer(200, **headers))) as site:
        found = server_header(site)
    assert (found.result, found.evidence) == (result, evidence)


def test_a_foreign_host_that_does_not_come_back_is_right() -> None:
    with site_of(always(answer(200, {"status": "up"}))) as site:
        assert host(site).result is Result.OK


@pytest.mark.parametrize(
    "said",
    [answer(301, Location=f"https://{FOREIGN_HOST}/up"), answer(200, f"<a href={FOREIGN_HOST}>")],
)
def test_a_foreign_host_that_comes_back_is_wrong(said: bytes) -> None:
    with site_of(always(said)) as site:
        assert host(site).result is Result.FAIL


def test_no_page_of_another_site_is_let_in_by_default() -> None:
    with site_of(lambda asked: answer(403 if asked.method == "OPTIONS" else 200)) as site:
        found = cors(site)
    assert found.result is Result.OK
    assert "preflight: 403" in found.evidence


def open_to(asked: Asked, *, method: str, whom: str) -> bytes:
    allowed = whom or asked.headers["origin"]
    return answer(204, Access_Control_Allow_Origin=allowed if asked.method == method else "")


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize(("whom", "told"), [("*", "everybody"), ("", "that nobody knows")])
def test_pages_of_other_sites_that_are_let_in_are_told(method: str, whom: str, told: str) -> None:
    with site_of(partial(open_to, method=method, whom=whom)) as site:
        found = cors(site)
    assert found.result is Result.FAIL
    assert told in found.evidence


def test_a_claim_that_is_not_looked_at_is_right() -> None:
    with site_of(always(answer(200))) as site:
        assert forwarded_for(site).result is Result.OK


def test_a_claim_that_is_believed_from_this_machine_tells_nothing() -> None:
    with site_of(lambda asked: answer(400 if "x-forwarded-for" in asked.headers else 200)) as site:
        assert forwarded_for(site).result is Result.SKIPPED


@pytest.mark.parametrize(
    ("status", "local", "result"),
    [
        (200, "192.0.2.7", Result.OK),
        (400, "192.0.2.7", Result.FAIL),
        (400, "fe80::1%eth0", Result.FAIL),
        (400, "::1", Result.SKIPPED),
        (502, "192.0.2.7", Result.FAIL),
    ],
)
def test_a_claim_that_is_believed_from_elsewhere_is_wrong(
    status: int, local: str, result: Result
) -> None:
    assert judge_forwarded(status, local).result is result
