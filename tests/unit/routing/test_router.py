import pytest

from ogp.core.errors import NoUpstreamError
from ogp.core.types import Route
from ogp.routing.router import UpstreamRouter

ROUTE = Route("ollama", "http://127.0.0.1:11434")


def test_the_configured_server_is_the_candidate() -> None:
    assert list(UpstreamRouter([ROUTE]).candidates("llama2")) == [ROUTE]


def test_without_a_server_the_request_is_refused() -> None:
    with pytest.raises(NoUpstreamError):
        UpstreamRouter([]).candidates("llama2")


def test_a_lease_counts_until_it_ends_even_in_an_error() -> None:
    router = UpstreamRouter([ROUTE])
    with pytest.raises(RuntimeError), router.lease([ROUTE]) as route:
        assert route is ROUTE
        assert router.active() == {"ollama": 1}
        raise RuntimeError("upstream broke")
    assert router.active() == {"ollama": 0}
