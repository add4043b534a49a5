"""One resource for the operations of every dialect."""

from collections.abc import Iterable
from typing import ClassVar

from falcon import Request, Response

from ogp.admission.room import RequestRoom
from ogp.core.types import Answer
from ogp.dialects.base import Dialect, Operation
from ogp.gateway import Gateway
from ogp.http.body import read_body
from ogp.http.middleware import Access
from ogp.http.scope import exchange_of
from ogp.http.streaming import AnswerStream
from ogp.settings.schema import LimitSettings


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

    def _serve(self, req: Request, resp: Response) -> None:
        exchange = exchange_of(req)
        exchange.note(dialect=self._dialect.name)
        exchange.enter(self._room.place())
        body = read_body(req, self._limits)
        exchange.note(request_bytes=len(body))
        request = self._operations[req.method].parse(body)
        exchange.note(model=request.model or None)
        principal = exchange.principal
        if principal is None:
            raise AssertionError("the token middleware lets nobody in without a principal")
        self._answer(resp, self._gateway.handle(request, principal, exchange), req)

    def _answer(self, resp: Response, answer: Answer, req: Request) -> None:
        exchange = exchange_of(req)
        resp.status = answer.status
        resp.set_headers(dict(answer.headers))
        record = exchange.record
        output = record.guard_output if answer.chunks is None else "streamed"
        resp.set_header("X-OGP-Guard", f'input="{record.guard_input}", output="{output}"')
        if answer.chunks is None:
            resp.data = answer.body
            return
        resp.stream = AnswerStream(answer.chunks, self._dialect, exchange)
        resp.set_header("Cache-Control", "no-cache")
        resp.set_header("X-Accel-Buffering", "no")
