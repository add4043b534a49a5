"""The narrow way to the hash: few at once, one per question, and no long line per token id."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from threading import BoundedSemaphore, Lock

from ogp.auth.verified import Proof
from ogp.core.errors import RateLimitError


class HashGate:
    """Runs comparisons so that no flood of tokens takes the machine. Thread-safe.

    Many requests with one new token ask one question: the first computes, the others wait for
    its answer. Different wrong secrets for one id are different questions; beyond
    `max_per_id` of them further ones are turned away, so that they neither hold request threads
    nor keep other people's tokens waiting.
    """

    def __init__(self, *, at_once: int, max_per_id: int) -> None:
        """Keep the limits.

        Args:
            at_once: comparisons that run at the same time in this process.
            max_per_id: different questions about one token id that may run or wait.
        """
        self._lanes = BoundedSemaphore(at_once)
        self._max_per_id = max_per_id
        self._lock = Lock()  # guards the two below; never held while hashing or waiting
        self._flights: dict[Proof, Future[bool]] = {}
        self._per_id: Counter[str] = Counter()

    def ask(self, token_id: str, proof: Proof, compare: Callable[[], bool]) -> bool:
        """The answer of `compare`, computed by this thread or by one that asks the same.

        Whoever arrives after the answer was given computes again, so `compare` looks first
        whether the answer is known by now.

        Raises:
            RateLimitError: `max_per_id` other questions about this id are under way.
        """
        with self._lock:
            flight = self._flights.get(proof)
            leads = flight is None
            if flight is None:
                flight = self._take_off(token_id, proof)
        if not leads:
            return flight.result()
        try:
            with self._lanes:
                answer = compare()
        except BaseException as error:
            flight.set_exception(error)
            raise
        else:
            flight.set_result(answer)
            return answer
        finally:
            self._land(token_id, proof)

    def _take_off(self, token_id: str, proof: Proof) -> Future[bool]:
        """Under the lock: register the question."""
        if self._per_id[token_id] >= self._max_per_id:
            raise RateLimitError("Too many tokens are being checked; try again.", 1.0)
        self._per_id[token_id] += 1
        flight = self._flights[proof] = Future[bool]()
        return flight

    def _land(self, token_id: str, proof: Proof) -> None:
        with self._lock:
            del self._flights[proof]
            self._per_id[token_id] -= 1
            if not self._per_id[token_id]:
                del self._per_id[token_id]
