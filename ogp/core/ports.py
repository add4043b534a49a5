"""What each stage promises to the gateway, and what shared state promises to the stages."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from ogp.core.errors import GatewayError
from ogp.core.exchange import Cancellation, Exchange
from ogp.core.types import (
    AnswerEvent,
    AuditRecord,
    InferenceRequest,
    Pace,
    Principal,
    Route,
    UpstreamResponse,
    Verdict,
)

Report = Callable[[Verdict], None]
"""Takes a verdict before the stage raises or goes on, so that the audit row has it either way."""


class TextRewriter(Protocol):
    """Changes texts where they stand; the guard decides which, a dialect knows where."""

    def with_texts(
        self, request: InferenceRequest, replacements: Mapping[str, str]
    ) -> InferenceRequest:
        """The request with every string that is a key of `replacements` replaced, parsed anew.

        Only values are replaced, wherever they stand; names of keys stay.

        Raises:
            InvalidRequestError, TooLargeError: the changed request is none that may go on.
        """
        ...

    def with_answer_texts(
        self, event: AnswerEvent, texts: Sequence[tuple[str, str]]
    ) -> AnswerEvent:
        """The event with other texts.

        Args:
            event: one that this dialect has cut, with texts.
            texts: (channel, text) pairs in the order of `event.texts`, one for each.

        Raises:
            ValueError: this event cannot be changed.
        """
        ...


class InputGuard(Protocol):
    """Looks at every text of a request before anything goes upstream."""

    def scan(
        self,
        request: InferenceRequest,
        principal: Principal,
        rewriter: TextRewriter,
        report: Report,
    ) -> InferenceRequest:
        """Scan the request and report the verdict, exactly once.

        Returns:
            The request that may go upstream: as it came, or with texts that scanners changed.

        Raises:
            PromptBlockedError: a scanner refused a text.
            GuardError: a scanner failed, and failures block.
        """
        ...


class OutputGuard(Protocol):
    """Looks at an answer before the client does."""

    def reads(self, request: InferenceRequest, principal: Principal) -> bool:
        """Whether `filter` needs the texts of this answer's events."""
        ...

    def filter(
        self,
        request: InferenceRequest,
        principal: Principal,
        rewriter: TextRewriter,
        events: Iterator[AnswerEvent],
        report: Report,
    ) -> Iterator[AnswerEvent]:
        """Pass on what was scanned, in order; hold back what was not yet.

        Events are unchanged but for texts that scanners took out, and words of the client's own
        that were hidden from the model (`request.vault`), which come back.

        The verdict is reported exactly once, before the last event or the error.

        Raises:
            ResponseBlockedError: a scanner refused the answer; nothing held is passed on.
            GuardError: a scanner failed, and failures block.
        """
        ...


class Turn(Protocol):
    """One request's place in its model's line, then its slot."""

    @property
    def waited_s(self) -> float:
        """How long it waited."""
        ...

    def wait(self, at_most_s: float | None = None) -> bool:
        """Wait for the slot.

        Args:
            at_most_s: return then, in seconds; None waits until the deadline.

        Returns:
            Whether the request has its slot.

        Raises:
            RequestTimeoutError: no slot came free before the deadline.
            GatewayError: the cancellation's, if the client left.
        """
        ...


class SlotQueue(Protocol):
    """Decides when a request may use a model."""

    def turn(
        self,
        request: InferenceRequest,
        principal: Principal,
        *,
        request_id: str,
        timeout_s: float,
        cancellation: Cancellation,
    ) -> AbstractContextManager[Turn]:
        """Have a place in the line of the request's model, then a slot, for the body of the `with`.

        Args:
            request: names the model, and the class it asks for.
            principal: whose turn this is.
            request_id: to be asked for its place.
            timeout_s: longest wait, in seconds; 0 asks without waiting.
            cancellation: ends the wait when the client leaves.

        Raises:
            ForbiddenError: the request asks for a class its caller may not have.
            QueueFullError: no place is left, or the wait would be longer than `timeout_s`.
        """
        ...

    def observe(self, model: str, pace: Pace | None) -> None:
        """Say what was measured of a request that is about to give its slot back, if anything."""
        ...


class Lease(Protocol):
    """A request's server, counted as in flight there."""

    @property
    def route(self) -> Route:
        """Where to send it now."""
        ...

    @property
    def told(self) -> str:
        """Why it is this server, for the answer's `X-OGP-Route`."""
        ...

    @property
    def has_spare(self) -> bool:
        """Whether another server could take the request if this one does not."""
        ...

    def failed(self, error: GatewayError) -> None:
        """The server gave no first byte: go on to the next, or raise `error`.

        Only what no server has begun goes on: a generation that may have started is never
        replayed.
        """
        ...

    def answered(self) -> None:
        """The first byte is in hand."""
        ...


class Router(Protocol):
    """Knows which servers could serve a request, and which is best right now."""

    def candidates(self, request: InferenceRequest) -> Sequence[Route]:
        """Servers that could take the request.

        Raises:
            ModelNotFoundError: none has the model.
            NoUpstreamError: none can take it; the error says why, for each.
            InvalidRequestError: it asks for a server that does not exist.
        """
        ...

    def lease(self, request: InferenceRequest) -> AbstractContextManager[Lease]:
        """Choose one and count the request as in flight there for the body of the `with`.

        Raises:
            ModelNotFoundError, NoUpstreamError: meanwhile there is none.
        """
        ...


class Upstreams(Protocol):
    """Sends requests to servers."""

    def send(
        self,
        request: InferenceRequest,
        route: Route,
        exchange: Exchange,
        *,
        has_spare: bool = False,
    ) -> AbstractContextManager[UpstreamResponse]:
        """Send, and wait for the first byte of the answer; the connection is given back at exit.

        Args:
            has_spare: raise for a 503 rather than hand it on: another server may say better.

        Raises:
            UpstreamError: no connection, or it broke before the first byte; `refused` tells
                whether another server may take the request.
            RequestTimeoutError: no first byte before the exchange's deadline.
            ClientGoneError: the client left meanwhile.
        """
        ...


class ServerBook(Protocol):
    """What administrators want of servers, shared by all that serve."""

    def server_states(self) -> Mapping[str, str]:
        """State by server, of those whose state was changed.

        Raises:
            StateUnavailableError: nobody can say now.
        """
        ...

    def set_server_state(self, name: str, state: str) -> None:
        """Change one; errors as above."""
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
