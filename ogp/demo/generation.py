"""Sends an answer with its timing and its faults, and keeps the count of what runs."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock

from ogp.demo import gojson
from ogp.demo.completion import Ask, Completion, Form, Usage, compose
from ogp.demo.connection import Connection, HangUpError
from ogp.demo.ledger import Generation, Ledger
from ogp.demo.models import Behaviour
from ogp.demo.reply import Reply
from ogp.demo.script import Framing, Script

BUSY = "server busy, please try again.  maximum pending requests exceeded"
_HUGE_TOKEN = " ogp" * (256 * 1024)
_TOO_LONG = 1 << 20
_GARBAGE = b"\x16\x03\x01 this is not HTTP\r\n\r\n\x00\xff"


class Turns:
    """Lets `limit` generations run at once, in order of arrival; 0 lets all run. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()  # guards the two below
        self._running = 0
        self._waiting: deque[Event] = deque()

    @contextmanager
    def turn(self, connection: Connection) -> Iterator[None]:
        """Hold a turn for the body of the `with`.

        Raises:
            ClientGoneError: the client left while it waited.
        """
        if not self._limit:
            yield
            return
        ticket = Event()
        with self._lock:
            if self._running < self._limit:
                self._running += 1
                ticket.set()
            else:
                self._waiting.append(ticket)
        try:
            connection.wait_for(ticket)
            yield
        finally:
            self._give_back(ticket)

    def _give_back(self, ticket: Event) -> None:
        with self._lock:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            elif self._waiting:
                self._waiting.popleft().set()
            else:
                self._running -= 1


@dataclass(frozen=True, slots=True)
class Timing:
    """What a model without a wish of its own takes; 0 streams as fast as it can."""

    first_byte_s: float = 0.0
    interval_s: float = 0.0


class Engine:
    """Answers generations. Thread-safe."""

    def __init__(self, ledger: Ledger, timing: Timing, turns: Turns) -> None:
        self._ledger, self._timing, self._turns = ledger, timing, turns

    def run(
        self, reply: Reply, path: str, ask: Ask, form: Form, behaviour: Behaviour, *, stream: bool
    ) -> None:
        """Answer one request to its end, or to its fault."""
        with (
            self._ledger.generation(ask.model, path) as generation,
            self._turns.turn(reply.connection),
        ):
            _Run(reply, generation, ask, form, behaviour, self._timing).run(stream=stream)

    def run_whole(
        self, reply: Reply, path: str, model: str, form: Form, behaviour: Behaviour
    ) -> None:
        """Answer with one document that has no tokens, e.g. vectors."""
        self.run(reply, path, Ask(model, "", max_tokens=0), form, behaviour, stream=False)

    def play(self, reply: Reply, model: str | None, path: str, script: Script) -> None:
        """Answer one request with a script."""
        with self._ledger.generation(model, path) as generation:
            play(reply, generation, script)


def play(reply: Reply, generation: Generation, script: Script) -> None:
    """Send a script's chunks, each by itself."""
    connection = reply.connection
    if script.hold_before_head is not None:
        connection.wait_for(script.hold_before_head)
    connection.wait(script.first_byte_s)
    length = script.content_length
    if length is None:
        length = sum(map(len, script.chunks))
    framing = script.framing
    ends_with_length = framing in ("length", "raw") and script.end == "clean"
    if ends_with_length and not script.chunks:
        generation.finish()
    if framing == "raw":
        reply.keep_alive = False
    else:
        reply.start(script.status, script.headers, framing, length)
    for index, chunk in enumerate(script.chunks):
        _hold(connection, script, index)
        if index:
            connection.wait(script.interval_s)
        if ends_with_length and index == len(script.chunks) - 1:
            generation.finish()
        if framing == "raw":
            connection.send(chunk)
        else:
            reply.chunk(chunk)
        generation.sent()
    _hold(connection, script, len(script.chunks))
    _end(reply, generation, script)


def _hold(connection: Connection, script: Script, sent: int) -> None:
    if script.hold_after is not None and script.hold_after[0] == sent:
        connection.wait_for(script.hold_after[1])


def _end(reply: Reply, generation: Generation, script: Script) -> None:
    if script.end == "hang":
        reply.connection.wait(None)
    generation.finish()
    if script.end != "clean":
        raise HangUpError(script.end)
    if script.framing != "raw":
        reply.finish()


