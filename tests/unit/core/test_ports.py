"""The promises of core, kept by the classes that assembly puts behind them."""

import inspect

import pytest

from ogp.audit.recorder import AuditRecorder
from ogp.core import ports, slots
from ogp.guard.input import PromptGuard
from ogp.guard.output import AnswerGuard
from ogp.queueing.manager import QueueManager
from ogp.routing.router import UpstreamRouter
from ogp.state.memory import MemorySlotTable, MemoryTallyBook
from ogp.upstream.client import UpstreamClient
from ogp.upstream.watcher import ClientWatcher

KEPT_BY = {
    ports.AuditLog: AuditRecorder,
    ports.InputGuard: PromptGuard,
    ports.OutputGuard: AnswerGuard,
    ports.SlotQueue: QueueManager,
    slots.SlotTable: MemorySlotTable,
    slots.TallyBook: MemoryTallyBook,
    ports.Router: UpstreamRouter,
    ports.Upstreams: UpstreamClient,
    ports.ClientWatch: ClientWatcher,
}


@pytest.mark.parametrize("port", KEPT_BY, ids=lambda port: port.__name__)
def test_each_promise_is_kept_with_the_same_parameters(port: type) -> None:
    for name, method in inspect.getmembers(port, inspect.isfunction):
        if name.startswith("_"):
            continue
        promised = list(inspect.signature(method).parameters)
        kept = list(inspect.signature(getattr(KEPT_BY[port], name)).parameters)
        assert sorted(kept) == sorted(promised), f"{port.__name__}.{name}"
