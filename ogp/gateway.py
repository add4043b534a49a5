"""The whole path of a request, in order. Read this first.

Cheap checks come before costly ones: a blocked prompt never takes a slot, and the choice of a
server comes after the wait, when the load it looks at is fresh. The audit row is committed before
the first byte goes upstream. Everything borrowed is entered on the exchange and given back there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ogp.admission.fields import FieldPolicy
from ogp.core.chunks import gathered, primed
from ogp.core.details import details_of
from ogp.core.errors import UpstreamError
from ogp.core.exchange import Exchange
from ogp.core.failover import first_answer
from ogp.core.ports import AuditLog, InputGuard, OutputGuard, Router, SlotQueue, Turn, Upstreams
from ogp.core.types import Answer, AnswerEvent, InferenceRequest, Outcome, Principal, Verdict
from ogp.dialects.base import Dialect


@dataclass(frozen=True, slots=True)
class Passage:
    """A request that was let in, and what it needs on its way."""

    request: InferenceRequest
    principal: Principal
    dialect: Dialect
    exchange: Exchange


class Gateway:
    """Takes a parsed request through every stage and hands back the answer. Thread-safe."""

    def __init__(
        self,
        *,
        dialects: Mapping[str, Dialect],
        policy: FieldPolicy,
        router: Router,
        input_guard: InputGuard,
        queue: SlotQueue,
        audit: AuditLog,
        upstreams: Upstreams,
        output_guard: OutputGuard,
        max_answer_bytes: int,
        keepalive_s: float | None = None,
    ) -> None:
        """Keep the stages.

        Args:
            max_answer_bytes: largest answer that is not streamed; it is held in memory.
            keepalive_s: time between two signs of life to streaming clients that wait for a slot,
                in seconds; None sends none, and a refusal then keeps its status.
        """
        self._dialects, self._policy, self._router = dialects, policy, router
        self._input_guard, self._output_guard = input_guard, output_guard
        self._queue, self._audit, self._upstreams = queue, audit, upstreams
        self._max_answer_bytes, self._keepalive_s = max_answer_bytes, keepalive_s

    def handle(self, request: InferenceRequest, principal: Principal, exchange: Exchange) -> Answer:
        """Serve one request.

        Returns:
            A whole body, or an iterator whose first chunk was scanned already. The iterator gives
            back slot and connection when it ends; `exchange.release()` does so in any case.

        Raises:
            GatewayError: the refusal to render; nothing of an answer has been sent by then.
        """
        self._policy.check(request, principal)
        self._router.candidates(request)  # refuses what no server could take

        def report(verdict: Verdict) -> None:
            exchange.note(guard_input=verdict.summary(), guard_input_details=details_of(verdict))

        dialect = self._dialects[request.dialect]
        request = self._input_guard.scan(request, principal, dialect, report)
        passage = Passage(request, principal, dialect, exchange)
        if not request.queued:
            return self._forward(passage)
        turn = exchange.enter(
            self._queue.turn(
                request,
                principal,
                request_id=exchange.request_id,
                timeout_s=exchange.remaining_s(),
                cancellation=exchange.cancellation,
            )
        )
        if turn.wait(self._keepalive_s if request.stream else None):
            exchange.granted(turn.waited_s)
            return self._forward(passage)
        headers = {"content-type": dialect.stream_type}
        return Answer(200, headers, chunks=self._kept_alive(turn, passage))

    def _kept_alive(self, turn: Turn, passage: Passage) -> Iterator[bytes]:
        """Signs of life until the request has its slot, then its answer.

        Raises:
            GatewayError: a refusal; the status 200 has been sent by then.
        """
        sign = passage.dialect.keepalive(passage.request)
        yield sign
        while not turn.wait(self._keepalive_s):
            yield sign
        passage.exchange.granted(turn.waited_s)
        answer = self._forward(passage)
        if answer.chunks is None:
            raise UpstreamError(f"The upstream server refused with status {answer.status}.")
        yield from answer.chunks

    def _forward(self, passage: Passage) -> Answer:
        """Send a request whose turn it is, and hand back its answer."""
        request, exchange, dialect = passage.request, passage.exchange, passage.dialect
        lease = exchange.enter(self._router.lease(request))
        exchange.note(server_used=lease.route.name)
        exchange.note(row_id=self._audit.begin(exchange.record).row_id)
        response = first_answer(self._upstreams, request, lease, exchange)
        exchange.note(first_byte_ms=exchange.elapsed_ms(), response_status=response.status)

        def report(verdict: Verdict) -> None:
            exchange.note(guard_output=verdict.summary(), guard_output_details=details_of(verdict))

        principal, guard = passage.principal, self._output_guard
        reads = guard.reads(request, principal)
        events = dialect.events(request, response.chunks, texts=reads)
        chunks = self._sent(guard.filter(request, principal, dialect, events, report), passage)
        headers = {**response.headers, "x-ogp-route": lease.told}
        if response.streamed:
            return Answer(response.status, headers, chunks=primed(chunks))
        body = gathered(chunks, max_bytes=self._max_answer_bytes, server=lease.route.name)
        return Answer(response.status, headers, body=body)

    def _sent(self, events: Iterator[AnswerEvent], passage: Passage) -> Iterator[bytes]:
        """Unwrap the events and note what the record wants of them."""
        request, exchange = passage.request, passage.exchange
        for event in events:
            if event.usage is not None:
                exchange.note(
                    prompt_tokens=event.usage.prompt_tokens,
                    completion_tokens=event.usage.completion_tokens,
                )
            exchange.answer_bytes += len(event.raw)
            yield event.raw
        exchange.ended(Outcome.COMPLETE)
        if request.queued:
            self._queue.observe(request.model, exchange.pace())
        exchange.release()  # the upstream is done: its slot goes to the next in line at once
