"""What only the table of one process promises: nothing is kept of what is idle."""

import pytest

from ogp.core.errors import QueueFullError
from ogp.state.memory import MemorySlotTable
from tests.support.state_tables import MODEL, PATIENCE_S, Asking, HandClock, entered, limits


@pytest.fixture
def table() -> MemorySlotTable:
    return MemorySlotTable(HandClock(), batch_patience_s=PATIENCE_S)


def test_idle_models_hold_no_memory(table: MemorySlotTable) -> None:
    for number in range(100):
        ticket = Asking()
        table.enter(f"invented-{number}", ticket, limits())
        table.leave(f"invented-{number}", ticket)
    assert table._lines == {}


def test_a_refused_request_for_an_idle_model_holds_no_memory(table: MemorySlotTable) -> None:
    with pytest.raises(QueueFullError):
        table.enter(MODEL, Asking(), limits(parallel=0, max_queue=0))
    assert table._lines == {}


def test_a_request_id_that_waits_for_another_model_is_found(table: MemorySlotTable) -> None:
    entered(table, 2, limits())
    for _ in range(2):
        table.enter("mistral", Asking(request_id="r1"), limits())
    place = table.place("r1")
    assert place is not None
    assert place.model == "mistral"
