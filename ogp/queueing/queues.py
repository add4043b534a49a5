"""The parts of the queue stage, put together over one shared state."""

from ogp.core.clock import Clock
from ogp.core.slots import SlotTable, TallyBook
from ogp.queueing.learned import LearnedParallel
from ogp.queueing.limits import ConfiguredLimits
from ogp.queueing.live import Capacity, LiveLimits
from ogp.queueing.manager import QueueManager
from ogp.queueing.parallelism import resolve_parallel
from ogp.queueing.report import QueueReport
from ogp.settings.schema import Settings
from ogp.storage.model_limits import ModelLimitsStore


class Queues:
    """What the gateway, the endpoints and the administrator have of the queues."""

    def __init__(
        self,
        settings: Settings,
        table: SlotTable,
        book: TallyBook,
        clock: Clock,
        store: ModelLimitsStore,
    ) -> None:
        """Build everything; `live.start()` applies stored limits once the database is open."""
        queue = settings.queue
        configured = ConfiguredLimits(queue, resolve_parallel(queue))
        learned = LearnedParallel(queue, configured, table, clock)
        self.report = QueueReport(configured, table, book, clock, learned=learned)
        self.live = LiveLimits(
            configured,
            table,
            book,
            store,
            clock,
            learned=learned,
            capacity=Capacity(settings.running_places, settings.waiting_places),
        )
        self.manager = QueueManager(
            queue,
            table,
            book,
            clock,
            configured=configured,
            learned=learned,
            max_waiting_total=settings.waiting_places,
        )
