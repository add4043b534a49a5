"""What each stage promises to the gateway, and what shared state promises to the stages."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from ogp.core.exchange import Cancellation, Exchange
from ogp.core.types import (
    AnswerEvent,
    AuditRecord,
    InferenceRequest,
    Route,
    UpstreamResponse,
    Verdict,
)

Report = Callable[[Verdict], None]
"""Takes a verdict before the stage raises or goes on, so that the audit row has it either way."""


class InputGuard(Protocol):
    """Looks at every text of a request before anything goes upstream."""

    def scan(self, request: InferenceRequest, report: Report) -> None:
        """Scan the request and report the verdict, exactly once.

        Raises:
            PromptBlockedError: a scanner refused a text.
            GuardError: a scanner failed, and failures block.
        """
        ...


class OutputGuard(Protocol):
    """Looks at an answer before the client does."""

    def reads(self, request: InferenceRequest) -> bool:
        """Whether `filter` needs the texts of this answer's events."""
        ...

    def filter(
        self, request: InferenceRequest, events: Iterator[AnswerEvent], report: Report
    ) -> Iterator[AnswerEvent]:
        """Pass on what was scanned, in order and unchanged; hold back what was not yet.

        The verdict is reported exactly once, before the last event or the error.

        Raises:
            ResponseBlockedError: a scanner refused the answer; nothing held is passed on.
            GuardError: a scanner failed, and failures block.
        """
        ...


class SlotQueue(Protocol):
    """Decides when a request may use a model."""

    def slot(
        self, model: str, *, timeout_s: float, cancellation: Cancellation, user: str = ""
    ) -> AbstractContextManager[float]:
        """Hold one of the model's slots for the body of the `with`; the value is the wait.

        Args:
            model: canonical name.
            user: whose turn this is; users take turns.
            timeout_s: longest wait, in seconds; 0 asks without waiting.
            cancellation: ends the wait when the client leaves; its error is raised.

        Returns:
            A context whose value is the seconds spent waiting.

        Raises:
            QueueFullError: `max_queue` requests already wait.
            RequestTimeoutError: no slot came free in `timeout_s`.
        """
        ...


class Router(Protocol):
    """Knows which servers could serve a model, and which is best right now."""

    def candidates(self, model: str) -> Sequence[Route]:
        """Servers that could take the request, best first.

        Raises:
            NoUpstreamError: there is none.
        """
        ...

    def lease(self, candidates: Sequence[Route]) -> AbstractContextManager[Route]:
        """Choose one and count the request as in flight there for the body of the `with`."""
        ...


class Upstreams(Protocol):
    """Sends requests to servers."""

    def send(
        self, request: InferenceRequest, route: Route, exchange: Exchange
    ) -> AbstractContextManager[UpstreamResponse]:
        """Send, and wait for the first byte of the answer; the connection is given back at exit.

        Raises:
            UpstreamError: no connection, or it broke before the first byte.
            RequestTimeoutError: no first byte before the exchange's deadline.
            ClientGoneError: the client left meanwhile.
        """
        ...


class AuditLog(Protocol):
    """The record of what was asked, of whom, and how it ended."""

    def begin(self, record: AuditRecord) -> AuditRecord:
        """Commit a row in state `started` and return the record with its `row_id`.

        Raises:
            AuditUnavailableError: it could not be committed.
        """
        ...

    def finish(self, record: AuditRecord, *, wait: bool) -> None:
        """Write the final state, with a new row if `begin` was never reached.

        Args:
            record: the complete record.
            wait: return after the commit rather than at once. A failure is logged and counted,
                never raised: the answer is decided by then.
        """
        ...


class ClientWatch(Protocol):
    """Notices a client that has gone while its request waits."""

    def watch(
        self, client: object | None, cancellation: Cancellation
    ) -> AbstractContextManager[None]:
        """Cancel with `ClientGoneError` if the peer of socket `client` hangs up meanwhile.

        `client` is None under a server that does not show its socket: then nothing is watched.
        """
        ...


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """How many requests of one model may run, and how many may wait."""

    parallel: int
    max_queue: int


@dataclass(frozen=True, slots=True)
class SlotCounts:
    """What one model's table holds at a moment."""

    active: int
    waiting: int


class SlotTicket(Protocol):
    """One request's place. The table calls `grant` at most once, possibly from another thread."""

    @property
    def user(self) -> str:
        """Whose turn this is; tables are fair between users."""
        ...

    def grant(self) -> None:
        """You may run. Must return at once."""
        ...


class SlotTable(Protocol):
    """Who may run. It never waits: waiting is `queueing.slots`, the same for every backend."""

    def enter(self, model: str, ticket: SlotTicket, limits: SlotLimits) -> None:
        """Take a slot (`grant` is called before this returns) or a place in the line.

        Raises:
            QueueFullError: no slot and no place.
        """
        ...

    def leave(self, model: str, ticket: SlotTicket) -> None:
        """Give back a slot or a place; whoever may run now is granted."""
        ...

    def resize(self, model: str, limits: SlotLimits) -> None:
        """New limits from now on; what runs goes on and stays counted."""
        ...

    def counts(self, model: str) -> SlotCounts:
        """How many run and wait right now."""
        ...
