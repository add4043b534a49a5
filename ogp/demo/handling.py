"""What happens between a request's first byte and its handler: routing, binding, recording."""

import ipaddress
import time
from collections.abc import Iterator
from typing import Any

from ogp.demo.call import Call, Endpoint, RefusedError, World
from ogp.demo.connection import Connection, RequestHead
from ogp.demo.control import PREFIX, Control, ControlError
from ogp.demo.gojson import EmptyBodyError, GoJSONError, Struct
from ogp.demo.ledger import Ledger, RecordedRequest
from ogp.demo.reply import Reply
from ogp.demo.routes import OLLAMA_ENDPOINTS, V1_ENDPOINTS, NoRouteError, Routes
from ogp.demo.scripts import Scripts

_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")


class Handling:
    """Serves the requests of a connection one after the other. Thread-safe."""

    def __init__(self, world: World, ledger: Ledger, scripts: Scripts, control: Control) -> None:
        self._world, self._ledger, self._scripts = world, ledger, scripts
        self._control = control
        self._routes = Routes((*OLLAMA_ENDPOINTS, *V1_ENDPOINTS))
        self.checks_host = False
        """Whether `Host` has to name this machine, as with an Ollama on loopback."""

    def serve(self, connection: Connection) -> bool:
        """Serve one request; False when the connection is to be closed."""
        head = connection.read_head()
        if head is None:
            return False
        reply = Reply(connection, head)
        body = connection.read_body(head)
        if self.checks_host and not is_local_host(head.headers.get("host", "")):
            reply.whole(403, b"", {})
        elif head.method == "OPTIONS":
            reply.whole(204, b"", {})
        elif head.path.startswith(PREFIX) and connection.is_local:
            self._answer_control(head, reply, body)
        else:
            self._answer(head, reply, body)
        for _ in body:
            pass  # what was left unread stands before the next request
        return reply.keep_alive

    def _answer_control(self, head: RequestHead, reply: Reply, body: Iterator[bytes]) -> None:
        try:
            status, document = self._control.answer(head.method, head.path, b"".join(body))
        except ControlError as error:
            status, document = 400, {"error": str(error)}
        reply.json(status, document)

    def _answer(self, head: RequestHead, reply: Reply, body: Iterator[bytes]) -> None:
        script = self._scripts.for_path(head.path)
        if script is not None:
            self._record(head, b"".join(body), None)
            self._world.engine.play(reply, None, head.path, script)
            return
        try:
            endpoint, argument = self._routes.find(head.method, head.path)
        except NoRouteError as miss:
            self._record(head, b"".join(body), None)
            self._miss(reply, miss)
            return
        try:
            self._call(endpoint, argument, head, reply, body)
        except RefusedError as refusal:
            reply.json(refusal.status, endpoint.refusal(refusal.status, refusal.message))

    def _call(
        self,
        endpoint: Endpoint,
        argument: str,
        head: RequestHead,
        reply: Reply,
        body: Iterator[bytes],
    ) -> None:
        document: dict[str, Any] = {}
        if endpoint.shape is None:
            self._record(head, b"", None)
        else:
            document = self._bind(endpoint.shape, head, b"".join(body))
        name = document.get("model", "")
        script = self._scripts.for_model(name) if endpoint.generates else None
        if script is not None:
            self._world.engine.play(reply, name, head.path, script)
            return
        endpoint.handler(Call(self._world, reply, head, head.path, argument, document, body))

    def _bind(self, shape: Struct, head: RequestHead, raw: bytes) -> dict[str, Any]:
        try:
            document = shape.read(raw)
        except EmptyBodyError:
            self._record(head, raw, None)
            raise RefusedError(400, "missing request body") from None
        except GoJSONError as error:
            self._record(head, raw, None)
            raise RefusedError(400, str(error)) from None
        self._record(head, raw, document)
        return document

    def _record(self, head: RequestHead, body: bytes, document: Any) -> None:
        self._ledger.record(
            RecordedRequest(
                head.method,
                head.path,
                head.target,
                head.headers,
                head.header_list,
                body,
                document,
                time.monotonic(),
            )
        )

    def _miss(self, reply: Reply, miss: NoRouteError) -> None:
        if miss.location:
            reply.whole(miss.status, b"", {"Location": miss.location})
            return
        text = "404 page not found" if miss.status == 404 else "405 method not allowed"
        reply.text(miss.status, text)


def is_local_host(host: str) -> bool:
    """Whether Ollama, bound to loopback, takes this `Host`: a local name or a private address."""
    name = host.strip().lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if name in ("", "localhost") or name.endswith(_LOCAL_SUFFIXES):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_private or address.is_unspecified
