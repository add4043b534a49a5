"""One request's belongings: who asks, what is borrowed, how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock
from typing import Any, TypeVar

from ogp.core.clock import Clock
from ogp.core.errors import GatewayError
from ogp.core.types import AuditRecord, Outcome, Pace, Principal

T = TypeVar("T")


class Cancellation:
    """Ends whatever the request's thread is waiting for, from another thread. Thread-safe.

    The thread that is about to wait enters `interrupt(...)` with something that ends the wait; the
    watcher calls `cancel(...)` once. Callbacks run under the lock, so leaving `interrupt` promises
    that the callback is not running and never will: a late one cannot shut down a pooled socket.
    """

    def __init__(self) -> None:
        self._lock = Lock()  # guards the two below; held while a callback runs, which must not wait
        self._callbacks: list[Callable[[], None]] = []
        self._error: GatewayError | None = None

    @property
    def error(self) -> GatewayError | None:
        """Why the request was cancelled, or None while nobody has."""
        return self._error

    def check(self) -> None:
        """Raise the reason if the request has been cancelled meanwhile."""
        if self._error is not None:
            raise self._error

    def cancel(self, error: GatewayError) -> None:
        """End the current wait; the first reason counts, a second call changes nothing."""
        with self._lock:
            if self._error is not None:
                return
            self._error = error
            for callback in reversed(self._callbacks):
                callback()

    @contextmanager
    def interrupt(self, callback: Callable[[], None]) -> Iterator[None]:
        """While the body runs, `cancel` calls `callback`; at once if it was called before."""
        with self._lock:
            self._callbacks.append(callback)
            if self._error is not None:
                callback()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)


class Exchange:
    """One request from its first header to its last byte; owned by one thread.

    Everything borrowed is entered here, never held by a generator's `finally` alone: a stream
    dropped before its first chunk runs none. Only `cancellation` may be touched by other threads.
    """

    def __init__(
        self, *, request_id: str, method: str, path: str, clock: Clock, timeout_s: float
    ) -> None:
        """Start the clock.

        Args:
            timeout_s: from now to the first byte of the answer, in seconds.
        """
        self._clock = clock
        self._stack = ExitStack()
        self._started = clock.monotonic()
        self._deadline = self._started + timeout_s
        self.cancellation = Cancellation()
        self.principal: Principal | None = None
        self.answer_bytes = 0
        """Bytes of the upstream's answer passed on so far."""
        self._granted_ms = 0.0
        self.audited = True
        """False for probes, whose rows would only bury the others."""
        self.request_id = request_id
        """Correlates answer header, log lines, audit row and the upstream's log."""
        self._facts: dict[str, Any] = {
            "request_id": request_id,
            "http_method": method,
            "path": path,
            "created_at": clock.now().timestamp(),
        }

    @property
    def record(self) -> AuditRecord:
        """What is known so far."""
        return AuditRecord(**self._facts)

    def note(self, **facts: Any) -> None:
        """Put facts into the audit record; names are those of `AuditRecord`."""
        self._facts.update(facts)

    def elapsed_ms(self) -> float:
        """Milliseconds since arrival."""
        return (self._clock.monotonic() - self._started) * 1e3

    def remaining_s(self) -> float:
        """Seconds until the first byte must be in hand; never negative."""
        return max(0.0, self._deadline - self._clock.monotonic())

    def allow(self, timeout_s: float) -> None:
        """A new deadline, in seconds from now: the first byte of some answers takes hours."""
        self._deadline = self._clock.monotonic() + timeout_s

    def granted(self, waited_s: float) -> None:
        """The request has its slot, after so many seconds."""
        self._granted_ms = self.elapsed_ms()
        self.note(queue_wait_ms=1e3 * waited_s)

    def pace(self) -> Pace | None:
        """What its use of the slot says of the upstream; None where that did not count tokens."""
        first_byte_ms = self._facts.get("first_byte_ms")
        tokens = self._facts.get("completion_tokens")
        if first_byte_ms is None or not tokens:
            return None
        return Pace(
            first_byte_ms=first_byte_ms - self._granted_ms,
            held_ms=self.elapsed_ms() - self._granted_ms,
            completion_tokens=tokens,
        )

    def enter(self, context: AbstractContextManager[T]) -> T:
        """Borrow something until `release`."""
        return self._stack.enter_context(context)

    def callback(self, function: Callable[[], object]) -> None:
        """Run `function` at `release`, before everything entered earlier is given back."""
        self._stack.callback(function)

    def ended(self, outcome: Outcome) -> None:
        """Say how it ended; the first word counts."""
        self._facts.setdefault("outcome", outcome)

    def finish_record(self) -> AuditRecord:
        """The final record, its times filled in."""
        self.note(
            finished_at=self._clock.now().timestamp(),
            response_time_ms=round(self.elapsed_ms(), 3),
            response_bytes=self.answer_bytes,
        )
        return self.record

    def release(self) -> None:
        """Give back everything borrowed, last in, first out. May be called more than once."""
        self._stack.close()
