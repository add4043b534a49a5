"""From one server to the next, as long as none has begun."""

from ogp.core.errors import GatewayError
from ogp.core.exchange import Exchange
from ogp.core.ports import Lease, Upstreams
from ogp.core.types import InferenceRequest, UpstreamResponse


def first_answer(
    upstreams: Upstreams, request: InferenceRequest, lease: Lease, exchange: Exchange
) -> UpstreamResponse:
    """The head of the answer; the record names the server that gave it.

    Raises:
        GatewayError: of the last server that was tried.
    """
    while True:
        exchange.note(server_used=lease.route.name)
        sending = upstreams.send(request, lease.route, exchange, has_spare=lease.has_spare)
        try:
            response = exchange.enter(sending)
        except GatewayError as error:
            lease.failed(error)
        else:
            lease.answered()
            return response
