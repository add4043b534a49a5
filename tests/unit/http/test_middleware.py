import pytest

from tests.support.edge import ALICE, ROOT, Edge


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
