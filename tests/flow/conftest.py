"""A look-alike of Ollama and a real proxy in front of it, shared by the tests of one module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ogp.demo.server import DemoServer
from tests.support.proxy import BANNED, Proxy


@pytest.fixture(scope="module")
def shared_upstream() -> Iterator[DemoServer]:
    with DemoServer() as server:
        yield server


@pytest.fixture(scope="module")
def shared_proxy(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    with Proxy(
        tmp_path_factory.mktemp("proxy"),
        shared_upstream.url,
        guard__input_scanners__ban_substrings__substrings=BANNED,
        guard__output_scanners__ban_substrings__substrings=BANNED,
    ) as proxy:
        yield proxy


@pytest.fixture
def upstream(shared_upstream: DemoServer) -> DemoServer:
    shared_upstream.reset()
    return shared_upstream


@pytest.fixture
def proxy(shared_proxy: Proxy, upstream: DemoServer) -> Proxy:
    return shared_proxy


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path
