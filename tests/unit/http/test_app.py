import pytest

from ogp.dialects.coverage import DIALECTS, coverage
from ogp.dialects.forms import Caller
from ogp.http.app import by_path
from ogp.settings.schema import LimitSettings
from tests.support.edge import ALICE, ROOT, Edge

DIGEST = "sha256:" + "0" * 64
PARAMETERS = {"model": "a/b:c", "digest": DIGEST, "key": "k"}
PATHS = sorted({route.path.format(**PARAMETERS) for route in coverage()})


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_operation_of_a_dialect_has_its_route(dialect: type) -> None:
    edge = Edge()
    for operation in dialect(LimitSettings()).operations:
        path = operation.path.format(**PARAMETERS)
        answer = edge.client.simulate_request(operation.method, path, headers=ROOT)
        refused = operation.form.caller is Caller.NOBODY
        assert answer.status_code in ((403,) if refused else (200, 400)), operation


@pytest.mark.parametrize("path", PATHS)
def test_methods_that_are_not_declared_are_405(path: str) -> None:
    edge = Edge()
    declared = {r.method for r in coverage() if r.path.format(**PARAMETERS) == path}
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} - declared:
        answer = edge.client.simulate_request(method, path, headers=ALICE)
        assert answer.status_code == 405
        assert declared <= set(answer.headers["Allow"].split(", "))
    assert edge.stages.passed == []


def test_methods_of_one_path_share_it() -> None:
    edge = Edge()
    for method in ("GET", "HEAD"):
        answer = edge.client.simulate_request(method, "/api/tags", headers=ALICE)
        assert answer.status_code == 200


def test_what_nobody_may_call_says_why_to_administrators_too() -> None:
    edge = Edge()
    refused = [route for route in coverage() if route.caller == "nobody"]
    assert len(refused) == 8
    for route in refused:
        path = route.path.format(**PARAMETERS)
        answer = edge.client.simulate_request(route.method, path, headers=ROOT)
        assert answer.status_code == 403
        assert route.why in answer.text
    assert edge.stages.passed == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/anything",
        "/debug",
        "/api",
        "/api/",
        "/api/blobs",
        "/api/blobs/",
        "/api/blobs/a/b",
        "/v1/models/",
        "/v1/messages/batches",
        "/api/user/keys",
    ],
)
def test_unknown_paths_do_not_exist(path: str) -> None:
    edge = Edge()
    for method in ("GET", "POST", "DELETE", "HEAD"):
        answer = edge.client.simulate_request(method, path, headers=ROOT)
        assert answer.status_code == 404
    assert edge.stages.passed == []


def test_no_two_dialects_have_the_same_path() -> None:
    paths = [path for dialect in DIALECTS for path in by_path(dialect(LimitSettings()))]
    assert len(paths) == len(set(paths))
