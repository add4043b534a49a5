"""When each token was last used, to the minute, without anybody waiting for it."""

from collections import OrderedDict
from concurrent.futures import Future
from datetime import datetime, timedelta
from threading import Lock

import structlog
from sqlalchemy import Connection, update

from ogp.core.clock import Clock
from ogp.storage.tables import TokenTable
from ogp.storage.writer import GroupCommitWriter, StorageUnavailableError

log = structlog.get_logger(__name__)


class LastUse:
    """Writes `last_used_at`, at most once per token and `every_s`. Thread-safe.

    The row, read for each request anyway, tells what any process wrote; own attempts are kept
    here, so that requests in the moments before the commit submit nothing more.
    """

    def __init__(
        self, writer: GroupCommitWriter, clock: Clock, *, every_s: float, max_tokens: int
    ) -> None:
        """Keep the limits.

        Args:
            writer: runs the updates, many in one transaction.
            clock: for the written time and for the pause between attempts.
            every_s: shortest time between two writes for one token, in seconds.
            max_tokens: how many own attempts are remembered; the oldest are dropped.
        """
        self._writer, self._clock = writer, clock
        self._every_s, self._max_tokens = every_s, max_tokens
        self._lock = Lock()  # guards the two below
        self._attempts: OrderedDict[str, float] = OrderedDict()  # oldest first
        self._failing = False

    def note(self, token_id: str, written: datetime | None) -> None:
        """The token was used now; returns at once and never raises for storage.

        Args:
            token_id: whose use it is.
            written: the row's `last_used_at` as just read.
        """
        now = self._clock.now()
        # Both ways: a time far ahead comes from a clock that was wrong, and is put right.
        if written is not None and abs(now - written) < timedelta(seconds=self._every_s):
            return
        if not self._is_due(token_id):
            return
        statement = update(TokenTable).where(TokenTable.id == token_id).values(last_used_at=now)

        def write(connection: Connection) -> None:
            connection.execute(statement)

        try:
            future = self._writer.submit(write)
        except StorageUnavailableError as error:
            self._ended(error)
        else:
            future.add_done_callback(self._on_done)

    def _is_due(self, token_id: str) -> bool:
        now = self._clock.monotonic()
        with self._lock:
            attempt = self._attempts.get(token_id)
            if attempt is not None and now - attempt < self._every_s:
                return False
            self._attempts[token_id] = now
            self._attempts.move_to_end(token_id)
            if len(self._attempts) > self._max_tokens:
                self._attempts.popitem(last=False)
            return True

    def _on_done(self, future: Future[None]) -> None:
        # A cancelled job was refused by a writer that stops; `exception()` would raise.
        self._ended(None if future.cancelled() else future.exception())

    def _ended(self, error: BaseException | None) -> None:
        with self._lock:
            first = error is not None and not self._failing
            self._failing = error is not None
        if first:
            log.warning("last use of tokens cannot be written", error=type(error).__name__)
