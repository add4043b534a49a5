"""What the look-alike saw: requests, generations running now, clients that left."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition
from typing import Any, Literal

from ogp.demo.connection import ClientGoneError
from ogp.demo.models import short_name

Stage = Literal["prefill", "decode"]
"""Before, and after, the first byte of the answer."""


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as it came."""

    method: str
    path: str
    """Decoded, without the query."""
    target: str
    """As it stood in the request line."""
    headers: Mapping[str, str]
    """Names in lower case; repeated ones joined with a comma."""
    header_list: tuple[tuple[str, str], ...]
    body: bytes
    """Empty for blobs, which are hashed as they pass."""
    document: Any
    """The body as Go binds it, unknown fields kept; None where there is no JSON object."""
    at_s: float
    """`time.monotonic()` when it had been read."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """A client that left before its answer was whole."""

    model: str
    path: str
    stage: Stage
    at_s: float
    """`time.monotonic()` when the look-alike noticed."""


@dataclass(slots=True)
class _Tally:
    """Generations of one model."""

    active: int = 0
    max_active: int = 0
    finished: int = 0


class Generation:
    """One answer being made; counts as active from its creation to `finish` or `leave`."""

    def __init__(self, ledger: "Ledger", model: str, path: str) -> None:
        self._ledger = ledger
        self.model = model
        self.path = path
        self.stage: Stage = "prefill"
        self.chunks_sent = 0
        self.is_active = False

    def sent(self) -> None:
        """Count one chunk; the first begins the decode stage."""
        self._ledger.count_chunk(self)

    def finish(self) -> None:
        """Stop counting as active; before the last bytes go out, so no reader is ahead of it."""
        self._ledger.end(self)


@dataclass
class _State:
    requests: deque[RecordedRequest]
    disconnects: deque[Disconnect]
    running: list[Generation] = field(default_factory=list)
    tallies: dict[str, _Tally] = field(default_factory=dict)
    total: _Tally = field(default_factory=_Tally)


class Ledger:
    """All that was seen, under one condition that is notified at each change. Thread-safe."""

    def __init__(self, *, keep_requests: int, keep_bytes: int) -> None:
        """Bound what is kept.

        Args:
            keep_requests: the newest so many requests and disconnects are kept.
            keep_bytes: older requests go when the kept bodies exceed this.
        """
        self._keep_requests, self._keep_bytes = keep_requests, keep_bytes
        self._changed = Condition()  # guards all below
        self._state = self._fresh()
        self._body_bytes = 0

    def _fresh(self) -> _State:
        return _State(deque(maxlen=self._keep_requests), deque(maxlen=self._keep_requests))

    def reset(self) -> None:
        """Forget the past; what runs now stays counted."""
        with self._changed:
            running = self._state.running
            self._state = self._fresh()
            self._body_bytes = 0
            for generation in running:
                self._count_in(generation)
            self._changed.notify_all()

    def record(self, request: RecordedRequest) -> None:
        """Keep one request."""
        with self._changed:
            requests = self._state.requests
            while requests and (
                len(requests) == self._keep_requests
                or self._body_bytes + len(request.body) > self._keep_bytes
            ):
                self._body_bytes -= len(requests.popleft().body)
            requests.append(request)
            self._body_bytes += len(request.body)
            self._changed.notify_all()

    @contextmanager
    def generation(self, model: str | None, path: str) -> Iterator[Generation]:
        """Count a generation as active for the body of the `with`, at most.

        Args:
            model: None for an answer that is no generation; only its disconnect is recorded.
            path: where it was asked.
        """
        generation = Generation(self, short_name(model or ""), path)
        with self._changed:
            self._count_in(generation)
            self._changed.notify_all()
        try:
            yield generation
            self._note_whole(generation)
        except ClientGoneError:
            self._note_gone(generation)
            raise
        finally:
            self.end(generation)

    def _count_in(self, generation: Generation) -> None:
        generation.is_active = True
        self._state.running.append(generation)
        for tally in self._tallies_of(generation.model):
            tally.active += 1
            tally.max_active = max(tally.max_active, tally.active)

    def _tallies_of(self, model: str) -> tuple[_Tally, ...]:
        if not model:
            return ()
        return self._state.total, self._state.tallies.setdefault(model, _Tally())

    def count_chunk(self, generation: Generation) -> None:
        """Note that a chunk went out."""
        with self._changed:
            generation.chunks_sent += 1
            generation.stage = "decode"
            self._changed.notify_all()

    def end(self, generation: Generation) -> None:
        """Stop counting a generation as active; a second call changes nothing."""
        with self._changed:
            if not generation.is_active:
                return
            generation.is_active = False
            self._state.running.remove(generation)
            for tally in self._tallies_of(generation.model):
                tally.active -= 1
            self._changed.notify_all()

    def _note_whole(self, generation: Generation) -> None:
        with self._changed:
            for tally in self._tallies_of(generation.model):
                tally.finished += 1
            self._changed.notify_all()

    def _note_gone(self, generation: Generation) -> None:
        seen = Disconnect(generation.model, generation.path, generation.stage, time.monotonic())
        with self._changed:
            self._state.disconnects.append(seen)
            self.end(generation)
            self._changed.notify_all()

    def touch(self) -> None:
        """Let waiting predicates look again at something kept elsewhere."""
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, predicate: Callable[[], object], timeout_s: float) -> bool:
        """Wait until the predicate holds; it runs in this thread and may read this ledger."""
        with self._changed:
            return bool(self._changed.wait_for(predicate, timeout_s))

    @property
    def requests(self) -> list[RecordedRequest]:
        """Requests in the order in which they had been read."""
        with self._changed:
            return list(self._state.requests)

    @property
    def disconnects(self) -> list[Disconnect]:
        """Clients that left early, in the order in which this was noticed."""
        with self._changed:
            return list(self._state.disconnects)

    @property
    def running(self) -> list[Generation]:
        """Generations that are active now."""
        with self._changed:
            return list(self._state.running)

    def active(self, model: str | None = None) -> int:
        """Generations running now, of one model or of all."""
        return self._tally(model).active

    def max_active(self, model: str | None = None) -> int:
        """The most that ever ran at once, of one model or of all together."""
        return self._tally(model).max_active

    def finished(self, model: str | None = None) -> int:
        """Generations whose last byte was written."""
        return self._tally(model).finished

    def tallies(self) -> dict[str, dict[str, int]]:
        """All figures by model."""
        with self._changed:
            return {
                model: {
                    "active": tally.active,
                    "max_active": tally.max_active,
                    "finished": tally.finished,
                }
                for model, tally in self._state.tallies.items()
            }

    def _tally(self, model: str | None) -> _Tally:
        with self._changed:
            if model is None:
                return self._state.total
            return self._state.tallies.get(short_name(model)) or _Tally()
