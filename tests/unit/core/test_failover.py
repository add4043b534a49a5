import pytest

from ogp.core.errors import GatewayError, UpstreamError
from ogp.core.failover import first_answer
from ogp.core.types import Route
from tests.support.fleet import request_for
from tests.support.stages import Stages, make_exchange


class Lease:
    """Servers one after the other."""

    told = ""

    def __init__(self, *names: str) -> None:
        self._routes = [Route(name, f"http://{name}") for name in names]
        self.has_answered = False

    @property
    def route(self) -> Route:
        return self._routes[0]

    @property
    def has_spare(self) -> bool:
        return len(self._routes) > 1

    def failed(self, error: GatewayError) -> None:
        if not self.has_spare:
            raise error
        self._routes.pop(0)

    def answered(self) -> None:
        self.has_answered = True


class Failing(Stages):
    """Fails so often, then answers."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.left = failures

    def _pass(self, stage: str) -> None:
        super()._pass(stage)
        if stage == "send" and self.left:
            self.left -= 1
            raise UpstreamError("away")


def test_the_record_names_the_server_that_answered() -> None:
    lease, exchange = Lease("a", "b", "c"), make_exchange()
    response = first_answer(Failing(2), request_for(), lease, exchange)
    assert response.status == 200
    assert exchange.record.server_used == "c"
    assert lease.has_answered
    exchange.release()


def test_the_last_failure_is_the_answer() -> None:
    lease, exchange = Lease("a", "b"), make_exchange()
    with pytest.raises(UpstreamError):
        first_answer(Failing(2), request_for(), lease, exchange)
    assert exchange.record.server_used == "b"
    assert not lease.has_answered
