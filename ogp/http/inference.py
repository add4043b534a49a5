"""One resource for the operations of every dialect."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from falcon import Request, Response

from ogp.admission.room import RequestRoom
from ogp.core.errors import (
    BodyTimeoutError,
    ClientGoneError,
    GatewayError,
    InvalidRequestError,
)
from ogp.core.exchange import Exchange
from ogp.core.types import Answer, InferenceRequest, Priority
from ogp.dialects.base import Dialect, Operation
from ogp.dialects.forms import Body, Caller
from ogp.gateway import Gateway
from ogp.http.body import discard_rest, read_body, upload_of
from ogp.http.middleware import Access
from ogp.http.scope import exchange_of
from ogp.http.servers import asked_server
from ogp.http.streaming import AnswerStream
from ogp.queueing.claims import PRIORITY_HEADER
from ogp.settings.schema import LimitSettings

MANAGED_TIMEOUT_S = 24 * 3600.0
"""From arrival to the first byte, and from one byte to the next, where a model is installed: sent,
fetched from afar, or put together from hundreds of gigabytes."""


class OperationResource:
    """The operations of one path, by method. Falcon finds them as `on_get`, `on_post` ..."""

    access: ClassVar[Access] = Access.USER
    audited: ClassVar[bool] = True
    own: ClassVar[bool] = False

    def __init__(
        self,
        gateway: Gateway,
        dialect: Dialect,
        operations: Iterable[Operation],
        limits: LimitSettings,
        room: RequestRoom,
    ) -> None:
        self._gateway, self._dialect, self._limits, self._room = gateway, dialect, limits, room
        self._operations = {operation.method: operation for operation in operations}
        for method in self._operations:
            setattr(self, f"on_{method.lower()}", self._serve)

    def _serve(self, req: Request, resp: Response, **params: str) -> None:
        exchange = exchange_of(req)
        exchange.note(dialect=self._dialect.name)
        exchange.enter(self._room.place())
        try:
            self._handle(req, resp, params, exchange)
        except (BodyTimeoutError, ClientGoneError):
            raise  # nothing more will come
        except GatewayError:
            discard_rest(req, self._limits)
            raise

    def _handle(
        self, req: Request, resp: Response, params: Mapping[str, str], exchange: Exchange
    ) -> None:
        request = self._parsed(req, params, exchange)
        request = replace(request, priority=asked_priority(req))
        exchange.note(model=request.model or None)
        if request.managed:
            exchange.allow(MANAGED_TIMEOUT_S)
        principal = exchange.principal
        if principal is None:
            raise AssertionError("the token middleware lets nobody in without a principal")
        request = replace(request, server=asked_server(req, request, principal))
        answer = self._gateway.handle(request, principal, exchange)
        self._answer(resp, answer, request, exchange)

    def _parsed(
        self, req: Request, params: Mapping[str, str], exchange: Exchange
    ) -> InferenceRequest:
        operation = self._operations[req.method]
        if operation.form.caller is Caller.NOBODY or operation.form.body is Body.BYTES:
            head = operation.parse(b"", params)
            upload = upload_of(req, self._limits)
            return replace(head, upload=replace(upload, chunks=counted(upload.chunks, exchange)))
        body = read_body(req, self._limits)
        exchange.note(request_bytes=len(body))
        return operation.parse(body, params)

    def _answer(
        self, resp: Response, answer: Answer, request: InferenceRequest, exchange: Exchange
    ) -> None:
        resp.status = answer.status
        resp.set_headers(dict(answer.headers))
        record = exchange.record
        output = record.guard_output if answer.chunks is None else "streamed"
        resp.set_header("X-OGP-Guard", f'input="{record.guard_input}", output="{output}"')
        if answer.chunks is None:
            resp.data = answer.body
            return
        resp.stream = AnswerStream(answer.chunks, self._dialect, request, exchange)
        resp.set_header("Cache-Control", "no-cache")
        resp.set_header("X-Accel-Buffering", "no")


def counted(pieces: Iterator[bytes], exchange: Exchange) -> Iterator[bytes]:
    """A file's pieces; the record knows how many bytes of it came, also of one that broke off."""
    total = 0
    for piece in pieces:
        total += len(piece)
        exchange.note(request_bytes=total)
        yield piece


def asked_priority(req: Request) -> Priority | None:
    """The class in the queue that the client asks for.

    Raises:
        InvalidRequestError: it names none that exists.
    """
    asked = req.get_header(PRIORITY_HEADER)
    if asked is None:
        return None
    try:
        return Priority(asked.strip().lower())
    except ValueError:
        words = " or ".join(Priority)
        raise InvalidRequestError(f"{PRIORITY_HEADER} must be {words}.") from None
