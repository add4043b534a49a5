"""How many requests to serve at once where nobody said: a start value from this host's RAM."""

import os
from typing import TypedDict

import psutil

from ogp.settings.queue_schema import QueueSettings

BYTES_PER_GB = 1024**3

PARALLEL_BY_AVAILABLE_GB = ((16, 4), (8, 2))
"""(least available GB, requests at once), largest first; with less RAM, 1."""

START_VALUE_NOTE = (
    "recommended_parallel is a start value from the RAM of this host. "
    "It says nothing about an upstream on another host, nor about the upstream's own limit. "
    "upstream_parallel is null: Ollama does not tell its OLLAMA_NUM_PARALLEL to clients. "
    "upstream_parallel_hint is that variable in the environment of this process, which an Ollama "
    "started elsewhere does not see; Ollama's own default is 1."
)
UPSTREAM_VARIABLE = "OLLAMA_NUM_PARALLEL"
"""Ollama reads it, and so do we, as another name of `queue.parallel`."""


class MemoryReport(TypedDict):
    """RAM of this host, in GB of 2^30 bytes, and what follows from it."""

    total_gb: float
    available_gb: float
    used_gb: float
    """Total less available, so that the three figures agree."""
    percent: float
    recommended_parallel: int
    upstream_parallel: int | None
    """Requests the upstream serves at once; None, as it cannot be asked."""
    upstream_parallel_hint: int | None
    """What the environment of this process says of it; None where it says nothing."""
    note: str


def recommended_parallel(available_bytes: int) -> int:
    """Requests of one model to serve at once with this much RAM available: 4, 2 or 1."""
    for least_gb, parallel in PARALLEL_BY_AVAILABLE_GB:
        if available_bytes >= least_gb * BYTES_PER_GB:
            return parallel
    return 1


def resolve_parallel(settings: QueueSettings) -> int:
    """The operator's number, or else what the RAM available right now suggests.

    `learned` begins there too, within its bounds.
    """
    if isinstance(settings.parallel, int):
        return settings.parallel
    start = recommended_parallel(psutil.virtual_memory().available)
    if settings.parallel == "auto":
        return start
    return max(settings.learned_min, min(start, settings.learned_max))


def memory_percent() -> float:
    """How much of this host's RAM is in use."""
    return psutil.virtual_memory().percent


def upstream_parallel_hint() -> int | None:
    """The number in the environment, if there is one."""
    text = os.environ.get(UPSTREAM_VARIABLE, "").strip()
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) <= 4 else None


def memory_report() -> MemoryReport:
    """What `/queue/memory` tells; read anew at each call."""
    memory = psutil.virtual_memory()
    used_bytes = memory.total - memory.available
    return {
        "total_gb": round(memory.total / BYTES_PER_GB, 2),
        "available_gb": round(memory.available / BYTES_PER_GB, 2),
        "used_gb": round(used_bytes / BYTES_PER_GB, 2),
        "percent": round(100 * used_bytes / memory.total, 1),
        "recommended_parallel": recommended_parallel(memory.available),
        "upstream_parallel": None,
        "upstream_parallel_hint": upstream_parallel_hint(),
        "note": START_VALUE_NOTE,
    }
