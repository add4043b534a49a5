"""How many requests to serve at once where nobody said: a start value from this host's RAM."""

from typing import Literal, TypedDict

import psutil

BYTES_PER_GB = 1024**3

PARALLEL_BY_AVAILABLE_GB = ((16, 4), (8, 2))
"""(least available GB, requests at once), largest first; with less RAM, 1."""

START_VALUE_NOTE = (
    "recommended_parallel is a start value from the RAM of this host. "
    "It says nothing about an upstream on another host, nor about the upstream's own limit "
    "(OLLAMA_NUM_PARALLEL)."
)


class MemoryReport(TypedDict):
    """RAM of this host, in GB of 2^30 bytes, and what follows from it."""

    total_gb: float
    available_gb: float
    used_gb: float
    """Total less available, so that the three figures agree."""
    percent: float
    recommended_parallel: int
    note: str


def recommended_parallel(available_bytes: int) -> int:
    """Requests of one model to serve at once with this much RAM available: 4, 2 or 1."""
    for least_gb, parallel in PARALLEL_BY_AVAILABLE_GB:
        if available_bytes >= least_gb * BYTES_PER_GB:
            return parallel
    return 1


def resolve_parallel(parallel: int | Literal["auto"]) -> int:
    """The operator's number, or for `auto` what the RAM available right now suggests."""
    if parallel == "auto":
        return recommended_parallel(psutil.virtual_memory().available)
    return parallel


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
        "note": START_VALUE_NOTE,
    }
