"""`ogp doctor --direct`: the same requests to the Ollama server itself, and through the proxy."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from statistics import median
from typing import Any

from ogp.cli.doctor_flow import document_of, flow_of
from ogp.cli.doctor_reply import Reply
from ogp.cli.doctor_site import Check, Finding, Need, Site, fail, ok, said, skipped, warn

ROUNDS = 10
SLOW_MS = 250.0
"""More than this is worth a look: rules take well below a millisecond, models on a CPU do not."""
NEEDS = (Need.SERVER, Need.TOKEN, Need.MODEL, Need.DIRECT)
FORMS = (
    ("/api/chat", b"\n"),
    ("/v1/chat/completions", b"\n\n"),
    ("/v1/messages", b"\n\n"),
    ("/v1/responses", b"\n\n"),
)
LISTS = (("/api/tags", "models", "name"), ("/v1/models", "data", "id"))
FIGURES = ("_count", "_duration")
"""How names of figures end."""
BEHIND = "is --direct the server that the proxy uses (upstream.url)?"


def models(site: Site) -> Finding:
    """Compare the lists of models."""
    plain = direct_of(site)
    counts = 0
    for path, key, name in LISTS:
        theirs, ours = (_names(each.ask("GET", path), key, name) for each in (plain, site))
        if theirs is None:
            return skipped(f"{path}: the direct server gives no list", BEHIND)
        if ours != theirs:
            missing, more = len(theirs - (ours or set())), len((ours or set()) - theirs)
            return fail(f"{path}: {missing} missing, {more} more through the proxy", BEHIND)
        counts = len(theirs)
    return ok(f"{counts} models, the same in both lists")


def answers(site: Site) -> Finding:
    """Compare one answer of each dialect, whole."""
    compared = []
    for path, _ in FORMS:
        theirs, ours = _both(site, path, stream=False)
        if theirs.status != 200:
            continue
        if ours.status != 200:
            return fail(
                f"{path}: 200, through the proxy {said(ours)}", "see the log of the service"
            )
        difference = set(_fields(ours.document)) ^ set(_fields(theirs.document))
        if difference:
            return fail(f"{path}: fields differ: {', '.join(sorted(difference))}", BEHIND)
        if ours.content_type != theirs.content_type:
            return fail(f"{path}: content types differ", "pass answers on as they are")
        compared.append(path)
    if not compared:
        return skipped("the direct server answers none of these", BEHIND)
    return ok(f"the same fields: {', '.join(compared)}")


def streams(site: Site) -> Finding:
    """Compare one stream of each dialect."""
    compared = []
    for path, separator in FORMS:
        theirs, ours = _both(site, path, stream=True)
        if theirs.status != 200:
            continue
        if ours.status != 200:
            return fail(
                f"{path}: 200, through the proxy {said(ours)}", "see the log of the service"
            )
        for what, one, other in (
            ("content types", ours.content_type, theirs.content_type),
            ("framings", ours.ending, theirs.ending),
            ("kinds of events", _kinds(ours, separator), _kinds(theirs, separator)),
        ):
            if one != other:
                return fail(f"{path}: {what} differ", "pass answers on as they are")
        compared.append(path)
    if not compared:
        return skipped("the direct server streams none of these", BEHIND)
    return ok(f"the same framing and kinds of events: {', '.join(compared)}")


def overhead(site: Site) -> Finding:
    """Ask both for one token, in turns; each text is new, so that the guard reads it."""
    plain = direct_of(site)
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(ROUNDS):
        for is_direct, each in ((True, plain), (False, site)):
            reply = each.ask("POST", "/api/generate", _one_token(site.model, number))
            if reply.status != 200:
                where = "direct" if is_direct else "through the proxy"
                return fail(f"{where}: {said(reply)}", "can this model generate? see --model")
            times[is_direct].append(reply.took_ms)
    direct_ms, proxied_ms = median(times[True]), median(times[False])
    evidence = (
        f"p50 of {ROUNDS}: {direct_ms:.1f} ms direct, {proxied_ms:.1f} ms through the proxy, "
        f"{proxied_ms - direct_ms:+.1f} ms"
    )
    if proxied_ms - direct_ms > SLOW_MS:
        return warn(evidence, "see which scanner takes long: `ogp guard scan`, docs/models.md")
    return ok(evidence)


def direct_of(site: Site) -> Site:
    """The same questions to the other server, without our tokens.

    Raises:
        LookupError: there is none.
    """
    if site.direct is None:
        raise LookupError("no server to compare with")
    return replace(site, wire=site.direct, token=None, admin_token=None)


def _both(site: Site, path: str, *, stream: bool) -> tuple[Reply, Reply]:
    asked = {"role": "user", "content": "Say yes."}
    document: dict[str, Any] = {"model": site.model, "messages": [asked], "stream": stream}
    if path == "/v1/responses":
        document = {"model": site.model, "input": "Say yes.", "stream": stream}
    limits = {"/api/chat": {"options": {"num_predict": 4, "seed": 1, "temperature": 0}}}
    tokens = "max_output_tokens" if path == "/v1/responses" else "max_tokens"
    document |= limits.get(path, {tokens: 16, "temperature": 0})
    theirs = direct_of(site).ask("POST", path, document)
    return theirs, site.ask("POST", path, document)


def _one_token(model: str, number: int) -> Mapping[str, Any]:
    prompt = f"Say the number {number}."
    return {"model": model, "prompt": prompt, "stream": False, "options": {"num_predict": 1}}


def _names(reply: Reply, key: str, name: str) -> set[str] | None:
    document = reply.document
    listed = document.get(key) if reply.status == 200 and isinstance(document, dict) else None
    if not isinstance(listed, list):
        return None
    return {str(each.get(name)) for each in listed if isinstance(each, dict)}


def _fields(document: Any, where: str = "") -> Iterator[str]:
    """The places of all keys but figures, which Ollama leaves out where they are 0.

    Members of a list are one place.
    """
    if isinstance(document, dict):
        for key, value in document.items():
            if key.endswith(FIGURES):
                continue
            place = f"{where}.{key}" if where else str(key)
            yield place
            yield from _fields(value, place)
    elif isinstance(document, list):
        for value in document:
            yield from _fields(value, f"{where}[]")


def _kinds(reply: Reply, separator: bytes) -> set[tuple[str, ...]]:
    """Which sets of fields its events have: their number differs from one answer to the next."""
    events = flow_of(reply, separator).events
    return {tuple(sorted(set(_fields(document_of(raw))))) for _, raw in events}


CHECKS = (
    Check("direct-models", "both list the same models", models, NEEDS),
    Check("direct-answers", "answers have the same fields", answers, NEEDS),
    Check("direct-streams", "streams have the same framing and kinds of events", streams, NEEDS),
    Check("direct-overhead", f"the proxy adds less than {SLOW_MS:.0f} ms", overhead, NEEDS),
)
