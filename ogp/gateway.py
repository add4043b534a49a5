"""The whole path of a request, in order. Read this first.

Cheap checks come before costly ones: a blocked prompt never takes a slot, and the choice of a
server comes after the wait, when the load it looks at is fresh. The audit row is committed before
the first byte goes upstream. Everything borrowed is entered on the exchange and given back there.
"""

from collections.abc import Iterator, Mapping

from ogp.admission.fields import FieldPolicy
from ogp.core.errors import UpstreamError
from ogp.core.exchange import Exchange
from ogp.core.ports import AuditLog, InputGuard, OutputGuard, Router, SlotQueue, Upstreams
from ogp.core.types import Answer, AnswerEvent, InferenceRequest, Outcome, Principal, Verdict
from ogp.dialects.base import Dialect


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
    ) -> None:
        """Keep the stages.

        Args:
            max_answer_bytes: largest answer that is not streamed; it is held in memory.
        """
        self._dialects, self._policy, self._router = dialects, policy, router
        self._input_guard, self._output_guard = input_guard, output_guard
        self._queue, self._audit, self._upstreams = queue, audit, upstreams
        self._max_answer_bytes = max_answer_bytes

    def handle(self, request: InferenceRequest, principal: Principal, exchange: Exchange) -> Answer:
        """Serve one request.

        Returns:
            A whole body, or an iterator whose first chunk was scanned already. The iterator gives
            back slot and connection when it ends; `exchange.release()` does so in any case.

        Raises:
            GatewayError: the refusal to render; nothing of an answer has been sent by then.
        """
        self._policy.check(request, principal)
        candidates = self._router.candidates(request.model)

        def report_input(verdict: Verdict) -> None:
            exchange.note(guard_input=verdict.summary())

        def report_output(verdict: Verdict) -> None:
            exchange.note(guard_output=verdict.summary())

        self._input_guard.scan(request, report_input)
        if request.queued:
            slot = self._queue.slot(
                request.model,
                user=principal.username,
                timeout_s=exchange.remaining_s(),
                cancellation=exchange.cancellation,
            )
            exchange.note(queue_wait_ms=1e3 * exchange.enter(slot))
        route = exchange.enter(self._router.lease(candidates))
        exchange.note(server_used=route.name)
        exchange.note(row_id=self._audit.begin(exchange.record).row_id)

        response = exchange.enter(self._upstreams.send(request, route, exchange))
        exchange.note(first_byte_ms=exchange.elapsed_ms(), response_status=response.status)
        events = self._dialects[request.dialect].events(
            request, response.chunks, texts=self._output_guard.reads(request)
        )
        safe = self._output_guard.filter(request, events, report_output)
        chunks = self._sent(safe, exchange)
        if response.streamed:
            return Answer(response.status, response.headers, chunks=primed(chunks))
        return Answer(response.status, response.headers, body=self._whole(chunks, route.name))

    def _sent(self, events: Iterator[AnswerEvent], exchange: Exchange) -> Iterator[bytes]:
        """Unwrap the events and note what the record wants of them."""
        for event in events:
            if event.usage is not None:
                exchange.note(
                    prompt_tokens=event.usage.prompt_tokens,
                    completion_tokens=event.usage.completion_tokens,
                )
            exchange.answer_bytes += len(event.raw)
            yield event.raw
        exchange.ended(Outcome.COMPLETE)
        exchange.release()  # the upstream is done: its slot goes to the next in line at once

    def _whole(self, chunks: Iterator[bytes], server: str) -> bytes:
        """Gather an answer that is not streamed: it is sent whole or not at all."""
        body = bytearray()
        for chunk in chunks:
            body += chunk
            if len(body) > self._max_answer_bytes:
                raise UpstreamError(
                    f"The upstream server {server!r} sent more than {self._max_answer_bytes} bytes "
                    "in an answer that is not streamed.",
                    server=server,
                )
        return bytes(body)


def primed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pull the first chunk now, so that a failure before it is still a proper refusal."""
    first = next(chunks, b"")

    def rest() -> Iterator[bytes]:
        if first:
            yield first
        yield from chunks

    return rest()
