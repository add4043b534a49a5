import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import pytest

from ogp import __version__
from ogp.cli import doctor_access
from ogp.cli.doctor_access import (
    ADMIN_PATHS,
    NO_BLOB,
    admin,
    clock,
    health,
    judge_certificate,
    judge_plain,
    managers,
    reach,
    ready,
    tls,
    token,
    version,
)
from ogp.cli.doctor_reply import WireError
from ogp.cli.doctor_site import Need, Result, Site
from ogp.cli.doctor_wire import Wire, parse_url
from tests.support.little_server import (
    CERTIFICATE,
    WAIT_S,
    Asked,
    always,
    answer,
    little_server,
    site_of,
)


def test_a_proxy_that_lives_is_reached() -> None:
    with site_of(always(answer(200, {"status": "up"}))) as site:
        found = reach(site)
    assert found.result is Result.OK
    assert "GET /up: 200" in found.evidence


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (answer(301, Location="https://b/up"), "to https://b/up"),
        (answer(302), "to nowhere"),
        (answer(502, "Bad Gateway"), "502"),
        (answer(403, {"code": "access_denied"}), "403 access_denied"),
        (answer(404, "404 page not found"), "404"),
        (answer(200, "welcome"), "200"),
    ],
)
def test_what_is_no_proxy_of_ours_is_not_reached(said: bytes, told: str) -> None:
    with site_of(always(said)) as site:
        found = reach(site)
    assert found.result is Result.FAIL
    assert told in found.evidence
    assert found.hint


def test_plain_http_is_right_on_one_machine_only() -> None:
    with site_of(always(answer(200))) as site:
        assert tls(site).result is Result.OK
    assert judge_plain("192.0.2.7").result is Result.WARN
    assert judge_plain("fe80::1%eth0").result is Result.WARN


def test_a_certificate_that_is_accepted_is_told_with_its_days() -> None:
    trusting = ssl.create_default_context(cafile=CERTIFICATE)
    with little_server(always(answer(200)), tls=True) as server:
        found = tls(Site(Wire(parse_url(server.url), WAIT_S, trusting)))
    assert found.result is Result.OK
    assert "TLSv1.3, the certificate is good for" in found.evidence


def test_a_certificate_that_is_refused_is_an_error() -> None:
    with (
        little_server(always(answer(200)), tls=True) as server,
        pytest.raises(WireError, match="certificate is refused"),
    ):
        tls(Site(Wire(parse_url(server.url), WAIT_S)))


@pytest.mark.parametrize(("days", "result"), [(20, Result.WARN), (22, Result.OK)])
def test_a_certificate_that_ends_soon_is_warned_of(days: int, result: Result) -> None:
    found = judge_certificate("TLSv1.3", 86_400.0 * days)
    assert found.result is result
    assert f"{days} more days" in found.evidence


def test_a_service_that_is_ready_is_ready() -> None:
    with site_of(always(answer(200, {"status": "ready"}))) as site:
        assert ready(site).result is Result.OK


def test_what_a_service_waits_for_is_told() -> None:
    document = {"waiting_for": ["audit log", "toxicity"]}
    with site_of(always(answer(503, document))) as site:
        found = ready(site)
    assert found.result is Result.FAIL
    assert "waiting for: audit log; toxicity" in found.evidence


def test_a_page_for_an_answer_is_no_readiness() -> None:
    with site_of(always(answer(503, "<html>"))) as site:
        assert "nothing is told" in ready(site).evidence


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (answer(200, {"status": "healthy"}), Result.OK),
        (answer(200, {"status": "degraded", "problems": ["server a is down"]}), Result.WARN),
        (answer(200, "<html>"), Result.FAIL),
        (answer(401), Result.FAIL),
    ],
)
def test_health_is_what_the_service_says(said: bytes, result: Result) -> None:
    with site_of(always(said)) as site:
        found = health(site)
    assert found.result is result
    assert ("server a is down" in found.evidence) is (result is Result.WARN)


@pytest.mark.parametrize(
    ("document", "result"),
    [({"version": __version__}, Result.OK), ({"version": "0.0.1"}, Result.WARN), ({}, Result.WARN)],
)
def test_another_version_is_told(document: object, result: Result) -> None:
    with site_of(always(answer(200, document))) as site:
        assert version(site).result is result


def locked(asked: Asked, *, right: int = 200) -> bytes:
    """Lets in whose token it knows, wherever."""
    if asked.token == "t-user":
        return answer(right, {"models": []})
    return answer(401, {"code": "unauthorized"}, WWW_Authenticate="Bearer")


def test_a_door_that_opens_with_the_token_only_is_right() -> None:
    with site_of(locked) as site:
        assert token(site).result is Result.OK


def test_a_door_that_is_open_is_wrong() -> None:
    with site_of(always(answer(200, {"models": []}))) as site:
        found = token(site)
    assert (found.result, found.evidence) == (Result.FAIL, "GET /api/tags without: 200")


