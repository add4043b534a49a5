"""`ogp doctor`: whether answers stream, end well, and are given up when nobody listens."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson

from ogp.cli.doctor_flow import document_of, flow_of, is_delayed
from ogp.cli.doctor_reply import Reply
from ogp.cli.doctor_site import (
    CLIENT_ENCODINGS,
    Check,
    Finding,
    Need,
    Site,
    fail,
    ok,
    said,
    skipped,
    warn,
)

COUNT = "Count from 1 to 40, separated by commas."
LONG_COUNT = "Count from 1 to 1000, separated by commas."
TOKENS, LONG_TOKENS = 48, 512
NDJSON, SSE = "application/x-ndjson", "text/event-stream"
NEEDS = (Need.SERVER, Need.TOKEN, Need.MODEL)
SERVED_S = 5.0
"""How long the doctor waits for its request to have a slot."""
FREE_SOON_S = 2.0
FREE_LATE_S = 20.0
"""How long the doctor waits for a slot that should be free."""
POLL_S = 0.02
UNBUFFER = "nginx: `proxy_buffering off; gzip off; proxy_http_version 1.1;`"
SLOWER = "name a model that says more, more slowly, with --model"


@dataclass(frozen=True, slots=True)
class Stream:
    """How one dialect streams."""

    path: str
    document: Mapping[str, Any]
    """Without the model."""
    content_type: str
    separator: bytes
    is_last: Callable[[bytes], bool]
    """Whether an event is the one that ends every answer."""


def _is_done(raw: bytes) -> bool:
    return document_of(raw).get("done") is True


def _is_done_mark(raw: bytes) -> bool:
    return raw.strip() == b"data: [DONE]"


def _is_of_type(types: tuple[str, ...], raw: bytes) -> bool:
    return document_of(raw).get("type") in types


ASK = [{"role": "user", "content": COUNT}]
STREAMS = {
    "ollama": Stream(
        "/api/chat",
        {"messages": ASK, "stream": True, "options": {"num_predict": TOKENS}},
        NDJSON,
        b"\n",
        _is_done,
    ),
    "openai": Stream(
        "/v1/chat/completions",
        {"messages": ASK, "stream": True, "max_tokens": TOKENS},
        SSE,
        b"\n\n",
        _is_done_mark,
    ),
    "responses": Stream(
        "/v1/responses",
        {"input": COUNT, "stream": True, "max_output_tokens": TOKENS},
        SSE,
        b"\n\n",
        partial(_is_of_type, ("response.completed", "response.incomplete")),
    ),
    "anthropic": Stream(
        "/v1/messages",
        {"messages": ASK, "stream": True, "max_tokens": TOKENS},
        SSE,
        b"\n\n",
        partial(_is_of_type, ("message_stop",)),
    ),
}


def stream(dialect: str, site: Site) -> Finding:
    """Stream one answer and look at its framing, its end and its pace."""
    form = STREAMS[dialect]
    document = {"model": site.model, **form.document}
    reply = site.ask("POST", form.path, document, headers=(CLIENT_ENCODINGS,))
    if is_missing_behind(reply):
        return skipped(f"{form.path}: the server behind does not have it")
    if reply.status != 200:
        return fail(f"{form.path}: {said(reply)}", "can this model chat? name one with --model")
    return _framing(form, reply) or _pace(form, site, reply)


def _framing(form: Stream, reply: Reply) -> Finding | None:
    """What is wrong with the form of an answer."""
    if reply.content_type != form.content_type:
        shown = reply.content_type or "none"
        return fail(f"content type {shown}, not {form.content_type}", "pass the header on as it is")
    if reply.ending == "cut":
        hint = "nginx: `proxy_http_version 1.1;` and a long `proxy_read_timeout`; see its error log"
        return fail("the connection was closed before the last chunk", hint)
    if reply.ending == "length":
        return fail("it came whole, with a Content-Length", UNBUFFER)
    events = flow_of(reply, form.separator).events
    if not events or not form.is_last(events[-1][1]):
        return fail(f"{len(events)} events, the last is none that ends an answer", "see the log")
    if reply.ending == "close":
        hint = "let what stands in front speak HTTP/1.1 to clients"
        return warn("no chunks: its end cannot be told from a break", hint)
    return None


def _pace(form: Stream, site: Site, reply: Reply) -> Finding:
    flow = flow_of(reply, form.separator)
    delayed, how = is_delayed(flow)
    evidence = f"{flow.words()}; {how}"
    if delayed is None:
        return skipped(f"ends as it should; {evidence}", SLOWER)
    if not delayed:
        return ok(evidence)
    holders = holding_scanners(site.own("/health"))
    if holders:
        why = f"scanners of answers hold text back until it is scanned: {', '.join(holders)}"
        return warn(f"buffered: {evidence}", f"{why}; or else {UNBUFFER}")
    return fail(f"buffered: {evidence}", UNBUFFER)


def http_1_0(site: Site) -> Finding:
    """Stream to a client of HTTP/1.0."""
    form = STREAMS["ollama"]
    reply = site.ask("POST", form.path, {"model": site.model, **form.document}, version="1.0")
    if reply.status != 200:
        return fail(f"{form.path}: {said(reply)}", "pass requests of HTTP/1.0, or refuse them all")
    events = flow_of(reply, form.separator).events
    if reply.header("Transfer-Encoding") is not None:
        return fail("chunks, which such a client cannot read", "see what stands in front")
    if not events or not form.is_last(events[-1][1]):
        return fail("the answer does not end", "see what stands in front")
    return ok(f"{len(events)} events without chunks, ended by {reply.ending}")


def disconnect(site: Site) -> Finding:
    """Leave in the middle of an answer, and watch the model's slot."""
    before = active(site)
    if before is None:
        return skipped("GET /queue/stats does not tell")
    if before:
        return skipped(f"the model serves {before} others now", "repeat it in a quiet moment")
    document = {"model": site.model, "messages": [{"role": "user", "content": LONG_COUNT}]}
    body = orjson.dumps({**document, "options": {"num_predict": LONG_TOKENS}})
    with site.wire.connected() as connection:
        site.send(connection, "POST", "/api/chat", body=body)
        if not _comes_to(site, lambda number: number > 0, SERVED_S):
            reply = connection.begin().whole()
            if reply.status != 200:
                return fail(f"/api/chat: {said(reply)}", "can this model chat? see --model")
            return skipped("the answer was over before it could be left", SLOWER)
    left_at_s = time.perf_counter()
    is_free = _comes_to(site, lambda number: number == 0, FREE_LATE_S)
    took_s = time.perf_counter() - left_at_s
    hint = (
        "nginx: `proxy_ignore_client_abort off;`, its default; it keeps the model busy for nobody"
    )
    if not is_free:
        return fail(f"its slot is still taken after {took_s:.0f} s", hint)
    evidence = f"its slot was free {1e3 * took_s:.0f} ms after the client had left"
    return ok(evidence) if took_s < FREE_SOON_S else fail(evidence, hint)


