"""How a streamed answer came: its events, when each was there, and how long it was held back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import orjson

from ogp.cli.doctor_reply import Reply

MIN_EVENTS = 8
TOO_FAST_S = 0.1
"""Buffering cannot be told from an answer that is made in less than this, in seconds."""
AT_ONCE_S = 0.002
"""A server that lets held events go writes one after the other, faster than models are."""
HELD_SHARE = 0.25
"""Of the time in which the answer was made; an event held for longer was delayed."""
BUNCH = 3
"""So many events in one arrival, on average, are a buffer being emptied. One pause of a busy
machine is none: before and after it events come one by one."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Events of one stream with their times of arrival, in seconds."""

    events: Sequence[tuple[float, bytes]]
    sent_at_s: float

    @property
    def arrivals(self) -> int:
        """How often something came that completed events; what follows at once belongs to it."""
        times = [at_s for at_s, _ in self.events]
        gaps = (later - earlier for earlier, later in pairwise(times))
        return sum((gap > AT_ONCE_S for gap in gaps), start=bool(times))

    @property
    def is_bunched(self) -> bool:
        """Whether most events came together with others."""
        return self.arrivals * BUNCH <= len(self.events)

    @property
    def first_ms(self) -> float:
        """From the request to the first event."""
        return 1e3 * (self.events[0][0] - self.sent_at_s)

    @property
    def over_s(self) -> float:
        """From the first event to the last."""
        return self.events[-1][0] - self.events[0][0]

    def held_s(self) -> tuple[float, float] | None:
        """Longest delay of an event beyond that of the quickest, and the time all were made in.

        None where events do not tell when they were made. The clocks need not agree.
        """
        made = [_made_at_s(raw) for _, raw in self.events]
        known = [at_s for at_s in made if at_s is not None]
        if len(known) < len(made) or known[0] == known[-1]:
            return None
        delays = [at_s - made_s for (at_s, _), made_s in zip(self.events, known, strict=True)]
        return max(delays) - min(delays), known[-1] - known[0]

    def words(self) -> str:
        """For people."""
        return (
            f"{len(self.events)} events in {self.arrivals} arrivals over "
            f"{1e3 * self.over_s:.0f} ms, the first after {self.first_ms:.0f} ms"
        )


def flow_of(reply: Reply, separator: bytes) -> Flow:
    """Cut a body into events; each has the time at which its end came.

    Args:
        reply: of a stream.
        separator: what ends an event: a line break, or an empty line.
    """
    events: list[tuple[float, bytes]] = []
    rest = b""
    at_s = reply.sent_at_s
    for piece in reply.plain_pieces():
        at_s = piece.at_s
        *ended, rest = (rest + piece.body).split(separator)
        events += [(at_s, raw) for raw in ended if raw.strip()]
    if rest.strip():
        events.append((at_s, rest))
    return Flow(events, reply.sent_at_s)


def is_delayed(flow: Flow) -> tuple[bool | None, str]:
    """Whether events were held back for long, and how one sees it; None if nobody can tell."""
    if len(flow.events) < MIN_EVENTS:
        return None, f"only {len(flow.events)} events"
    timed = flow.held_s()
    if timed is None:
        return _is_untimed_delayed(flow)
    held_s, made_s = timed
    if made_s < TOO_FAST_S:
        return None, f"made in {1e3 * made_s:.0f} ms, too fast to see buffering"
    evidence = f"one was held for {1e3 * held_s:.0f} of {1e3 * made_s:.0f} ms"
    return held_s > HELD_SHARE * made_s and flow.is_bunched, evidence


def _is_untimed_delayed(flow: Flow) -> tuple[bool | None, str]:
    took_s = flow.events[-1][0] - flow.sent_at_s
    if took_s < TOO_FAST_S:
        return None, f"there in {1e3 * took_s:.0f} ms, too fast to see buffering"
    return flow.is_bunched, "several at once" if flow.is_bunched else "one by one"


def _made_at_s(raw: bytes) -> float | None:
    document = document_of(raw)
    made = document.get("created_at")
    if not isinstance(made, str):
        return None
    try:
        return datetime.fromisoformat(made).timestamp()
    except (ValueError, OverflowError):
        return None


def document_of(raw: bytes) -> Mapping[str, Any]:
    """The JSON object of an event of either framing; empty if it has none."""
    for line in raw.splitlines():
        name, _, value = line.partition(b":")
        if line.startswith(b"{") or name == b"data":
            try:
                document = orjson.loads(line if line.startswith(b"{") else value)
            except ValueError:
                return {}
            return document if isinstance(document, dict) else {}
    return {}
