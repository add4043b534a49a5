import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from falcon.testing import TestClient

from ogp.assembly import Services, build, check
from ogp.demo.server import DemoServer
from ogp.settings.problems import SettingsError
from ogp.settings.schema import Settings
from ogp.storage.migrate import migrate


def make_settings(directory: Path, **sections: object) -> Settings:
    return Settings.model_validate({"data_dir": directory / "data", **sections})


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with DemoServer() as upstream:
        settings = make_settings(tmp_path, auth={"enabled": False}, upstream={"url": upstream.url})
        migrate(settings.database_path)
        services = build(settings)
        services.start()
        yield services
        services.stop()


def test_building_touches_nothing(tmp_path: Path) -> None:
    threads = threading.active_count()
    build(make_settings(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == threads


def test_a_request_passes_through_everything_that_was_built(services: Services) -> None:
    client = TestClient(services.app)
    answer = client.simulate_post(
        "/api/generate",
        json={"model": "demo", "prompt": "hi", "stream": False},
        remote_addr="127.0.0.1",
    )
    assert answer.status_code == 200
    assert answer.json["done"] is True
    statistics = client.simulate_get("/queue/stats", remote_addr="127.0.0.1").json
    assert statistics["models"]["demo"]["total_processed"] == 1


@pytest.mark.parametrize(
    "path", ["/", "/up", "/health", "/ready", "/config", "/queue/stats", "/queue/memory"]
)
def test_every_own_endpoint_answers(services: Services, path: str) -> None:
    answer = TestClient(services.app).simulate_get(path, remote_addr="127.0.0.1")
    assert answer.status_code == 200


def test_what_was_started_is_stopped_and_only_once(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    migrate(settings.database_path)
    services = build(settings)
    threads = {thread.name for thread in threading.enumerate()}
    services.start()
    services.stop()
    services.stop()
    left = {thread.name for thread in threading.enumerate()} - threads
    assert not any(name.startswith(("audit", "watch")) for name in left)


def test_with_authentication_nobody_passes_without_a_token(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    migrate(settings.database_path)
    services = build(settings)
    services.start()
    answer = TestClient(services.app).simulate_get("/config", remote_addr="127.0.0.1")
    services.stop()
    assert answer.status_code == 401


def test_settings_that_cannot_be_built_are_refused_with_the_reason(tmp_path: Path) -> None:
    check(make_settings(tmp_path))
    regex = {"patterns": [{"name": "slow", "pattern": "(a+)+$"}]}
    with pytest.raises(SettingsError, match="slow"):
        check(make_settings(tmp_path, guard={"input_scanners": {"regex": regex}}))
    assert list(tmp_path.iterdir()) == []


def test_queue_statistics_can_be_switched_off(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, auth={"enabled": False}, queue={"stats_enabled": False})
    client = TestClient(build(settings).app)
    assert client.simulate_get("/queue/memory", remote_addr="127.0.0.1").status_code == 200
    assert client.simulate_get("/queue/stats", remote_addr="127.0.0.1").status_code == 404
