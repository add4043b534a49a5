from typing import Any

import pytest
from falcon import App, Request, Response
from falcon.testing import TestClient

from ogp.dialects.ollama import OllamaDialect
from ogp.http.control import OwnResource
from ogp.http.errors import ErrorRenderer
from ogp.http.middleware import TokenMiddleware, spelled
from ogp.http.scope import EXCHANGE_KEY
from ogp.settings.schema import Settings
from tests.support.edge import ALICE, ROOT, Edge, NameVerifier
from tests.support.stages import make_exchange


def test_public_endpoints_need_no_token() -> None:
    assert Edge().get("/up").json == {"status": "up"}


@pytest.mark.parametrize("headers", [None, {"Authorization": "Bearer mallory"}])
def test_everything_else_needs_one(headers: dict[str, str] | None) -> None:
    edge = Edge()
    answer = edge.get("/report", headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json["code"] == "unauthorized"


def test_a_valid_token_opens_the_users_endpoints() -> None:
    assert Edge().get("/report", ALICE).json == {"figure": 1}


def test_a_token_may_come_as_an_api_key() -> None:
    edge = Edge()
    assert edge.get("/report", {"x-api-key": "alice"}).json == {"figure": 1}
    assert edge.get("/report", {"x-api-key": "mallory"}).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer alice", "x-api-key": "alice"},
        {"Authorization": "bearer alice", "x-api-key": "alice"},
        {"Authorization": "Bearer alice", "x-api-key": ""},
    ],
)
def test_both_headers_with_one_token_are_one(headers: dict[str, str]) -> None:
    assert Edge().get("/report", headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer alice", "x-api-key": "root"},
        {"Authorization": "Bearer root", "x-api-key": "alice"},
        {"Authorization": "Bearer mallory", "x-api-key": "alice"},
        {"Authorization": "Basic alice", "x-api-key": "alice"},
        {"Authorization": "alice", "x-api-key": "alice"},
    ],
)
def test_two_different_tokens_are_refused(headers: dict[str, str]) -> None:
    answer = Edge().get("/report", headers)
    assert answer.status_code == 401
    assert answer.json["message"] == (
        "The headers 'Authorization' and 'x-api-key' carry different tokens: send one of them."
    )
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_administrators_endpoints_refuse_users() -> None:
    edge = Edge()
    assert edge.get("/admin/report", ALICE).status_code == 403
    assert edge.get("/admin/report", ROOT).json == {"figure": 2}


def test_the_operator_may_open_an_own_endpoint() -> None:
    edge = Edge(access={"public_paths": ["/report", "/api/tags"]})
    assert edge.get("/report").status_code == 200
    assert edge.get("/api/tags").status_code == 401


@pytest.mark.parametrize(
    "path", ["//up", "/up/", "/up//", "/UP", "/./up", "/x/../up", "/up;x=1", "/up%00", "///up"]
)
def test_an_endpoint_has_one_spelling(path: str) -> None:
    assert Edge().get(path).status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [("/item/r-1", 200), ("/item/a%20b", 200), ("//item/r-1", 404), ("/item//r-1", 404)],
)
def test_an_endpoint_with_a_name_in_its_path_has_one_spelling_too(path: str, status: int) -> None:
    class ItemResource(OwnResource):
        def on_get(self, _req: Request, resp: Response, name: str) -> None:
            resp.text = name

    app: App[Any, Any] = App(middleware=[TokenMiddleware(NameVerifier(), [])])
    settings = Settings()
    ErrorRenderer({"ollama": OllamaDialect(settings.limits)}, "ollama").install(app)
    app.add_route("/item/{name}", ItemResource())
    client = TestClient(
        lambda environ, start: app({**environ, EXCHANGE_KEY: make_exchange()}, start)
    )
    assert client.simulate_get(path, headers=ALICE).status_code == status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models/demo", 200),
        ("/v1/models/user/demo:7b", 200),
        ("/v1/models/user%2Fdemo:7b", 200),
        ("/v1/%6dodels/demo", 200),
        ("//v1/models/demo", 404),
        ("/v1//models/demo", 404),
        ("/v1/models/", 404),
        ("/v1/models//", 400),
        ("/v1/models//demo", 400),
        ("/v1/models/demo/", 400),
        ("/v1/models/../tags", 400),
        ("/v1/models/{model}", 400),
        ("/v1/models/{0.__class__}", 400),
        ("/v1/models/demo;x", 400),
    ],
)
def test_a_name_with_slashes_has_one_spelling_too(path: str, status: int) -> None:
    edge = Edge()
    assert edge.get(path, ALICE).status_code == status
    assert ("send" in edge.stages.passed) == (status == 200)


def test_a_routes_template_spells_its_path() -> None:
    assert spelled("/a/{x}/{y:path}", {"x": "1", "y": "2/{x}"}) == "/a/1/2/{x}"
    assert spelled("/a:b", {}) == "/a:b"


def test_addresses_kept_out_get_no_further() -> None:
    edge = Edge(access={"ip_filter_enabled": True, "ip_deny": "127.0.0.0/8"})
    answer = edge.get("/up")
    assert answer.status_code == 403
    assert answer.json == {
        "error": "access_denied",
        "code": "access_denied",
        "message": "Access denied. Only requests from whitelisted IPs are allowed.",
        "client_ip": "127.0.0.1",
    }


def test_who_asked_is_in_the_record() -> None:
    edge = Edge()
    edge.get("/admin/report", ROOT)
    ((record, _),) = edge.audit.finished
    assert (record.username, record.user_id, record.token_id) == ("root", 1, "r" * 8)
    assert record.client_ip == "127.0.0.1"


def test_own_endpoints_leave_rows_only_when_refused() -> None:
    edge = Edge()
    edge.get("/up")
    edge.get("/report", ALICE)
    assert edge.audit.finished == []
    edge.get("/report")
    ((record, _),) = edge.audit.finished
    assert (record.response_status, record.error_code) == (401, "unauthorized")


def test_every_answer_carries_the_security_headers_and_its_id() -> None:
    for path in ("/up", "/report", "/nowhere"):
        headers = Edge().get(path, {"X-Request-ID": "r-1"}).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Request-ID"] == "r-1"
