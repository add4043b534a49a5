import pytest

from ogp.cli.doctor_routes import (
    BAD_PROMPT,
    NEVER_ASKED,
    NOWHERE,
    SPELLINGS,
    methods,
    refused_routes,
    routes,
    spellings,
    unknown_paths,
)
from ogp.cli.doctor_site import BROKEN_JSON, Result
from ogp.dialects.coverage import coverage
from tests.support.little_server import Asked, always, answer, site_of

BAD_BODY = answer(400, {"code": "invalid_request"})


def test_every_open_route_is_asked_and_none_is_given_work() -> None:
    asked: list[Asked] = []

    def say(request: Asked) -> bytes:
        asked.append(request)
        return BAD_BODY

    with site_of(say, model="library/a:b c") as site:
        found = routes(site)
    assert found.result is Result.OK
    expected = {
        (route.method, route.path.replace("{model}", "library/a:b%20c"))
        for route in coverage()
        if route.caller != "nobody" and "{digest}" not in route.path
    }
    assert {(each.method, each.path) for each in asked} == expected
    for each in asked:
        assert each.body == (b"" if each.method in ("GET", "HEAD") else BROKEN_JSON)


@pytest.mark.parametrize("status", [404, 405, 502])
def test_a_route_that_is_missing_is_told(status: int) -> None:
    def say(asked: Asked) -> bytes:
        return answer(status) if asked.path == "/v1/messages" else BAD_BODY

    with site_of(say) as site:
        found = routes(site)
    assert found.result is Result.FAIL
    assert f"POST /v1/messages: {status}" in found.evidence


def test_refused_routes_are_asked_but_for_those_that_would_change_something() -> None:
    asked: list[str] = []

    def say(request: Asked) -> bytes:
        asked.append(request.path)
        return answer(403, {"code": "forbidden"})

    with site_of(say) as site:
        found = refused_routes(site)
    assert found.result is Result.OK
    assert NEVER_ASKED.isdisjoint(asked)
    assert set(asked) | NEVER_ASKED == {
        route.path for route in coverage() if route.caller == "nobody"
    }


def test_a_refused_route_that_is_open_is_told() -> None:
    with site_of(lambda asked: answer(200 if asked.path == "/api/me" else 403)) as site:
        found = refused_routes(site)
    assert (found.result, found.evidence) == (Result.FAIL, "POST /api/me: 200 (application/json)")


def test_paths_that_do_not_exist_are_404_of_the_proxy() -> None:
    with site_of(always(answer(404, {"code": "not_found"}))) as site:
        assert unknown_paths(site).result is Result.OK


@pytest.mark.parametrize("path", NOWHERE)
def test_a_path_that_exists_and_should_not_is_told(path: str) -> None:
    with site_of(
        lambda asked: answer(200) if asked.path == path else answer(404, {"code": "not_found"})
    ) as site:
        found = unknown_paths(site)
    assert (found.result, found.evidence) == (Result.FAIL, f"GET {path}: 200 (application/json)")


def test_a_page_of_a_server_in_front_is_warned_of() -> None:
    with site_of(always(answer(404, "<html>nginx</html>"))) as site:
        assert unknown_paths(site).result is Result.WARN


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (answer(405, Allow="POST"), Result.OK),
        (answer(405), Result.FAIL),
        (answer(404), Result.FAIL),
        (answer(200), Result.FAIL),
    ],
)
def test_wrong_methods_are_405_with_the_right_ones(said: bytes, result: Result) -> None:
    with site_of(always(said)) as site:
        assert methods(site).result is result


def test_spellings_that_lead_nowhere_or_to_the_guard_are_right() -> None:
    seen: list[Asked] = []

    def say(asked: Asked) -> bytes:
        seen.append(asked)
        return answer(403 if "%" in asked.path else 404)

    with site_of(say) as site:
        assert spellings(site).result is Result.OK
    assert [each.path for each in seen] == list(SPELLINGS)
    assert all(each.document["prompt"] == BAD_PROMPT for each in seen)


@pytest.mark.parametrize(
    ("status", "result"), [(200, Result.FAIL), (307, Result.WARN), (403, Result.WARN)]
)
def test_a_spelling_that_leads_somewhere_is_told(status: int, result: Result) -> None:
    with site_of(lambda asked: answer(status if asked.path == "//api/generate" else 404)) as site:
        found = spellings(site)
    assert found.result is result
    assert "//api/generate" in found.evidence
    assert BAD_PROMPT not in found.evidence + found.hint