class _Run:
    """One generated answer."""

    def __init__(
        self,
        reply: Reply,
        generation: Generation,
        ask: Ask,
        form: Form,
        behaviour: Behaviour,
        timing: Timing,
    ) -> None:
        self._reply, self._generation = reply, generation
        self._connection = reply.connection
        self._ask, self._form, self._behaviour = ask, form, behaviour
        wish = behaviour.first_byte_s
        self._first_byte_s = timing.first_byte_s if wish is None else wish
        wish = behaviour.interval_s
        self._interval_s = timing.interval_s if wish is None else wish
        self._started_ns = time.monotonic_ns()

    def run(self, *, stream: bool) -> None:
        if self._behaviour.fault == "hang-prefill":
            self._connection.wait(None)
        self._connection.wait(self._first_byte_s)
        prompt_ns = time.monotonic_ns() - self._started_ns
        if self._fails_before_head():
            return
        completion = self._compose()
        if stream:
            self._stream(completion, prompt_ns)
        else:
            self._whole(completion, prompt_ns)

    def _compose(self) -> Completion:
        completion = compose(self._ask, tokens=self._behaviour.tokens)
        if self._behaviour.fault == "huge":
            pieces = [piece.__class__(text=_HUGE_TOKEN) for piece in completion.pieces]
            completion = Completion(pieces, completion.done_reason, completion.prompt_tokens)
        return completion

    def _usage(self, completion: Completion, prompt_ns: int) -> Usage:
        total_ns = time.monotonic_ns() - self._started_ns
        return Usage(
            completion.done_reason,
            completion.prompt_tokens,
            len(completion.pieces),
            max(1, total_ns),
            max(1, prompt_ns),
        )

    def _fails_before_head(self) -> bool:
        fault = self._behaviour.fault
        if fault == "error":
            self._refuse(self._behaviour.status, f"demo error {self._behaviour.status}")
        elif fault == "error-in-stream" and not self._behaviour.after:
            self._refuse(500, "demo error in the stream")
        elif fault == "error-busy":
            self._refuse(503, BUSY)
        elif fault == "cut-head":
            self._generation.finish()
            raise HangUpError("close")
        elif fault == "garbage":
            self._generation.finish()
            self._connection.send(_GARBAGE)
            raise HangUpError("close")
        elif fault == "garbage-json":
            self._generation.finish()
            self._reply.whole(200, b"<html>not JSON</html>\n", {"Content-Type": "text/html"})
        else:
            return False
        return True

    def _refuse(self, status: int, message: str) -> None:
        self._generation.finish()
        self._reply.json(status, self._form.refusal(status, message))

    def _stream(self, completion: Completion, prompt_ns: int) -> None:
        lies = self._behaviour.fault == "cut-json"
        framing: Framing = "length" if lies else "chunked"
        self._start({"Content-Type": self._form.stream_type}, framing, _TOO_LONG if lies else None)
        opening = self._form.opening()
        if opening:
            self._reply.chunk(opening)
        started = time.monotonic()
        for index, piece in enumerate(completion.pieces):
            if index == self._behaviour.after:
                self._fails_in_stream()
            if index and self._interval_s:
                self._connection.wait(started + index * self._interval_s - time.monotonic())
            self._reply.chunk(self._form.piece(piece))
            self._generation.sent()
        if len(completion.pieces) <= self._behaviour.after:
            self._fails_in_stream()
        self._reply.chunk(self._form.closing(completion, self._usage(completion, prompt_ns)))
        self._generation.finish()
        self._reply.finish()

    def _fails_in_stream(self) -> None:
        fault = self._behaviour.fault
        if fault == "hang-decode":
            self._connection.wait(None)
        if fault in ("cut", "cut-json", "reset"):
            self._generation.finish()
            raise HangUpError("reset" if fault == "reset" else "close")
        if fault == "error-in-stream":
            self._reply.chunk(self._form.failure("demo error in the stream"))
            self._generation.finish()
            self._reply.finish()
            raise HangUpError("close")

    def _whole(self, completion: Completion, prompt_ns: int) -> None:
        fault = self._behaviour.fault
        if fault == "hang-decode":
            self._connection.wait(None)
        self._connection.wait(self._interval_s * max(0, len(completion.pieces) - 1))
        if fault == "error-in-stream":
            self._refuse(500, "demo error in the stream")
            return
        body = gojson.encode(self._form.whole(completion, self._usage(completion, prompt_ns)))
        self._start({"Content-Type": self._form.whole_type}, "length", len(body))
        if fault in ("cut", "cut-json", "reset"):
            self._reply.chunk(body[: len(body) // 2])
            self._generation.finish()
            raise HangUpError("reset" if fault == "reset" else "close")
        self._generation.finish()
        self._reply.chunk(body)

    def _start(self, headers: dict[str, str], framing: Framing, length: int | None) -> None:
        if self._behaviour.fault != "header-drip":
            self._reply.start(200, headers, framing, length, flush=False)
            return
        head = self._reply.render_head(200, headers, framing, length)
        for byte in head:
            self._connection.wait(self._interval_s)
            self._connection.send(bytes([byte]))