def test_a_door_that_opens_with_any_token_is_wrong() -> None:
    def say(asked: Asked) -> bytes:
        return answer(200, {}) if asked.token else answer(401, WWW_Authenticate="Bearer")

    with site_of(say) as site:
        found = token(site)
    assert (found.result, found.evidence) == (
        Result.FAIL,
        "GET /api/tags with a wrong one: 200",
    )


def test_a_door_that_stays_closed_is_wrong() -> None:
    with site_of(always(answer(401, WWW_Authenticate="Bearer"))) as site:
        assert "with the one given" in token(site).evidence
        assert token(site).result is Result.FAIL


def test_a_door_behind_which_nobody_is_is_wrong() -> None:
    with site_of(partial(locked, right=502)) as site:
        found = token(site)
    assert found.result is Result.FAIL
    assert "502" in found.evidence


def test_without_a_token_the_door_is_seen_from_outside() -> None:
    with site_of(locked, token=None) as site:
        assert token(site).result is Result.SKIPPED


def test_a_refusal_that_does_not_say_what_is_asked_for_is_warned_of() -> None:
    def say(asked: Asked) -> bytes:
        return locked(asked) if asked.token == "t-user" else answer(401)

    with site_of(say) as site:
        assert token(site).result is Result.WARN


STATUSES = {"": 401, "t-user": 403, "t-admin": 405}


def closed(asked: Asked, **statuses: int) -> bytes:
    """What the endpoints of administrators say."""
    assert asked.method == "GET"
    name = {"": "nobody", "t-user": "user", "t-admin": "admin"}[asked.token]
    return answer(statuses.get(name, STATUSES[asked.token]))


def test_endpoints_of_administrators_are_closed_to_others() -> None:
    with site_of(closed) as site:
        found = admin(site)
    assert (found.result, found.evidence) == (Result.OK, "closed to: nobody, user")


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        ({"nobody": 405}, "of nobody: 405"),
        ({"nobody": 404}, "of nobody: 404"),
        ({"user": 200}, "of user: 200"),
        ({"admin": 403}, "of admin: 403"),
    ],
)
def test_one_that_is_open_is_told(statuses: dict[str, int], told: str) -> None:
    with site_of(partial(closed, **statuses)) as site:
        found = admin(site)
    assert found.result is Result.FAIL
    assert told in found.evidence


def test_a_token_of_an_administrator_is_told_apart() -> None:
    with site_of(partial(closed, user=405)) as site:
        assert admin(site).result is Result.WARN
        found = managers(site)
    assert found.result is Result.SKIPPED


def test_the_endpoints_of_the_cache_may_be_missing() -> None:
    def say(asked: Asked) -> bytes:
        return answer(404) if "cache" in asked.path and asked.token else closed(asked)

    with site_of(say) as site:
        assert admin(site).result is Result.OK


def test_without_tokens_endpoints_are_asked_by_nobody_only() -> None:
    asked: list[str] = []

    def say(request: Asked) -> bytes:
        asked.append(request.path)
        return closed(request)

    lacks = {Need.ADMIN: "none", Need.TOKEN: "none"}
    with site_of(say, token=None, admin_token=None, lacks=lacks) as site:
        assert admin(site).result is Result.OK
    assert asked == list(ADMIN_PATHS)


@pytest.mark.parametrize(("status", "result"), [(403, Result.OK), (404, Result.WARN)])
def test_files_of_models_are_for_administrators(status: int, result: Result) -> None:
    def say(asked: Asked) -> bytes:
        if asked.path != NO_BLOB:
            return closed(asked)
        assert asked.method == "HEAD"
        return answer(status)

    with site_of(say) as site:
        assert managers(site).result is result


def times(*, date: str | None = None, timestamp: str | None = None) -> bytes:
    return answer(200, {"timestamp": timestamp}, Date=date or "")


def moment(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("skew_s", "result"),
    [(0.0, Result.OK), (60.0, Result.WARN), (-60.0, Result.WARN), (3600.0, Result.FAIL)],
)
def test_clocks_that_differ_are_told(skew_s: float, result: Result) -> None:
    with site_of(lambda _: times(date=format_datetime(moment(skew_s), usegmt=True))) as site:
        assert clock(site).result is result
    with site_of(lambda _: times(timestamp=moment(skew_s).isoformat())) as site:
        assert clock(site).result is result


@pytest.mark.parametrize("said", [answer(200, "x"), times(date="soon", timestamp="later")])
def test_a_time_that_is_not_told_is_warned_of(said: bytes) -> None:
    with site_of(always(said)) as site:
        assert clock(site).result is Result.WARN


def test_every_check_of_this_part_has_its_name_once() -> None:
    names = [check.name for check in doctor_access.CHECKS]
    assert len(set(names)) == len(names) == 9
