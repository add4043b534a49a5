from ogp.dialects.ollama import OllamaDialect
from ogp.settings.schema import LimitSettings
from tests.support.edge import ALICE, Edge


def test_every_operation_of_the_dialect_has_its_route() -> None:
    edge = Edge()
    for operation in OllamaDialect(LimitSettings()).operations:
        answer = edge.client.simulate_request(operation.method, operation.path, headers=ALICE)
        assert answer.status_code in (200, 400), operation


def test_methods_of_one_path_share_it() -> None:
    edge = Edge()
    for method in ("GET", "HEAD"):
        answer = edge.client.simulate_request(method, "/api/tags", headers=ALICE)
        assert answer.status_code == 200


def test_management_and_unknown_paths_do_not_exist() -> None:
    edge = Edge()
    for path in ("/api/pull", "/api/push", "/api/create", "/api/me", "/v1/anything", "/debug"):
        assert edge.client.simulate_post(path, headers=ALICE).status_code == 404
    assert edge.stages.passed == []