def _comes_to(site: Site, is_right: Callable[[int], bool], most_s: float) -> bool:
    """Wait until the number of running requests is right; False if it is not in so many seconds."""
    deadline_s = time.perf_counter() + most_s
    while True:
        number = active(site)
        if number is not None and is_right(number):
            return True
        if time.perf_counter() >= deadline_s:
            return False
        time.sleep(POLL_S)


def active(site: Site) -> int | None:
    """Requests of the model that run now; None if nobody says."""
    reply = site.ask("GET", f"/queue/stats?model={quote(site.model, safe='')}")
    document = reply.document
    if reply.status == 404 and isinstance(document, dict) and "available_models" in document:
        return 0
    models = document.get("models") if isinstance(document, dict) else None
    if not isinstance(models, dict):
        return None
    counts = [each.get("active_requests") for each in models.values() if isinstance(each, dict)]
    return sum(count for count in counts if isinstance(count, int))


def holding_scanners(health: Mapping[str, Any]) -> list[str]:
    """Scanners of answers that keep text back, as `/health` tells."""
    scanners: Any = health
    for name in ("guards", "scanners", "output"):
        scanners = scanners.get(name) if isinstance(scanners, dict) else None
    if not isinstance(scanners, dict):
        return []
    return [
        name
        for name, shown in scanners.items()
        if name != "invisible_text" and isinstance(shown, dict) and shown.get("state") != "off"
    ]


def is_missing_behind(reply: Reply) -> bool:
    """Whether it is the Ollama server, and not the proxy, that does not know the route."""
    return reply.status == 404 and reply.body.startswith(b"404 page not found")


CHECKS = (
    *(
        Check(
            f"stream-{name}",
            f"{form.path} streams event by event and ends as its clients expect",
            partial(stream, name),
            NEEDS,
        )
        for name, form in STREAMS.items()
    ),
    Check("http-1.0", "a client of HTTP/1.0 gets its stream without chunks", http_1_0, NEEDS),
    Check("disconnect", "a client that leaves frees its slot at once", disconnect, NEEDS),
)
