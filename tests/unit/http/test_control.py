from falcon import App
from falcon.testing import TestClient

from ogp.core.exchange import Exchange
from ogp.core.types import Principal, Role
from ogp.http.control import ConfigResource, ReadyResource, RootResource
from ogp.http.scope import EXCHANGE_KEY
from ogp.settings.schema import Settings
from tests.support.stages import make_exchange


def client_for(resource: object, exchange: Exchange | None = None) -> TestClient:
    app = App()
    app.add_route("/", resource)
    return TestClient(
        lambda environ, start: app({**environ, EXCHANGE_KEY: exchange or make_exchange()}, start)
    )


def test_the_root_speaks_like_ollama() -> None:
    client = client_for(RootResource(lambda: True))
    answer = client.simulate_get("/")
    assert (answer.status_code, answer.text) == (200, "Ollama is running")
    assert client.simulate_head("/").status_code == 200


def test_the_root_tells_when_no_server_answers() -> None:
    answer = client_for(RootResource(lambda: False)).simulate_get("/")
    assert (answer.status_code, answer.text) == (500, "Ollama service unavailable")


def test_ready_is_200_without_obstacles_and_503_with() -> None:
    obstacles: list[str] = []
    client = client_for(ReadyResource(lambda: obstacles))
    assert client.simulate_get("/").json == {"status": "ready", "waiting_for": []}
    obstacles.append("audit log")
    answer = client.simulate_get("/")
    assert answer.status_code == 503
    assert answer.json == {"status": "not_ready", "waiting_for": ["audit log"]}


def test_only_administrators_see_the_lists_in_the_configuration() -> None:
    settings = Settings.model_validate({"access": {"ip_deny": "10.0.0.1,10.0.0.2"}})
    exchange = make_exchange()
    client = client_for(ConfigResource(settings), exchange)
    exchange.principal = Principal("alice", Role.USER)
    document = client.simulate_get("/").json
    assert document["access"]["ip_deny"] == {"count": 2}
    assert document["proxy_port"] == 8080
    exchange.principal = Principal("root", Role.ADMIN)
    assert len(client.simulate_get("/").json["access"]["ip_deny"]) == 2
