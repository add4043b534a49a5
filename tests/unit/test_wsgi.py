import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from falcon.testing import TestClient

from ogp.storage.migrate import migrate
from ogp.wsgi import SNAPSHOT_VARIABLE, Application, create_app


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    monkeypatch.chdir(tmp_path)
    snapshot = tmp_path / "snapshot.yaml"
    snapshot.write_text(f"data_dir: {tmp_path / 'data'}\nserver: {{port: 8181}}\n")
    monkeypatch.setenv(SNAPSHOT_VARIABLE, str(snapshot))
    migrate(tmp_path / "data" / "ogp.db")
    application = create_app()
    yield application
    application.stop()
    structlog.reset_defaults()
    logging.getLogger().handlers = []


def test_a_worker_runs_on_the_configuration_its_master_found_good(
    application: Application, tmp_path: Path
) -> None:
    client = TestClient(application)
    assert client.simulate_get("/up", remote_addr="127.0.0.1").status_code == 200
    assert (tmp_path / "logs" / "ollama_guard_proxy.log").exists()


def test_what_still_waits_can_be_refused_before_the_end(application: Application) -> None:
    application.refuse_waiting()
    client = TestClient(application)
    assert client.simulate_get("/up", remote_addr="127.0.0.1").status_code == 200


def test_without_a_file_the_defaults_and_the_environment_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(SNAPSHOT_VARIABLE, raising=False)
    monkeypatch.setenv("OGP__DATA_DIR", str(tmp_path / "elsewhere"))
    migrate(tmp_path / "elsewhere" / "ogp.db")
    application = create_app()
    application.stop()
    assert (tmp_path / "elsewhere" / "run").is_dir()
    structlog.reset_defaults()
    logging.getLogger().handlers = []
