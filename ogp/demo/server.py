"""The look-alike itself: sockets, threads, recording and scripts."""

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Any, Self

from ogp.demo.call import Loaded, World
from ogp.demo.connection import BadRequestError, ClientGoneError, Connection, HangUpError
from ogp.demo.control import Control
from ogp.demo.generation import Engine, Timing, Turns
from ogp.demo.handling import Handling
from ogp.demo.ledger import Disconnect, Generation, Ledger, RecordedRequest
from ogp.demo.models import DEFAULT_SIZE_BYTES, Library
from ogp.demo.reply import Reply
from ogp.demo.script import Script
from ogp.demo.scripts import Scripts

_BACKLOG = 1024
_JOIN_S = 1.0
_ACCEPT_S = 0.2
"""Where closing a listener does not wake its thread, `stop()` waits this long, in seconds."""
_ACCEPT_PAUSE_S = 0.01


class DemoServer:
    """An Ollama look-alike on a socket of its own; `with DemoServer() as server:` runs it.

    Thread-safe. What was seen is kept after `stop()`.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        models: Iterable[str] = (),
        first_byte_ms: float = 0.0,
        token_interval_ms: float = 0.0,
        max_generations: int = 0,
        keep_requests: int = 10_000,
    ) -> None:
        """Store the settings; `start()` opens the socket.

        Args:
            host: address to listen on.
            port: 0 lets the kernel choose.
            models: names installed besides the catalogue; they behave like `demo`.
            first_byte_ms: silence before an answer.
            token_interval_ms: silence between two tokens.
            max_generations: that many run at once, further ones wait; 0 lets all run.
            keep_requests: that many of the newest requests are kept.
        """
        self._host, self._port = host, port
        self._ledger = Ledger(keep_requests=keep_requests, keep_bytes=64 * 1024 * 1024)
        self._library = Library(models)
        self._scripts = Scripts(self._library)
        timing = Timing(first_byte_ms / 1e3, token_interval_ms / 1e3)
        engine = Engine(self._ledger, timing, Turns(max_generations))
        world = World(self._library, Loaded(), set(), engine)
        self._control = Control(self._ledger, self._scripts)
        self._handling = Handling(world, self._ledger, self._scripts, self._control)
        self._lock = Lock()  # guards the one below
        self._connections: dict[Connection, Thread] = {}
        self._stopping = Event()
        self._running: tuple[socket.socket, Thread] | None = None

    def start(self) -> Self:
        """Listen and answer.

        Raises:
            OSError: the address cannot be had.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
            listener.listen(_BACKLOG)
            listener.settimeout(_ACCEPT_S)
        except OSError:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        self._handling.checks_host = _is_loopback(listener.getsockname()[0])
        self._stopping.clear()
        acceptor = Thread(target=self._accept, args=(listener,), name="demo-accept", daemon=True)
        acceptor.start()
        self._running = listener, acceptor
        return self

    def stop(self) -> None:
        """Hang up on everybody and free the port; a second call changes nothing."""
        running, self._running = self._running, None
        if running is None:
            return
        listener, acceptor = running
        with self._lock:
            self._stopping.set()
            connections = dict(self._connections)
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            connection.shut_down()
        deadline = time.monotonic() + _JOIN_S
        for thread in (*connections.values(), acceptor):
            thread.join(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port; known after `start()` where the kernel chose it."""
        return self._port

    @property
    def url(self) -> str:
        """Base URL without a trailing slash."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def script(self, target: str, *scripts: Script) -> None:
        """Let scripts answer generations of a model, or any request to a path.

        Args:
            target: a model's name (it counts as installed), or a path that begins with `/`.
            scripts: used in this order, one per request; the last one stays. None at all
                gives the target its own behaviour back.
        """
        self._scripts.put(target, scripts)

    def install(self, name: str, size_bytes: int = DEFAULT_SIZE_BYTES) -> None:
        """List a model in `/api/tags`."""
        self._library.install(name, size_bytes)

    def uninstall(self, name: str) -> None:
        """Take a model away; requests for it get 404."""
        self._library.delete(name)

    def reset(self) -> None:
        """Forget scripts, requests, counts and disconnects; running answers go on."""
        self._control.reset()

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request whose body was read, in that order; `/__demo` is left out."""
        return self._ledger.requests

    def requests_to(self, path: str) -> list[RecordedRequest]:
        """Requests to one path."""
        return [request for request in self.requests if request.path == path]

    @property
    def running(self) -> list[Generation]:
        """Generations active now, each with `model`, `path`, `stage` and `chunks_sent`."""
        return self._ledger.running

    @property
    def disconnects(self) -> list[Disconnect]:
        """Clients that left before their answer was whole."""
        return self._ledger.disconnects

    def active(self, model: str | None = None) -> int:
        """Generations running now; None counts all models together."""
        return self._ledger.active(model)

    def max_active(self, model: str | None = None) -> int:
        """The most generations that ever ran at once; None counts all models together."""
        return self._ledger.max_active(model)

    def finished(self, model: str | None = None) -> int:
        """Generations whose last byte was written; None counts all models together."""
        return self._ledger.finished(model)

    def wait_for(self, predicate: Callable[[], Any], timeout_s: float) -> bool:
        """Wait until the predicate holds; it is asked again at each change.

        Args:
            predicate: reads this server, e.g. `lambda: server.active("demo") == 2`.
            timeout_s: longest wait, in seconds.

        Returns:
            Whether it held in time.
        """
        return self._ledger.wait_for(predicate, timeout_s)

    @property
    def connections(self) -> int:
        """Client connections open now."""
        with self._lock:
            return len(self._connections)

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                client, peer = listener.accept()
            except TimeoutError:
                continue
            except OSError:  # stop() closed it, or there are too many open files
                self._stopping.wait(_ACCEPT_PAUSE_S)
                continue
            connection = Connection(client, is_local=_is_loopback(peer[0]))
            thread = Thread(target=self._serve, args=(connection,), name="demo", daemon=True)
            with self._lock:
                if self._stopping.is_set():
                    client.close()
                    return
                self._connections[connection] = thread
                thread.start()  # under the lock: stop() joins started threads only

    def _serve(self, connection: Connection) -> None:
        try:
            connection.open()
            while self._handling.serve(connection):
                pass
        except HangUpError as ending:
            if str(ending) == "reset":
                connection.reset()
        except BadRequestError as error:
            with suppress(ClientGoneError):
                Reply(connection, None).text(error.status, f"{error.status} {error.reason}")
                connection.linger()
        except (ClientGoneError, OSError):
            pass  # whose request it was is recorded already
        finally:
            connection.close()
            with self._lock:
                self._connections.pop(connection, None)
            self._ledger.touch()


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
