from typing import Any

import pytest

from tests.support.edge import ALICE, Edge

PAGE = "https://chat.example.org"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


def edge_for(*origins: str) -> Edge:
    return Edge(access={"cors_allow_origins": list(origins)})


def options(edge: Edge, headers: dict[str, str], path: str = "/api/chat") -> Any:
    return edge.client.simulate_options(path, headers=headers, remote_addr="127.0.0.1")


def test_a_preflight_of_an_allowed_page_needs_no_token() -> None:
    edge = edge_for(PAGE)
    answer = options(edge, PREFLIGHT)
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
    assert answer.headers["Vary"] == "Origin"
    assert edge.audit.finished == []


def test_a_preflight_without_wanted_headers_allows_none() -> None:
    headers = {k: v for k, v in PREFLIGHT.items() if not k.endswith("Headers")}
    assert "Access-Control-Allow-Headers" not in options(edge_for(PAGE), headers).headers


@pytest.mark.parametrize("origins", [(), ("https://other.example.org",)])
def test_a_preflight_of_another_page_is_refused_and_recorded(origins: tuple[str, ...]) -> None:
    edge = edge_for(*origins)
    answer = options(edge, PREFLIGHT)
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert len(edge.audit.finished) == 1


def test_a_preflight_without_an_origin_is_refused() -> None:
    assert options(edge_for(PAGE), {"Access-Control-Request-Method": "GET"}).status_code == 403


def test_other_options_requests_need_a_token() -> None:
    assert options(edge_for(PAGE), {"Origin": PAGE}).status_code == 401


def test_an_allowed_page_may_read_answers_and_refusals() -> None:
    edge = edge_for("https://*.example.org")
    answer = edge.get("/report", {**ALICE, "Origin": PAGE.upper()})
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE.upper()
    assert "X-OGP-Guard" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" in edge.get("/report", {"Origin": PAGE}).headers


@pytest.mark.parametrize(
    "origin", ["https://example.org.evil.net", "http://chat.example.org", "null", "https://x"]
)
def test_another_page_gets_its_answer_unmarked(origin: str) -> None:
    answer = edge_for("https://*.example.org").get("/report", {**ALICE, "Origin": origin})
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"


def test_without_origins_answers_say_nothing_of_them() -> None:
    answer = Edge().get("/report", {**ALICE, "Origin": PAGE})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Vary" not in answer.headers


def test_a_star_allows_every_page() -> None:
    assert options(edge_for("*"), PREFLIGHT).status_code == 204
