"""The `SlotQueue` of the service: from a request and its caller to a slot of its model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from ogp.core.clock import Clock
from ogp.core.errors import QueueFullError, QueueWaitError, RequestTimeoutError
from ogp.core.exchange import Cancellation
from ogp.core.slots import Claim, SlotLimits, SlotTable, TallyBook
from ogp.core.types import InferenceRequest, Pace, Principal
from ogp.queueing.claims import ClaimRules
from ogp.queueing.forecast import newcomer_wait_s, predicted_wait_s, retry_after_s, service_s
from ogp.queueing.learned import LearnedParallel
from ogp.queueing.limits import ConfiguredLimits
from ogp.queueing.slots import QueueTurn, Slots
from ogp.settings.queue_schema import QueueSettings


class QueueManager:
    """One bounded line per model, on state that all worker processes share. Thread-safe."""

    def __init__(
        self,
        settings: QueueSettings,
        table: SlotTable,
        book: TallyBook,
        clock: Clock,
        *,
        configured: ConfiguredLimits,
        learned: LearnedParallel,
        max_waiting_total: int,
    ) -> None:
        """Keep the parts.

        Args:
            max_waiting_total: requests that may wait in this process, all models together; each
                occupies a thread.
        """
        self._table, self._book, self._clock = table, book, clock
        self._configured, self._learned = configured, learned
        self._refuse_hopeless = settings.refuse_hopeless
        self._rules = ClaimRules(settings)
        self._slots = Slots(table, clock, max_waiting=max_waiting_total)

    @contextmanager
    def turn(
        self,
        request: InferenceRequest,
        principal: Principal,
        *,
        request_id: str,
        timeout_s: float,
        cancellation: Cancellation,
    ) -> Iterator[QueueTurn]:
        """Have a place in the model's line, then a slot, for the body of the `with`.

        Args:
            request: names the model, and the class it asks for.
            principal: whose turn this is; users take turns.
            request_id: to be asked for its place.
            timeout_s: longest wait, in seconds; 0 asks without waiting.
            cancellation: ends the wait when the client leaves; its error is raised.

        Raises:
            ForbiddenError: the request asks for a class its caller may not have.
            QueueFullError: no place is left, all that may wait in this process do, or the turn
                would come after `timeout_s`.
        """
        model = request.model
        claim = self._rules.claim(request, principal, request_id)
        self._book.see(model)
        turn: QueueTurn | None = None

        def refused(error: QueueFullError | RequestTimeoutError) -> None:
            self._book.rejected(model)
            self._say_when_to_retry(model, error)

        try:
            with self._slots.turn(
                model,
                claim,
                self._configured.of(model),
                timeout_s=timeout_s,
                cancellation=cancellation,
                before_wait=lambda: self._check_hope(model, claim, timeout_s),
                on_timeout=refused,
            ) as turn:
                yield turn
        except QueueFullError as error:
            if turn is None or turn.granted_at is None:
                refused(error)
            raise
        finally:
            if turn is not None and turn.granted_at is not None:
                held_s = self._clock.monotonic() - turn.granted_at
                self._book.processed(model, waited_ms=1e3 * turn.waited_s, held_ms=1e3 * held_s)

    def observe(self, model: str, pace: Pace | None) -> None:
        """Say what a request measured that is about to give its slot back. Cheap; never waits.

        `queue.parallel: learned` rests on this.
        """
        if pace is not None:
            self._learned.observe(model, pace)

    def close(self) -> None:
        """Refuse all who wait in this process: it ends soon. What runs goes on."""
        self._slots.close()

    def limits(self, model: str) -> SlotLimits:
        """The limits of the model at this moment."""
        return self._table.limits(model) or self._configured.of(model)

    def _check_hope(self, model: str, claim: Claim, timeout_s: float) -> None:
        """Refuse a request that has its place in the line and no chance to run in time."""
        if not self._refuse_hopeless:
            return
        held_s = service_s(self._book.tally(model))
        if held_s is None:
            return
        counts, parallel = self._table.counts(model), self.limits(model).parallel
        # Its real place costs a look at the whole line; as the last one it may be in time anyway.
        last = max(0, counts.waiting - 1)
        if predicted_wait_s(last, counts.active, parallel, held_s) <= timeout_s:
            return
        place = self._table.place(claim.request_id)
        if place is None or place.claim.user != claim.user:
            return
        wait_s = predicted_wait_s(place.ahead, counts.active, parallel, held_s)
        if wait_s > timeout_s:
            raise QueueWaitError(
                model,
                predicted_wait_s=wait_s,
                deadline_s=timeout_s,
                position=place.ahead + 1,
            )

    def _say_when_to_retry(self, model: str, error: QueueFullError | RequestTimeoutError) -> None:
        """Replace the fixed `Retry-After` by one from measured times, where there are some."""
        tally, parallel = self._book.tally(model), self.limits(model).parallel
        held_s = service_s(tally)
        if held_s is None:
            return
        if isinstance(error, QueueWaitError):
            seconds = error.facts["predicted_wait_s"] - error.facts["deadline_s"]
        elif isinstance(error, QueueFullError):
            seconds = held_s / parallel  # until a place comes free
        else:
            counts = self._table.counts(model)  # the request itself still waits
            others = replace(counts, waiting=max(0, counts.waiting - 1))
            wait_s = newcomer_wait_s(others, parallel, tally)
            seconds = wait_s or 0.0
        error.retry_after_s = retry_after_s(seconds)
